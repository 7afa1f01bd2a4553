// Adversarial training in the page: network B becomes a copy of A, and is trained on digits that are attacked at every step.
import { chart } from "../chart.js";
import { element, menu } from "../dom.js";
import { wholePercent } from "../numbers.js";

/** @import {TrainBench} from "./bench.js" */
/** @import {Lane} from "./lane.js" */

const EPS = [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3];
const [STEPS, DIGITS] = [10, 200]; // of the attack that measures, and how many test digits it is tried on
const [BEGIN, GO_ON] = ["Harden a copy of A", "Go on hardening B"];
const WORDS =
  "A network can be trained to resist. Each step attacks its digits first, every pixel by at most eps, and then learns " +
  "to read them all the same. Network A stays as it is; network B becomes a copy of A and is hardened. The chart " +
  `shows how many of ${DIGITS} test digits each reads when an attack of ${STEPS} steps may move every pixel by eps.`;

export class Harden {
  /** @type {Record<string, [number, number][]>} */
  curves = {};
  #eps = "0.2";
  #attack = "1";
  #passes = "4";

  /** @param {TrainBench} bench */
  constructor(bench) {
    this.bench = bench;
    /** @type {(values: string[], unit?: string) => [string, string][]} */
    const choices = (values, unit = "") => values.map((value) => [value, value + unit]);
    const chosen = (/** @type {() => void} */ take) => {
      take();
      this.refresh();
    };
    const eps = menu("eps", choices(["0.05", "0.1", "0.15", "0.2", "0.3"]), (value) =>
      chosen(() => (this.#eps = value)),
    );
    const attack = menu(
      "attack",
      [
        ["1", "FGSM, one step: quick"],
        ["3", "PGD, 3 steps: harder"],
      ],
      (value) => chosen(() => (this.#attack = value)),
    );
    const passes = menu("passes", choices(["1", "2", "4", "8"]), (value) => chosen(() => (this.#passes = value)));
    eps.show(this.#eps);
    passes.show(this.#passes);
    const button = (/** @type {string} */ text, /** @type {() => unknown} */ act) =>
      element("button", { type: "button", onclick: () => act() }, text);
    this.start = button(BEGIN, () => bench.during(() => this.#harden()));
    this.measure = button("Measure again", () => bench.during(() => this.#measure()));
    this.words = element("output", { class: "lab-words" });
    this.chart = chart({
      title: "accuracy under attack",
      across: "eps",
      bounds: [0, 1],
      ticks: [0, 0.25, 0.5, 0.75, 1],
      text: wholePercent,
    });
    this.chart.show([], EPS[EPS.length - 1]);
    this.content = [
      element("h3", {}, "Harden it"),
      element("p", {}, WORDS),
      element("div", { class: "lab-controls" }, eps.element, attack.element, passes.element),
      element("div", { class: "lab-controls" }, this.start, this.measure),
      this.words,
      element("div", { class: "lab-charts" }, this.chart.figure),
    ];
  }

  refresh() {
    const ready = !this.bench.running && Boolean(this.bench.lanes[0].own);
    this.start.disabled = this.measure.disabled = !ready;
    this.start.textContent = this.#paused ? GO_ON : BEGIN;
    if (!this.bench.lanes[0].own) this.words.textContent = "Train network A first.";
    else if (!Object.keys(this.curves).length) this.words.textContent = "";
  }

  /** What the menus say now. */
  get #chosen() {
    return { eps: Number(this.#eps), attack: Number(this.#attack), passes: Number(this.#passes) };
  }

  /** Whether network B has been hardened in this way, and not to the end. */
  get #paused() {
    const { own } = this.bench.lanes[1];
    const { eps, attack, passes } = this.#chosen;
    const same = own?.recipe.eps === eps && own.recipe.attack === attack && own.recipe.passes === passes;
    return Boolean(own) && same && own.step < own.total;
  }

  async #harden() {
    const [a, b] = this.bench.lanes;
    const own = a.own;
    if (!own) return;
    if (this.#paused) return this.#train(b);
    this.curves = {};
    await b.build({ ...own.recipe, ...this.#chosen, rate: 0.02 }, own.state);
    if (!(await this.#try(a))) return;
    this.bench.again = () => this.#train(b);
    await this.#train(b);
  }

  /** @param {Lane} b */
  async #train(b) {
    this.words.textContent = "Hardening: network B is attacked at every step, and learns from it.";
    const report = await this.bench.engine.train("B", Infinity, (each) => b.hear(each));
    if (!report || (await this.#try(b))) this.#say();
  }

  async #measure() {
    this.curves = {};
    for (const lane of this.bench.built()) if (!(await this.#try(lane))) return;
    this.#say();
  }

  /** Whether it has been measured to the end. @param {Lane} lane */
  async #try(lane) {
    this.words.textContent = `Attacking network ${lane.name} with every eps …`;
    const draw = (/** @type {{ accuracies: number[] }} */ { accuracies }) => {
      this.curves[lane.name] = accuracies.map((value, at) => [EPS[at], value]);
      const curves = Object.entries(this.curves);
      this.chart.show(
        curves.map(([name, points]) => ({ name: `network ${name}`, style: `lab-${name}`, points })),
        EPS[EPS.length - 1],
      );
    };
    const values = { eps: EPS, steps: STEPS, count: DIGITS };
    const found = await this.bench.engine.ask("robustness", lane.name, values, { progress: draw });
    if (!found) {
      this.words.textContent = "Paused before every eps was tried.";
      return false;
    }
    draw(found);
    this.bench.engine.measured({ what: "robustness", curve: this.curves[lane.name] });
    return true;
  }

  #say() {
    const at = (/** @type {string} */ name, /** @type {number} */ eps) =>
      this.curves[name]?.find(([each]) => each === eps)?.[1] ?? NaN;
    const names = Object.keys(this.curves);
    this.words.textContent = names
      .map(
        (name) =>
          `Network ${name} reads ${wholePercent(at(name, 0))} of the digits, and ${wholePercent(at(name, 0.1))} at eps 0.1.`,
      )
      .join(" ");
  }
}
