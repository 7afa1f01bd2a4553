// Sliders and menus that choose which of a figure's frames is shown (tools/website/pictures.py).
import { element } from "../live_lab/dom.js";

/** @typedef {{ name: string, values: string[], start: number, menu: boolean, play: boolean }} Control */
const PAUSE = 600; // milliseconds a frame, while it plays

/** @param {Control} control @param {() => void} changed */
function menu({ name, values, start: first }, changed) {
  const select = element("select", { onchange: changed }, ...values.map((value) => element("option", {}, value)));
  select.selectedIndex = first;
  return { place: element("label", {}, name, select), index: () => select.selectedIndex };
}

/** @param {Control} control @param {() => void} changed */
function range({ name, values, start: first, play }, changed) {
  const input = element("input", { type: "range", min: 0, max: values.length - 1, value: first });
  const shown = element("output", { "aria-hidden": "true" }); // the slider says it
  const tell = () => {
    shown.textContent = values[input.valueAsNumber];
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  const moved = () => {
    tell();
    changed();
  };
  input.addEventListener("input", moved);
  tell();
  const place = element("div", {}, element("label", {}, element("span", {}, name), input), shown);
  if (play) place.prepend(player(name, input, moved));
  return { place, index: () => input.valueAsNumber };
}

/** A button that moves a slider by itself. @param {string} name @param {HTMLInputElement} input @param {() => void} moved */
function player(name, input, moved) {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const button = element("button", { type: "button", onclick: () => (timer === undefined ? go() : stop()) });
  const last = () => input.value === input.max;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    button.textContent = "▶";
    button.setAttribute("aria-label", `play ${name}`);
  };
  const go = () => {
    if (last()) input.value = "0";
    moved();
    button.textContent = "❚❚";
    button.setAttribute("aria-label", `pause ${name}`);
    timer = setInterval(() => {
      input.stepUp();
      moved();
      if (last()) stop();
    }, PAUSE);
  };
  for (const kind of ["pointerdown", "keydown"]) input.addEventListener(kind, stop);
  stop();
  return button;
}

/** @param {HTMLElement} box */
function begin(box) {
  const frames = /** @type {HTMLElement[]} */ ([...box.querySelectorAll(".course-frame")]);
  const controls = /** @type {Control[]} */ (JSON.parse(box.dataset.controls ?? "[]"));
  // Frames are fetched when somebody is about to move a slider.
  const load = () => {
    for (const image of box.querySelectorAll("img")) image.loading = "eager";
  };
  let wanted = frames.find((frame) => !frame.hidden);
  const show = async () => {
    const next = frames[made.reduce((sum, { index }, at) => sum * controls[at].values.length + index(), 0)];
    wanted = next;
    load();
    await next
      .querySelector("img")
      ?.decode()
      .catch(() => {}); // no empty moment between two frames
    if (wanted === next) for (const frame of frames) frame.hidden = frame !== next;
  };
  const made = controls.map((control) => (control.menu ? menu : range)(control, show));
  const place = element("div", { class: "course-controls" }, ...made.map((control) => control.place));
  for (const kind of ["pointerenter", "focusin"]) place.addEventListener(kind, load, { once: true });
  box.querySelector(".course-still")?.after(place);
  box.classList.add("course-live");
}

export function start() {
  /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".course-slider")).forEach(begin);
}
