// Keeps an open page current: on news from the master, htmx fetches the page again and morphs its main part
// and its menu. Nodes that stay keep their focus, their scroll position and what was typed or opened.
"use strict";

(() => {
  const SHORTEST_MS = 1500; // between two looks, however much happens
  const BUSY_MS = 5000; // progress moves without news while steps run
  const AGAIN_MS = 10000; // after the stream was closed by the master

  const live = document.getElementById("live");
  let lookedAt = Date.now();
  let planned = 0;
  let stale = false;

  const main = () => document.getElementById("main");

  function isBeingUsed() {
    const active = document.activeElement;
    if (active && main().contains(active) && active.matches("input, textarea, select")) return true;
    if (Array.from(main().querySelectorAll("textarea")).some((area) => area.value !== area.defaultValue)) return true;
    return String(document.getSelection()).length > 0;
  }

  function plan(delay_ms) {
    // The answer to a form, such as a code that is shown once: its address does not give it again.
    if ("still" in main().dataset) return;
    stale = true;
    if (planned || document.hidden) return;
    const wait_ms = Math.max(delay_ms, lookedAt + SHORTEST_MS - Date.now(), 0);
    planned = setTimeout(() => { planned = 0; look(); }, wait_ms);
  }

  function look() {
    if (isBeingUsed()) { plan(SHORTEST_MS); return; }
    lookedAt = Date.now();
    stale = false;
    htmx.trigger(main(), "d8:look");
  }

  // What the reader opened stays open.
  htmx.registerExtension("d8", {
    htmx_before_morph_attr: (element, detail) => !(detail.attrName === "open" && element.localName === "details"),
  });

  document.addEventListener("htmx:before:response", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceElement !== main()) return;
    const answer = ctx.response.raw;
    if (answer.redirected) location.reload(); // the session is over: the login says so
    if (answer.redirected || !answer.ok) event.preventDefault();
  });
  document.addEventListener("htmx:before:swap", (event) => {
    if (event.detail.ctx.sourceElement !== main() || !isBeingUsed()) return;
    event.preventDefault();
    plan(SHORTEST_MS);
  });
  // The master is away: its stream says the same, and both come back.
  document.addEventListener("htmx:error", () => plan(AGAIN_MS));
  document.addEventListener("htmx:config:request", (event) => {
    const { request } = event.detail.ctx;
    if (request.method === "GET") return;
    request.headers["X-CSRF-Token"] = document.querySelector('meta[name="csrf-token"]').content;
  });

  function listen() {
    const stream = new EventSource(`/events?after=${encodeURIComponent(main().dataset.seq || "")}`);
    stream.addEventListener("open", () => { live.hidden = false; });
    stream.addEventListener("news", () => plan(300));
    stream.addEventListener("error", () => {
      live.hidden = true;
      if (stream.readyState === EventSource.CLOSED) {
        setTimeout(() => { plan(0); listen(); }, AGAIN_MS);
      }
    });
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden && stale) plan(0); });
  setInterval(() => { if ("busy" in main().dataset) plan(0); }, BUSY_MS);
  listen();
})();
