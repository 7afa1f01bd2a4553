// What the networks say of a photo: the five likeliest of a thousand classes, and what the network for CIFAR-10 makes of
// the same part, cut down to 32 x 32.
import { element } from "../dom.js";
import { percent, probabilities } from "../numbers.js";
import { resized } from "./resize.js";
import { paintColours } from "./colour_picture.js";

/** @import {Painter} from "../colours.js" */
/** @import {Engine} from "../engine.js" */
/** @import {Box, Pixels} from "./resize.js" */

const [BESIDE, SMALL] = ["cifar10", 32];
const UNSURE = 0.3;

/** Places of the largest numbers, the largest first. @param {ArrayLike<number>} values @param {number} count */
export function largest(values, count) {
  return Array.from(values, (_, at) => at)
    .sort((one, other) => values[other] - values[one])
    .slice(0, count);
}

export class Says {
  #spoken = element("p", { class: "lab-said", "aria-live": "polite" });
  #warning = element("p", { class: "lab-blank" });

  /** @param {Engine} engine @param {Painter} painter */
  constructor(engine, painter) {
    this.engine = engine;
    this.painter = painter;
    this.top = table("EfficientNet-Lite0, the likeliest of 1,000 classes", 5, "lab-ordinary");
    this.beside = table("the CIFAR-10 network, which knows ten classes", 3, "lab-robust");
    this.small = element("canvas", { role: "img", "aria-label": "the photo in 32 × 32 pixels" });
    this.content = [
      this.top.element,
      this.#warning,
      element(
        "div",
        { class: "lab-small-network" },
        element("div", { class: "lab-frame" }, this.small),
        this.beside.element,
      ),
      this.#spoken,
    ];
  }

  /** @param {Float32Array} logits of the network for photographs
   *  @param {Pixels} picture @param {Box} box the part that is looked at */
  async show(logits, picture, box) {
    const names = this.engine.facts.networks.efficientnet_lite0.names ?? [];
    const shares = probabilities(logits);
    const first = largest(shares, 5);
    this.top.show(first.map((at) => ({ name: names[at], share: shares[at] })));
    const { name, share } = { name: names[first[0]], share: shares[first[0]] };
    this.#warning.textContent =
      share < UNSURE
        ? `Not even its first choice, ${name}, reaches ${Math.round(100 * UNSURE)}%: what is in the photo may be none of its classes.`
        : "It must choose among its 1,000 classes. There is none for a face or a person, and a high confidence is no proof.";
    const image = resized(picture, box, SMALL, SMALL);
    paintColours(this.small, image, { width: SMALL, height: SMALL });
    const found = await this.engine.ask("predict", BESIDE, { image });
    const tens = probabilities(found.logits);
    const classes = this.engine.facts.networks[BESIDE].names ?? [];
    this.beside.show(largest(tens, 3).map((at) => ({ name: classes[at], share: tens[at] })));
    this.#spoken.textContent = `It sees ${name}, ${percent(share)}.`;
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
