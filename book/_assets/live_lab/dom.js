// Elements and controls that all parts of the lab are made of.

/** @typedef {Record<string, string | number | boolean | ((event: any) => void)>} Attributes */

/** A DOM element with attributes (on... are listeners, true and false switch an attribute on and off) and children.
 *  @template {keyof HTMLElementTagNameMap} T
 *  @param {T} tag @param {Attributes} attributes @param {(Node | string | number)[]} children */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.map((child) => (typeof child === "number" ? String(child) : child)));
  return made;
}

/** A slider with its label and its value beside it. `show` moves it without having it tell.
 *  @param {string} label
 *  @param {{ min: number, max: number, step: number, text?: (value: number) => string,
 *            change: (value: number) => void }} options */
export function slider(label, { min, max, step, text = String, change }) {
  const value = element("output", { "aria-hidden": "true" }); // the slider says it
  const input = element("input", { type: "range", min, max, step, "aria-label": label });
  /** @param {number} to */
  const show = (to) => {
    input.value = String(to);
    value.textContent = text(to);
    input.setAttribute("aria-valuetext", text(to));
  };
  input.addEventListener("input", () => {
    show(input.valueAsNumber);
    change(input.valueAsNumber);
  });
  show(min);
  return { element: element("label", { class: "lab-slider" }, element("span", {}, label), input, value), input, show };
}

/** A menu with its label.
 *  @param {string} label @param {[value: string, text: string][]} choices @param {(value: string) => void} change */
export function menu(label, choices, change) {
  const select = element(
    "select",
    { onchange: () => change(select.value) },
    ...choices.map(([value, text]) => element("option", { value }, text)),
  );
  const show = (/** @type {string} */ value) => {
    select.value = value;
  };
  return { element: element("label", { class: "lab-menu" }, element("span", {}, label), select), show };
}

/** Whether a key belongs to the browser, such as that of Alt and an arrow, which goes back. @param {KeyboardEvent} event */
export const isShortcut = ({ ctrlKey, altKey, metaKey }) => ctrlKey || altKey || metaKey;

/** Save something as a file on the reader's machine. @param {string} name @param {Blob} content */
export function download(name, content) {
  const href = URL.createObjectURL(content);
  element("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/** A row of buttons of which one may be pressed.
 *  @param {string} label @param {string[]} texts @param {(text: string) => string} spoken
 *  @param {(text: string) => void} change */
export function keys(label, texts, spoken, change) {
  const buttons = texts.map((text) =>
    element(
      "button",
      { type: "button", "aria-pressed": "false", "aria-label": spoken(text), onclick: () => change(text) },
      text,
    ),
  );
  const show = (/** @type {string} */ pressed) => {
    texts.forEach((text, at) => buttons[at].setAttribute("aria-pressed", String(text === pressed)));
  };
  return { element: element("div", { class: "lab-keys", role: "group", "aria-label": label }, ...buttons), show };
}

export const DIGITS = [...Array(10).keys()].map(String);
