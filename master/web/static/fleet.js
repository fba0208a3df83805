// What a script adds to the fleet's pages: values under the pointer, and buttons that copy.
"use strict";

(() => {
  function nearest(points, x) {
    return points.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
  }

  function ago(seconds) {
    if (seconds < 90) return `−${seconds} s`;
    if (seconds < 5400) return `−${Math.round(seconds / 60)} min`;
    if (seconds < 172800) return `−${(seconds / 3600).toFixed(1)} h`;
    return `−${(seconds / 86400).toFixed(1)} d`;
  }

  function clear(figure) {
    figure.querySelectorAll(".tip, .at").forEach((each) => each.remove());
  }

  function point(event) {
    const svg = event.target.closest && event.target.closest(".chart svg");
    if (!svg) return;
    const figure = svg.closest(".chart");
    const points = JSON.parse(figure.dataset.points);
    if (!points.length) return;
    const box = svg.getBoundingClientRect();
    const [x, seconds, text] = nearest(points, ((event.clientX - box.left) / box.width) * 600);
    clear(figure);
    const mark = svg.querySelector(".grid").cloneNode(false);
    mark.setAttribute("class", "at");
    mark.setAttribute("d", `M${x} 0V100`);
    svg.append(mark);
    const tip = document.createElement("span");
    tip.className = "tip";
    tip.textContent = `${text}, ${ago(seconds)}`;
    figure.append(tip);
  }

  document.addEventListener("pointermove", point);
  document.addEventListener("pointerout", (event) => {
    const figure = event.target.closest && event.target.closest(".chart");
    if (figure && !figure.contains(event.relatedTarget)) clear(figure);
  });

  function showButtons() {
    if (!navigator.clipboard) return; // without https, or an old browser: the text can be selected
    document.querySelectorAll("[data-copies]").forEach((button) => { button.hidden = false; });
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest && event.target.closest("[data-copies]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = button.dataset.done;
  });
  showButtons();
})();
