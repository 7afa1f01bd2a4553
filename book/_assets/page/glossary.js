// Shows a term's definition where the term stands: when it is pointed at, reached with the tab key, or tapped.
export function start() {
  const tip = document.createElement("div");
  tip.id = "course-definition";
  tip.role = "tooltip";
  tip.hidden = true;
  document.body.append(tip);
  /** @type {HTMLAnchorElement | null} */
  let shown = null;

  const hide = () => {
    shown?.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  };

  /** @param {HTMLAnchorElement} link */
  const show = (link) => {
    if (shown === link) return;
    hide();
    shown = link;
    tip.textContent = link.dataset.definition ?? "";
    tip.hidden = false;
    link.setAttribute("aria-describedby", tip.id);
    const { left, top, bottom } = [...link.getClientRects()][0]; // the first line, where a term is broken
    const { offsetWidth: width, offsetHeight: height } = tip;
    const x = Math.max(8, Math.min(left, document.documentElement.clientWidth - width - 8));
    const above = bottom + height + 8 > window.innerHeight && top > height;
    tip.style.left = `${x + window.scrollX}px`;
    tip.style.top = `${(above ? top - height : bottom) + window.scrollY}px`;
  };

  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("a.course-term"))) {
    link.dataset.definition = link.title;
    link.removeAttribute("title");
    /** @type {string | undefined} */
    let pointer;
    link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(link));
    link.addEventListener("pointerdown", (event) => (pointer = event.pointerType));
    link.addEventListener("focus", () => pointer === undefined && show(link));
    link.addEventListener("click", (event) => {
      const tapped = pointer !== undefined && pointer !== "mouse";
      pointer = undefined;
      if (!tapped || shown === link) return; // a second tap goes to the glossary
      event.preventDefault();
      show(link);
    });
    link.addEventListener("blur", hide);
    // The definition stays while the mouse is over it, so that it can be read and selected.
    link.addEventListener("pointerleave", ({ relatedTarget, pointerType }) => {
      if (pointerType === "mouse" && relatedTarget !== tip) hide();
    });
  }
  tip.addEventListener("pointerleave", ({ relatedTarget }) => relatedTarget !== shown && hide());
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  window.addEventListener("resize", hide); // the word has moved
  document.addEventListener("pointerdown", ({ target }) => {
    if (target instanceof Node && shown && !shown.contains(target) && !tip.contains(target)) hide();
  });
}
