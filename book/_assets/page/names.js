// Names for what has none, so that a screen reader can say it, and wide things that can be scrolled without a mouse.
export function start() {
  const reachable = () => {
    const wide = ".katex-display, .pst-scrollable-table-container, .cell_output > .output";
    for (const thing of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(wide))) {
      if (thing.scrollWidth > thing.clientWidth) thing.tabIndex = 0;
      else thing.removeAttribute("tabindex");
    }
  };
  reachable();
  window.addEventListener("resize", reachable);

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
}
