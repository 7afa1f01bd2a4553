// Repairs that let Jupyter widgets work in a built page, without a kernel and without any outside host.
// Loaded before the theme's scripts.

// The theme's FontAwesome would replace each <i> by an <svg>, which crashes the widgets that hold on to their <i>.
Object.assign(window, { FontAwesomeConfig: { autoReplaceSvg: "nest" } });

// Widgets typeset their labels by MathJax 2's Hub.Queue, the book has MathJax 3: translate, whenever it arrives.
(() => {
  /** @type {{ startup?: { promise?: Promise<void> }, typesetPromise(elements: Element[]): Promise<void> } | undefined} */
  let current;
  /** @param {[string, unknown, Element]} queued */
  const typeset = ([, , element]) => {
    const mathjax = current;
    mathjax?.startup?.promise?.then(() => mathjax.typesetPromise([element])).catch(console.error);
  };
  Object.defineProperty(window, "MathJax", {
    configurable: true,
    get: () => current,
    set(value) {
      Object.defineProperty(value, "Hub", { value: { Queue: typeset }, configurable: true });
      current = value;
    },
  });
})();

// Names for what has none, so that a screen reader can say it; widgets arrive late and come anew, hence the observer.
document.addEventListener("DOMContentLoaded", () => {
  /** @param {Element | null | undefined} element */
  const label = (element) => element?.querySelector(".widget-label")?.textContent?.trim();
  const name = () => {
    for (const handle of document.querySelectorAll(".widget-slider .noUi-handle")) {
      const slider = handle.closest(".widget-slider");
      const value = slider?.querySelector(".widget-readout")?.textContent;
      if (!handle.ariaLabel) handle.ariaLabel = label(slider) || "slider";
      if (value && handle.ariaValueText !== value) handle.ariaValueText = value; // not the number of the choice
    }
    for (const button of document.querySelectorAll(".widget-play button:not([aria-label])")) {
      const action = ["play or pause", "stop", "repeat"][[...(button.parentElement?.children ?? [])].indexOf(button)];
      button.setAttribute("aria-label", `${action} ${label(button.closest(".widget-box") ?? button) ?? ""}`.trim());
    }
    // Wide formulas scroll, which must be possible without a mouse too.
    for (const formula of /** @type {NodeListOf<HTMLElement>} */ (
      document.querySelectorAll('mjx-container[display="true"]:not([tabindex])')
    )) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    }
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  window.addEventListener("resize", name); // formulas may have become too wide

  // The theme's own: a name that leaves out what is written on the thing, or none at all.
  for (const button of document.querySelectorAll(".search-button-field, .theme-switch-button, details > summary")) {
    button.removeAttribute("aria-label");
  }
  document.querySelector(".navbar-brand")?.parentElement?.setAttribute("role", "banner");
  for (const toggle of document.querySelectorAll("summary:has(> .toctree-toggle)")) {
    const page = toggle.closest("li")?.querySelector("a")?.textContent?.trim();
    toggle.setAttribute("aria-label", `pages of ${page}`);
  }
  // Sphinx writes a function's parameters as definitions without a term: they are a list.
  for (const list of document.querySelectorAll("dt.sig dl")) {
    list.setAttribute("role", "list");
    for (const item of list.children) item.setAttribute("role", "listitem");
  }
});
