// What a bench with views looks like: what is looked at on the left, views of it on the right, and below them which keys
// do what, and how long the answers took.
import { element } from "./dom.js";
import { median } from "./numbers.js";

/** @typedef {{ label: string, content: Node[] }} Side */

const TAB_KEYS = ["tabs", "left and right arrow, Home, End"];
const SLIDER_KEYS = ["sliders", "arrow keys, Home, End"];

/** @param {{ left: Side, right: Side, keys: string[][], views: number, style?: string }} options `keys` are those beside
 *  the ones that tabs and sliders have; there are tabs for more than one of the `views` */
export function frame({ left, right, keys, views, style = "" }) {
  const section = (/** @type {string} */ place, /** @type {Side} */ { label, content }) =>
    element("section", { class: `lab-${place}`, "aria-label": label }, ...content);
  const sides = { left: section("left", left), right: section("right", right) };
  const rows = [...keys, ...(views > 1 ? [TAB_KEYS] : []), SLIDER_KEYS].flatMap(([what, does]) => [
    element("dt", {}, what),
    element("dd", {}, does),
  ]);
  const help = element(
    "details",
    { class: "lab-help" },
    element("summary", {}, "Keyboard"),
    element("dl", {}, ...rows),
  );
  const times = element("p", { class: "lab-timings" });
  return {
    left: sides.left,
    content: [element("div", { class: `lab-bench ${style}`.trim() }, sides.left, sides.right), help, times],
    /** Say how long answers took: the middle one of each kind. @param {Record<string, number[]>} timings */
    tell(timings) {
      const parts = Object.entries(timings).map(([what, values]) => `${what} ${median(values).toFixed(0)} ms`);
      times.textContent = `Computed in this page, on your machine: ${parts.join(" · ")}`;
    },
  };
}
