// One switch for the whole book: code shown or folded. Without a choice, plumbing is folded and the rest is shown.
export function start() {
  const KEY = "course-code";
  const CHOICES = { "": "main", hide: "none", show: "all" };
  const cells = [...document.querySelectorAll(".cell:has(> .cell_input, > details .cell_input)")];
  const buttons = document.querySelector(".article-header-buttons");
  if (!cells.length || !buttons) return;
  const load = () => {
    try {
      return localStorage.getItem(KEY) ?? "";
    } catch {
      return "";
    }
  };

  // Cells that the book shows get a fold of their own.
  for (const input of document.querySelectorAll(".cell > .cell_input")) {
    if (!input.parentElement?.classList.contains("tag_hide-cell")) {
      const fold = document.createElement("details");
      fold.className = "course-fold";
      fold.open = true;
      fold.append(Object.assign(document.createElement("summary"), { textContent: "Code" }));
      input.before(fold);
      fold.append(input);
    }
  }
  const own = /** @type {HTMLDetailsElement[]} */ ([...document.querySelectorAll("details.course-fold")]);
  const plumbing = /** @type {HTMLDetailsElement[]} */ ([
    ...document.querySelectorAll(".cell > details:not(.course-fold)"),
  ]);

  const select = document.createElement("select");
  for (const [value, text] of Object.entries(CHOICES)) select.append(new Option(text, value));
  const label = document.createElement("label");
  label.className = "course-code";
  label.append("Code: ", select);
  buttons.prepend(label);
  const apply = () => {
    for (const fold of own) fold.open = select.value !== "hide";
    for (const fold of plumbing) fold.open = select.value === "show";
  };
  select.addEventListener("change", () => {
    apply();
    try {
      localStorage.setItem(KEY, select.value);
    } catch {
      // it holds for this page
    }
  });
  select.value = load();
  apply();
}
