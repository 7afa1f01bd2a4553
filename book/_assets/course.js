// Repairs that let Jupyter widgets work in a built page, without a kernel and without any outside host.
// Loaded before the theme's scripts.

// The theme's FontAwesome would replace each <i> by an <svg>, which crashes the widgets that hold on to their <i>.
window.FontAwesomeConfig = { autoReplaceSvg: "nest" };

// Widgets typeset their labels by MathJax 2's Hub.Queue, the book has MathJax 3: translate, whenever it arrives.
(() => {
  const typeset = ([, , element]) => {
    const mathjax = window.MathJax;
    mathjax.startup?.promise?.then(() => mathjax.typesetPromise([element])).catch(console.error);
  };
  let current;
  Object.defineProperty(window, "MathJax", {
    configurable: true,
    get: () => current,
    set(value) {
      Object.defineProperty(value, "Hub", { value: { Queue: typeset }, configurable: true });
      current = value;
    },
  });
})();

// A slider's handle has no name of its own: give it the label that stands beside it.
document.addEventListener("DOMContentLoaded", () => {
  const name = () => {
    for (const handle of document.querySelectorAll(".widget-slider .noUi-handle:not([aria-label])")) {
      const label = handle.closest(".widget-slider").querySelector(".widget-label")?.textContent.trim();
      handle.setAttribute("aria-label", label || "slider");
    }
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
});
