// Occlusion of a photo: grey goes over one part after the other, coarsely first, and the map of what that costs the class
// grows. Point at it to see the covered photo and what the network says instead.
import { element, isShortcut, menu } from "../dom.js";
import { best, clamp, percent, probabilities, wholePercent } from "../numbers.js";
import { colourPicture } from "./colour_picture.js";
import { occluded, overWindows, positions } from "./maps.js";
import { lay } from "./overlay.js";

/** @import {Settings} from "../settings.js" */
/** @import {PhotographBench} from "./bench.js" */

const GREY = 0.5;
const USUAL = 224; // pixels of a side, for which the sizes of the window are named
/** @type {Record<string, [right: number, down: number]>} */
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Covering {
  /** The probability of the class at each position; NaN where it is not known yet. */
  #probability = new Float32Array();
  /** The class that is seen at each position. @type {Int32Array} */
  #seen = new Int32Array();
  /** Of all classes, at each position. @type {Record<number, Float32Array>} */
  #logits = {};
  #clean = 0;
  #explained = 0;
  #place = 0;
  /** Grows with every run and with what puts an end to it: what an older one still finds is not wanted. */
  #turn = 0;
  #grid = grid(USUAL, USUAL);
  running = false;

  /** @param {PhotographBench} bench @param {Settings} settings
   *  @param {{ label: () => number, done: (map: Float32Array) => void }} options */
  constructor(bench, settings, { label, done }) {
    this.bench = bench;
    this.settings = settings;
    this.label = label;
    this.done = done;
    const { size } = bench;
    this.map = colourPicture("what covering costs", size);
    this.cover = colourPicture("covered", size);
    this.words = element("output", { class: "lab-words" });
    const sizes = ["32", "48", "64"].map(
      (window) => /** @type {[string, string]} */ ([window, `${window} × ${window}`]),
    );
    this.window = menu("part", sizes, (value) => {
      settings.set("window", value);
      this.clear();
    });
    settings.show("window", (value) => this.window.show(value));
    this.button = element(
      "button",
      { type: "button", onclick: () => this.run().catch(bench.failed) },
      "Cover it, part by part",
    );
    const { frame } = this.map;
    Object.assign(frame, { tabIndex: 0 });
    frame.setAttribute("role", "application");
    frame.setAttribute("aria-label", "Map of the covered parts. Arrow keys move the grey part.");
    for (const kind of /** @type {const} */ (["pointermove", "pointerdown"])) {
      frame.addEventListener(kind, (event) => this.#point(event));
    }
    frame.addEventListener("keydown", (event) => this.#walk(event));
    this.pictures = element(
      "div",
      { class: "lab-pictures lab-large", hidden: true },
      this.map.figure,
      this.cover.figure,
    );
    this.content = [
      element("h3", {}, "Ask without gradients: cover it"),
      element("div", { class: "lab-controls" }, this.window.element, this.button),
      this.pictures,
      this.words,
    ];
  }

  /** Another photo, another class, or parts of another size. */
  clear() {
    if (this.running) this.bench.stop("cover");
    this.#turn += 1;
    this.running = false;
    this.pictures.hidden = true;
    this.words.textContent = "";
    this.button.textContent = "Cover it, part by part";
  }

  async run() {
    const { bench } = this;
    if (this.running) return bench.stop("cover");
    this.#turn += 1;
    const turn = this.#turn;
    this.#grid = grid(bench.size.width, Number(this.settings.get("window")));
    const { window, stride, count } = this.#grid;
    this.#explained = this.label();
    this.#clean = probabilities(bench.logits)[this.#explained];
    this.#probability = new Float32Array(count * count).fill(NaN);
    this.#seen = new Int32Array(count * count);
    this.#logits = {};
    this.pictures.hidden = false;
    this.map.show(bench.image);
    this.running = true;
    this.button.textContent = "Stop covering";
    const values = { image: bench.image, window, stride, fill: GREY };
    const each = (/** @type {{ parts: { place: number, logits: Float32Array }[], share: number }} */ found) => {
      if (turn !== this.#turn) return;
      for (const { place, logits } of found.parts) {
        this.#probability[place] = probabilities(logits)[this.#explained];
        this.#seen[place] = best(logits);
        this.#logits[place] = logits;
        this.#show(place);
      }
      this.#draw();
      this.words.textContent = `${wholePercent(found.share)} of ${count * count} parts, ${count} × ${count} …`;
    };
    try {
      const found = await bench.ask(`${count * count} covered photos`, "cover", values, each);
      if (turn !== this.#turn) return;
      if (!found) {
        this.words.textContent = "Stopped. The map shows what the parts so far have cost.";
        return;
      }
      this.done(this.#costs().map((value) => (Number.isNaN(value) ? 0 : value)));
      this.#show(best(this.#probability.map((value) => -value)));
      this.words.textContent = this.#summary();
    } finally {
      if (turn === this.#turn) {
        this.running = false;
        this.button.textContent = "Cover it again";
      }
    }
  }

  /** What each pixel's windows take from the class's probability. */
  #costs() {
    return overWindows(
      this.#probability.map((value) => this.#clean - value),
      this.#grid,
    );
  }

  #draw() {
    const costs = this.#costs().map((value) => (Number.isNaN(value) ? NaN : Math.max(value, 0)));
    const most = Math.max(...costs.filter((value) => !Number.isNaN(value)));
    lay(this.bench.painter, this.map, costs, this.bench.size, most);
    const name = this.bench.names[this.#explained];
    this.map.say(
      `what covering costs ${name}, the mean of all parts that cover a pixel: up to ${percent(most)} of ${percent(this.#clean)}`,
    );
  }

  /** Show the photo with this part covered. @param {number} place */
  #show(place) {
    const { bench } = this;
    const { window, count, corners } = this.#grid;
    if (!this.#logits[place]) return;
    this.#place = place;
    const [top, left] = [corners[Math.floor(place / count)], corners[place % count]];
    this.cover.show(occluded(bench.image, bench.size, { top, left, window, fill: GREY }));
    const seen = this.#seen[place];
    const probability = probabilities(this.#logits[place])[seen];
    const own =
      seen === this.#explained ? "" : ` (${bench.names[this.#explained]} ${percent(this.#probability[place])})`;
    this.cover.say(`${bench.names[seen]}, ${percent(probability)}${own}`);
  }

  #summary() {
    const { bench } = this;
    const name = bench.names[this.#explained];
    /** @type {Map<number, number>} */
    const others = new Map();
    for (const seen of this.#seen) if (seen !== bench.label) others.set(seen, (others.get(seen) ?? 0) + 1);
    const ranked = [...others].sort((one, other) => other[1] - one[1]).slice(0, 3);
    const least = Math.min(...this.#probability);
    const cost = `Covering the worst part leaves ${name} ${percent(least)} of ${percent(this.#clean)}.`;
    if (!ranked.length) return `${cost} Whatever part is covered, it still sees ${bench.names[bench.label]}.`;
    const times = [...others.values()].reduce((sum, count) => sum + count, 0);
    const list = ranked.map(([seen, count]) => `${bench.names[seen]} (${count})`).join(", ");
    return `${cost} At ${times} of ${this.#seen.length} places it no longer sees ${bench.names[bench.label]}, but ${list}. Point at the map to see them.`;
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const box = this.map.frame.getBoundingClientRect();
    const { size, window, stride, count } = this.#grid;
    const at = (/** @type {number} */ part) => clamp(Math.round((part * size - window / 2) / stride), 0, count - 1);
    this.#show(at((event.clientY - box.top) / box.height) * count + at((event.clientX - box.left) / box.width));
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    if (!(event.key in MOVES) || isShortcut(event)) return;
    event.preventDefault();
    const [right, down] = MOVES[event.key];
    const { count } = this.#grid;
    const row = clamp(Math.floor(this.#place / count) + down, 0, count - 1);
    this.#show(row * count + clamp((this.#place % count) + right, 0, count - 1));
  }
}

/** Where the parts lie. @param {number} size of the photo @param {number} window its side, for a photo of USUAL pixels */
function grid(size, window) {
  const side = Math.max(2, Math.round((window * size) / USUAL));
  const stride = Math.floor(side / 2);
  return { size, window: side, stride, ...positions(size, side, stride) };
}
