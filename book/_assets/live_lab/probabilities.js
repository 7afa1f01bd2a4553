// The probabilities of all networks, and what they make of the digit, in words.
import { element } from "./dom.js";
import { percent, probabilities, verdict } from "./numbers.js";

/** @import {NetworkFacts} from "./types.js" */

const PAUSE = 700; // milliseconds until it is said aloud

export class Bars {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  /** @type {Record<string, { name: HTMLElement, digit: HTMLElement, share: HTMLElement,
   *   bars: { bar: HTMLElement, text: HTMLElement }[] }>} */
  #parts = {};
  /** @type {Record<string, string>} */
  #sentences = {};
  #spoken = element("p", { class: "lab-said", "aria-live": "polite" });

  /** @param {Record<string, NetworkFacts>} networks */
  constructor(networks) {
    this.networks = networks;
    const names = Object.keys(networks);
    const classes = networks[names[0]].classes;
    for (const name of names) {
      const bars = Array.from({ length: classes }, () => ({
        bar: element("span", { class: "lab-bar" }),
        text: element("span", { class: "lab-share" }),
      }));
      this.#parts[name] = {
        name: element("span", { class: "lab-name" }, networks[name].label),
        digit: element("strong", { class: "lab-verdict-digit" }, "–"),
        share: element("span"),
        bars,
      };
    }
    const own = (/** @type {string} */ name) => `lab-${networks[name].style}`;
    const verdicts = names.map((name) =>
      element(
        "div",
        { class: `lab-verdict ${own(name)}` },
        this.#parts[name].name,
        this.#parts[name].digit,
        this.#parts[name].share,
      ),
    );
    const rows = Array.from({ length: classes }, (_, digit) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, digit),
        ...names.map((name) => {
          const { bar, text } = this.#parts[name].bars[digit];
          return element("td", { class: own(name) }, bar, text);
        }),
      ),
    );
    const heads = names.map((name) => element("th", { scope: "col" }, networks[name].label));
    this.content = [
      element("div", { class: "lab-verdicts" }, ...verdicts),
      element(
        "table",
        { class: "lab-bars" },
        element("caption", {}, "probability of each digit"),
        element("colgroup", {}, element("col"), ...names.map(() => element("col"))),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "digit"), ...heads)),
        element("tbody", {}, ...rows),
      ),
      this.#spoken,
    ];
  }

  /** Say of a network whether the reader has changed it. @param {string} network @param {boolean} changed */
  mark(network, changed) {
    this.#parts[network].name.textContent = changed
      ? `${this.networks[network].label}, changed by you`
      : this.networks[network].label;
  }

  /** @param {string} network @param {Float32Array} logits */
  show(network, logits) {
    const { digit, probability, text } = verdict(logits);
    const parts = this.#parts[network];
    probabilities(logits).forEach((value, at) => {
      const { bar, text: share } = parts.bars[at];
      bar.style.width = `${100 * value}%`;
      bar.classList.toggle("lab-best", at === digit);
      share.textContent = percent(value);
    });
    parts.digit.textContent = String(digit);
    parts.share.textContent = percent(probability);
    const { title } = this.networks[network];
    this.#sentences[network] = `${title[0].toUpperCase()}${title.slice(1)} sees ${text}.`;
    clearTimeout(this.#later);
    this.#later = setTimeout(() => {
      this.#spoken.textContent = Object.values(this.#sentences).join(" ");
    }, PAUSE);
  }
}
