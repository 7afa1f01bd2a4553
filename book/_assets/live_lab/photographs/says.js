// What the networks say of a photo: the five likeliest of a thousand classes, and what the network for CIFAR-10 makes of
// the same part, cut down to 32 x 32.
import { element } from "../dom.js";
import { percent, probabilities, wholePercent } from "../numbers.js";
import { resized } from "./resize.js";
import { paintColours } from "./colour_picture.js";

/** @import {Engine} from "../engine.js" */
/** @import {Box, Pixels} from "./resize.js" */

const IMAGENET = 1000; // classes
export const UNSURE = 0.3;

/** Places of the largest numbers, the largest first. @param {ArrayLike<number>} values @param {number} count */
function largest(values, count) {
  return Array.from(values, (_, at) => at)
    .sort((one, other) => values[other] - values[one])
    .slice(0, count);
}

export class Says {
  #spoken = element("p", { class: "lab-said", "aria-live": "polite" });
  #warning = element("p", { class: "lab-blank" });

  /** @param {Engine} engine @param {string} network @param {string | null} beside another network, if there is one */
  constructor(engine, network, beside) {
    this.engine = engine;
    this.facts = engine.facts.networks[network];
    const { title, classes } = this.facts;
    const count = classes.toLocaleString("en");
    this.top = table(`${title}: its likeliest of ${count} classes`, Math.min(5, classes), "lab-ordinary");
    this.other = beside === null ? null : new Beside(engine, beside);
    this.content = [this.top.element, this.#warning, ...(this.other ? [this.other.element] : []), this.#spoken];
  }

  /** @param {Float32Array} logits of the network for photographs
   *  @param {Pixels} picture @param {Box} box the part that is looked at */
  async show(logits, picture, box) {
    const { names = [], classes } = this.facts;
    const shares = probabilities(logits);
    const first = largest(shares, Math.min(5, classes));
    this.top.show(first.map((at) => ({ name: names[at], share: shares[at] })));
    const { name, share } = { name: names[first[0]], share: shares[first[0]] };
    const faces = classes === IMAGENET ? " It has hardly any class for people, and none for a face." : "";
    this.#warning.textContent =
      share < UNSURE
        ? `Not even its first choice, ${name}, reaches ${wholePercent(UNSURE)}: what is in the photo may be none of its classes.${faces}`
        : `It must choose among its ${classes.toLocaleString("en")} classes.${faces} A high confidence is no proof.`;
    await this.other?.show(picture, box);
    this.#spoken.textContent = `It sees ${name}, ${percent(share)}.`;
  }
}

/** What a small network makes of the same part of the photo. */
class Beside {
  /** @param {Engine} engine @param {string} network */
  constructor(engine, network) {
    this.engine = engine;
    this.network = network;
    this.facts = engine.facts.networks[network];
    const [, height, width] = this.facts.shape;
    this.size = { height, width };
    this.table = table(`${this.facts.title}, which knows ten classes`, 3, "lab-robust");
    this.small = element("canvas", { role: "img", "aria-label": `the photo in ${height} × ${width} pixels` });
    const frame = element("div", { class: "lab-frame" }, this.small);
    this.element = element("div", { class: "lab-small-network" }, frame, this.table.element);
  }

  /** @param {Pixels} picture @param {Box} box */
  async show(picture, box) {
    const image = resized(picture, box, this.size.width, this.size.height);
    paintColours(this.small, image, this.size);
    const { logits } = await this.engine.ask("predict", this.network, { image });
    const shares = probabilities(logits);
    const { names = [] } = this.facts;
    this.table.show(largest(shares, 3).map((at) => ({ name: names[at], share: shares[at] })));
  }
}

/** A few classes with their probabilities as bars. @param {string} caption @param {number} count @param {string} style */
function table(caption, count, style) {
  const rows = Array.from({ length: count }, () => ({
    name: element("th", { scope: "row" }),
    bar: element("span", { class: "lab-bar" }),
    text: element("span", { class: "lab-share" }),
  }));
  const made = element(
    "table",
    { class: `lab-bars lab-classes ${style}` },
    element("caption", {}, caption),
    element("tbody", {}, ...rows.map(({ name, bar, text }) => element("tr", {}, name, element("td", {}, bar, text)))),
  );
  return {
    element: made,
    /** @param {{ name: string, share: number }[]} classes */
    show(classes) {
      classes.forEach(({ name, share }, at) => {
        rows[at].name.textContent = name;
        rows[at].bar.style.width = `${100 * share}%`;
        rows[at].bar.classList.toggle("lab-best", at === 0);
        rows[at].text.textContent = percent(share);
      });
    },
  };
}
