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

// An image in a widget has no alternative text of its own; the figure around it is named by the widget's first label.
document.addEventListener("DOMContentLoaded", () => {
  const describe = () => {
    for (const image of document.querySelectorAll("img.jupyter-widgets:not([alt])")) {
      const box = image.closest(".cell_output");
      const label = box?.querySelector(".widget-label")?.textContent.trim();
      image.alt = box?.dataset.alt || (label ? `The figure for the slider's value of: ${label}` : "A figure");
    }
  };
  new MutationObserver(describe).observe(document.body, { childList: true, subtree: true });
});
