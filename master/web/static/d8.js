// Keeps an open page current: on news from the master it fetches the page again and swaps its main part.
"use strict";

(() => {
  const SHORTEST_MS = 1500; // between two fetches, however much happens
  const BUSY_MS = 5000; // progress moves without news while steps run
  const AGAIN_MS = 10000; // after the stream was closed by the master

  const live = document.getElementById("live");
  let fetchedAt = Date.now();
  let planned = 0;
  let stale = false;

  const main = () => document.getElementById("main");

  function isBeingUsed() {
    if (main().querySelector("[data-still]")) return true; // a page that is being filled in
    const active = document.activeElement;
    if (active && main().contains(active) && active.matches("input, textarea, select")) return true;
    if (Array.from(main().querySelectorAll("textarea")).some((area) => area.value !== "")) return true;
    return String(document.getSelection()).length > 0;
  }

  function plan(delay_ms) {
    stale = true;
    if (planned || document.hidden) return;
    const wait_ms = Math.max(delay_ms, fetchedAt + SHORTEST_MS - Date.now(), 0);
    planned = setTimeout(() => { planned = 0; refresh(); }, wait_ms);
  }

  async function refresh() {
    if (isBeingUsed()) { plan(SHORTEST_MS); return; }
    fetchedAt = Date.now();
    stale = false;
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.redirected) { location.reload(); return; }
      if (response.ok && !isBeingUsed()) swap(await response.text());
    } catch {
      plan(AGAIN_MS); // the master is away: its stream says the same, and both come back
    }
  }

  function swap(text) {
    const next = new DOMParser().parseFromString(text, "text/html");
    const fresh = next.getElementById("main");
    if (!fresh) return;
    const open = Array.from(main().querySelectorAll("details[open][id]"), (each) => each.id);
    const scrolled = Array.from(main().querySelectorAll(".scroll"), (each) => each.scrollLeft);
    const focus = focusPath(document.activeElement);
    replaceMain(document.adoptNode(fresh));
    document.title = next.title;
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    main().querySelectorAll(".scroll").forEach((each, index) => { each.scrollLeft = scrolled[index] || 0; });
    if (focus) refocus(focus);
  }

  // A frame loads anew when it is moved: a part that is still the same stays, and what is around it changes.
  function replaceMain(fresh) {
    const kept = main().querySelector(":scope > [data-keep][id]");
    const twin = kept && fresh.querySelector(`:scope > [id="${CSS.escape(kept.id)}"]`);
    if (!twin || twin.dataset.keep !== kept.dataset.keep) {
      main().replaceWith(fresh);
      return;
    }
    const around = Array.from(fresh.childNodes);
    const at = around.indexOf(twin);
    Array.from(main().childNodes).forEach((each) => { if (each !== kept) each.remove(); });
    kept.before(...around.slice(0, at));
    kept.after(...around.slice(at + 1));
    for (const name of Object.keys(main().dataset)) delete main().dataset[name];
    Object.assign(main().dataset, fresh.dataset);
  }

  // What has the keyboard keeps it: found again by its address, its name or the id around it.
  function focusPath(element) {
    if (!element || !main().contains(element)) return null;
    if (element === main()) return "#main";
    const holder = element.closest("[id]");
    const around = holder && holder !== main() ? `#${CSS.escape(holder.id)} ` : "#main ";
    if (element.id) return `#${CSS.escape(element.id)}`;
    const href = element.getAttribute("href");
    if (href) return `${around}[href="${CSS.escape(href)}"]`;
    const form = element.closest("form");
    if (form) return `${around}form[action="${CSS.escape(form.getAttribute("action"))}"] button`;
    return around + element.localName;
  }

  function refocus(path) {
    const found = document.querySelector(path);
    if (found) found.focus({ preventScroll: true });
  }

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
