// A photographed digit for the networks that read handwriting: what is done to the photo first is shown, and can be moved.
import { SIZE } from "../../digit.js";
import { element } from "../../dom.js";
import { extent, wholePercent } from "../../numbers.js";
import { Bars } from "../../probabilities.js";
import { choice, number, settingSlider } from "../../settings.js";
import { centred, cut, darkOnBright, grey, inked } from "../as_digit.js";

/** @import {PhotographView} from "../../types.js" */

export const DIGIT_NETWORKS = ["mnist", "mnist-robust"];

/** @type {PhotographView} */
export const digit = {
  name: "digit",
  title: "As a digit",
  settings: {
    invert: choice("auto", ["auto", "yes", "no"]),
    from: number(0.35, { min: 0, max: 0.9 }),
    right: number(0, { min: -10, max: 10 }),
    down: number(0, { min: -10, max: 10 }),
    size: number(1, { min: 0.5, max: 2 }),
  },

  build(bench, settings) {
    const { painter, size, engine } = bench;
    const networks = DIGIT_NETWORKS.filter((name) => name in engine.facts.networks);
    const bars = new Bars(Object.fromEntries(networks.map((name) => [name, engine.facts.networks[name]])));
    const photo = painter.picture("1. grey", size);
    const ink = painter.picture("2. the ink", size);
    const seen = painter.picture("3. what the networks get", { width: SIZE, height: SIZE });
    const words = element("output", { class: "lab-words" });
    const changed = () => {
      update().catch(bench.failed);
    };
    const invert = element("input", {
      type: "checkbox",
      onchange: () => {
        settings.set("invert", invert.checked ? "yes" : "no");
        changed();
      },
    });
    /** @param {string} name @param {string} label @param {number} step @param {(value: number) => string} text */
    const control = (name, label, step, text) => settingSlider(settings, name, { label, step, text, changed }).element;
    const places = (/** @type {number} */ value) => `${value > 0 ? "+" : ""}${value}`;
    const controls = [
      element("label", { class: "lab-check" }, invert, element("span", {}, "invert: the digit is dark on bright")),
      control("from", "ink begins at", 0.05, wholePercent),
      control("right", "move right", 1, places),
      control("down", "move down", 1, places),
      control("size", "size", 0.05, wholePercent),
    ];

    async function update() {
      const bright = grey(bench.image);
      const asked = settings.get("invert");
      invert.checked = asked === "auto" ? darkOnBright(bright) : asked === "yes";
      const strokes = inked(bright, { invert: invert.checked, from: settings.get("from") });
      const middle = centred(strokes, size.width);
      const pixel = middle.side / SIZE;
      const side = middle.side / settings.get("size");
      const square = {
        left: middle.left + (middle.side - side) / 2 - pixel * settings.get("right"),
        top: middle.top + (middle.side - side) / 2 - pixel * settings.get("down"),
        side,
      };
      const image = cut(strokes, size.width, square);
      photo.show(bright, "1. grey");
      ink.show(strokes, "2. the ink, and the square that is cut out");
      ink.mark(square.top, square.left, side, side);
      seen.show(image, "3. what the networks get, 28 × 28");
      words.textContent =
        extent(image) > 0.01
          ? "The networks for digits know ten answers and must give one, whatever is in the photo."
          : "There is no ink here: the photo has hardly any contrast.";
      for (const name of networks) {
        const { logits } = await engine.ask("predict", name, { image }, { asker: bench.id });
        bars.show(name, logits);
      }
    }

    return {
      content: [
        element("div", { class: "lab-pictures" }, photo.figure, ink.figure, seen.figure),
        element("div", { class: "lab-controls" }, ...controls),
        words,
        ...bars.content,
      ],
      update,
    };
  },
};
