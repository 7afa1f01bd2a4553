// What can be seen of a network while it is trained: its filters, which digits it takes for which, and test digits one by one.
import { SIZE } from "../digit.js";
import { element } from "../dom.js";
import { extent } from "../numbers.js";

/** @import {Painter} from "../colours.js" */
/** @import {Own, Report} from "../types.js" */

const CELL = SIZE + 2;
const [ROWS, COLUMNS] = [5, 12]; // of test digits
const GAP = 1; // between filters, in weights

export class Progress {
  /** What it read in each test digit at the last test. @type {Uint8Array | null} */
  #before = null;
  #filters = element("canvas", { class: "lab-filters", role: "img", "aria-label": "filters of the first convolution" });
  #filterWords = element("figcaption", {}, "filters of the first convolution");
  #digits = element("canvas", { class: "lab-watched", role: "img", "aria-label": "test digits" });
  #digitWords = element("output", { class: "lab-words" });
  #mistakes = element("output", { class: "lab-words" });
  #cells = Array.from({ length: 100 }, () => element("td"));

  /** @param {string} name @param {Painter} painter @param {{ pixels: Uint8Array, classes: Uint8Array }} test */
  constructor(name, painter, test) {
    this.painter = painter;
    this.test = test;
    const digits = [...Array(10).keys()];
    const head = digits.map((digit) => element("th", { scope: "col" }, digit));
    const rows = digits.map((digit) =>
      element("tr", {}, element("th", { scope: "row" }, digit), ...this.#cells.slice(10 * digit, 10 * digit + 10)),
    );
    const table = element(
      "table",
      { class: "lab-confusion" },
      element("caption", {}, "confusion matrix: how many test digits of each row are read as each column"),
      element("thead", {}, element("tr", {}, element("td"), ...head)),
      element("tbody", {}, ...rows),
    );
    this.content = element(
      "div",
      { class: `lab-progress lab-${name}` },
      element("h3", { class: `lab-heading lab-${name}` }, `Inside network ${name}`),
      element("figure", { class: "lab-picture" }, this.#filters, this.#filterWords),
      element(
        "div",
        { class: "lab-beside" },
        element("div", {}, table, this.#mistakes),
        element("figure", { class: "lab-picture" }, this.#digits, element("figcaption", {}, this.#digitWords)),
      ),
    );
  }

  /** Nothing has been read yet. @param {Own} own */
  begin(own) {
    this.#before = null;
    for (const cell of this.#cells) cell.replaceChildren();
    this.#mistakes.textContent = "";
    this.#showFilters(own);
    this.#showDigits(null);
  }

  /** @param {Own} own @param {Report} report */
  show(own, { test }) {
    this.#showFilters(own);
    if (!test) return;
    this.#showConfusion(test.predictions);
    this.#showDigits(test.predictions);
    this.#before = test.predictions;
  }

  /** @param {Own} own */
  #showFilters({ facts, state }) {
    if (!facts.kernels) return;
    const { tensor, count, size } = facts.kernels;
    const [tall, wide] = size;
    const width = count * (wide + GAP) - GAP;
    const values = new Float32Array(tall * width).fill(NaN);
    state[tensor].forEach((weight, at) => {
      const [filter, row, column] = [Math.floor(at / (tall * wide)), Math.floor(at / wide) % tall, at % wide];
      values[row * width + filter * (wide + GAP) + column] = weight;
    });
    const limit = extent(state[tensor]);
    this.painter.paint(this.#filters, values, width, tall, { kind: "signed", limit });
    this.#filterWords.textContent = `the ${count} filters of the first convolution: red adds, blue takes away, ± ${limit.toPrecision(2)}`;
  }

  /** @param {Uint8Array} predictions */
  #showConfusion(predictions) {
    const counts = new Array(100).fill(0);
    predictions.forEach((read, at) => counts[10 * this.test.classes[at] + read]++);
    const wrong = counts.map((count, at) => (at % 11 === 0 ? 0 : count));
    const most = Math.max(...wrong);
    counts.forEach((count, at) => {
      this.#cells[at].textContent = count ? String(count) : "";
      const share = at % 11 === 0 ? 0 : (30 * wrong[at]) / Math.max(most, 1);
      this.#cells[at].style.setProperty("--share", `${share.toFixed(0)}%`);
    });
    const at = wrong.indexOf(most);
    this.#mistakes.textContent = most
      ? `Its most frequent mistake: it reads ${most} of the ${Math.floor(at / 10)}s as ${at % 10}.`
      : "It makes no mistake on the test digits.";
  }

  /** Some test digits; those that it gets wrong are framed.
   *  @param {Uint8Array | null} predictions */
  #showDigits(predictions) {
    const [width, height] = [COLUMNS * CELL, ROWS * CELL];
    const values = new Float32Array(width * height).fill(NaN);
    for (let at = 0; at < ROWS * COLUMNS; at++) {
      const [top, left] = [CELL * Math.floor(at / COLUMNS) + 1, CELL * (at % COLUMNS) + 1];
      for (let pixel = 0; pixel < SIZE * SIZE; pixel++) {
        const place = (top + Math.floor(pixel / SIZE)) * width + left + (pixel % SIZE);
        values[place] = this.test.pixels[at * SIZE * SIZE + pixel] / 255;
      }
    }
    this.painter.paint(this.#digits, values, width, height);
    if (!predictions) {
      this.#digitWords.textContent = "Test digits: none of them is used for training.";
      return;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (this.#digits.getContext("2d"));
    let [wrong, changed] = [0, 0];
    let example = "";
    for (let at = 0; at < ROWS * COLUMNS; at++) {
      const [read, meant, older] = [predictions[at], this.test.classes[at], this.#before?.[at]];
      const [top, left] = [CELL * Math.floor(at / COLUMNS), CELL * (at % COLUMNS)];
      if (read !== meant) {
        wrong += 1;
        example = `the ${meant} in row ${Math.floor(at / COLUMNS)}, column ${at % COLUMNS} is read as ${read}`;
        context.fillStyle = this.painter.mark;
        for (const edge of edges(left, top)) context.fillRect(...edge);
      }
      if (older !== undefined && (older === meant) !== (read === meant)) changed += 1;
    }
    const count = ROWS * COLUMNS;
    this.#digitWords.textContent =
      `${count - wrong} of these ${count} test digits are read correctly; those framed are not` +
      `${example ? `: ${example}` : ""}. ${changed} changed sides since the last test.`;
  }
}

/** The four sides of a frame, two pixels wide, within a cell.
 *  @param {number} left @param {number} top @returns {[number, number, number, number][]} */
const edges = (left, top) => [
  [left, top, CELL, 2],
  [left, top + CELL - 2, CELL, 2],
  [left, top, 2, CELL],
  [left + CELL - 2, top, 2, CELL],
];
