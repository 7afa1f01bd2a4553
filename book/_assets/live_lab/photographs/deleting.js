// Which map to trust on this photo: pixels are replaced by grey, those first that a map calls important. The sooner the
// class is gone, the more the map knew.
import { chart } from "../chart.js";
import { element } from "../dom.js";
import { percent, wholePercent } from "../numbers.js";

/** @import {PhotographBench} from "./bench.js" */

const STEPS = 20;
const RANDOM = "in random order";
const BEGIN = "Take away what they call important";
/** Each curve's colour, in lab.css. @type {Record<string, string>} */
const STYLES = {
  saliency: "lab-ordinary",
  SmoothGrad: "lab-robust",
  "integrated gradients": "lab-A",
  "Grad-CAM": "lab-B",
  occlusion: "lab-certified",
  [RANDOM]: "lab-random",
};

export class Deleting {
  running = false;

  /** @param {PhotographBench} bench @param {{ label: () => number, maps: () => Record<string, Float32Array> }} options */
  constructor(bench, { label, maps }) {
    this.bench = bench;
    this.label = label;
    this.maps = maps;
    this.chart = chart({
      title: "probability that is left",
      across: "pixels taken away",
      bounds: [0, 1],
      ticks: [0, 0.5, 1],
      text: wholePercent,
      far: wholePercent,
    });
    this.button = element(
      "button",
      { type: "button", disabled: true, onclick: () => this.run().catch(bench.failed) },
      BEGIN,
    );
    this.rows = element("tbody");
    this.table = element(
      "table",
      { class: "lab-areas", hidden: true },
      element("caption", {}, "mean probability that is left, the lowest first"),
      this.rows,
    );
    this.words = element("output", { class: "lab-words" });
    this.body = element("div", { class: "lab-beside", hidden: true }, this.chart.figure, this.table);
    this.content = [
      element("h3", {}, "Which map knew best, on this photo?"),
      element("div", { class: "lab-controls" }, this.button),
      this.body,
      this.words,
    ];
  }

  clear() {
    this.button.disabled = true;
    this.body.hidden = true;
    this.table.hidden = true;
    this.words.textContent = "";
  }

  /** The maps are there. */
  ready() {
    this.button.disabled = false;
  }

  async run() {
    const { bench } = this;
    if (this.running) return bench.stop("deletion");
    const { image } = bench;
    const maps = { ...this.maps(), [RANDOM]: new Float32Array(bench.size.width * bench.size.height) };
    this.running = true;
    this.body.hidden = false;
    this.table.hidden = true;
    this.button.textContent = "Stop";
    const show = (/** @type {Record<string, number[]>} */ curves) =>
      this.chart.show(
        Object.entries(curves).map(([name, curve]) => ({
          name,
          style: STYLES[name],
          dashed: name === RANDOM,
          points: curve.map((value, step) => /** @type {[number, number]} */ ([step / STEPS, value])),
        })),
        1,
      );
    const each = (/** @type {{ share: number, curves: Record<string, number[]> }} */ { share, curves }) => {
      if (image !== bench.image) return;
      show(curves);
      this.words.textContent = `${wholePercent(share)} of the pixels are taken away …`;
    };
    try {
      const values = { image, label: this.label(), maps, steps: STEPS };
      const found = await bench.ask("deletion curves", "deletion", values, each);
      this.words.textContent = "";
      if (found && image === bench.image) this.#conclude(found.curves);
    } finally {
      this.running = false;
      this.button.textContent = BEGIN;
    }
  }

  /** @param {Record<string, number[]>} curves */
  #conclude(curves) {
    const areas = Object.entries(curves)
      .map(([name, curve]) => ({ name, area: area(curve) }))
      .sort((one, other) => one.area - other.area);
    this.table.hidden = false;
    this.rows.replaceChildren(
      ...areas.map(({ name, area: value }) =>
        element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, percent(value))),
      ),
    );
    const [first] = areas;
    const random = areas.find(({ name }) => name === RANDOM) ?? first;
    const worse = areas
      .filter(({ area: value, name }) => value > random.area && name !== RANDOM)
      .map(({ name }) => name);
    const verdict =
      first.name === RANDOM
        ? "No map knew more than chance: the pixels in random order take the class away soonest."
        : `${list([first.name])} knew best here: what it calls important takes the class away soonest.`;
    const warning = worse.length ? ` ${list(worse)} did worse than a random order.` : "";
    this.words.textContent =
      `${verdict}${warning} Grey pixels make a picture that no network was trained on, so that even a random order ` +
      "takes much away soon; and on another photo another map may win.";
  }
}

/** The mean of a curve. @param {number[]} curve */
export function area(curve) {
  const inner = curve.slice(1, -1).reduce((sum, value) => sum + value, 0);
  return (inner + (curve[0] + curve[curve.length - 1]) / 2) / (curve.length - 1);
}

/** Names at the beginning of a sentence. @param {string[]} names */
function list(names) {
  const text = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}` : names[0];
  return text[0].toUpperCase() + text.slice(1);
}
