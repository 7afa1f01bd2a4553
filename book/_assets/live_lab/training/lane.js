// One of the reader's networks on the bench that trains: its choices, its curves, and what can be seen of it.
import { element } from "../dom.js";
import { percent } from "../numbers.js";
import { diagnosis } from "./bench.js";
import { Progress } from "./progress.js";
import { readRecipe, recipeControls, recipePairs, shapeName } from "./recipe.js";

/** @import {Engine} from "../engine.js" */
/** @import {Own, Recipe, Report, State} from "../types.js" */
/** @import {TrainBench} from "./bench.js" */

export class Lane {
  /** @type {[number, number][]} */
  losses = [];
  /** Of test digits. @type {[number, number][]} */
  accuracies = [];
  /** Of training digits. @type {[number, number][]} */
  trained = [];
  diverged = false;
  seconds = 0;
  #seed = 0;
  #prefix;
  /** Whether it began with weights that were there before, so that its tests say nothing of how fast it learns. */
  #given = false;

  /** @param {TrainBench} bench @param {"A" | "B"} name @param {string} prefix of its settings
   *  @param {NonNullable<Engine["material"]>} material */
  constructor(bench, name, prefix, material) {
    this.bench = bench;
    this.name = name;
    this.#prefix = prefix;
    this.material = material;
    this.progress = new Progress(name, bench.painter, material.test);
    this.status = element("p", { class: `lab-status lab-${name}`, role: "status", hidden: true });
    this.size = element("p", { class: "lab-label" });
    const controls = recipeControls(bench.settings, prefix, () => this.refresh());
    // On a phone they stay folded until they are wanted: everything else comes below them.
    this.choices = element(
      "details",
      { class: `lab-choices lab-${name}`, open: window.matchMedia("(min-width: 48rem)").matches },
      element("summary", { class: `lab-heading lab-${name}` }, `Network ${name}: its choices`),
      element("div", { role: "group", "aria-label": `choices for network ${name}` }, ...controls, this.size),
    );
    this.progress.content.hidden = true;
  }

  /** @returns {Own | undefined} */
  get own() {
    return this.bench.engine.own[this.name];
  }

  /** What the menus say now. */
  get recipe() {
    return readRecipe(this.bench.settings, this.#prefix, this.#seed);
  }

  /** How many digits it will have seen at the end. */
  get digits() {
    return this.own ? this.own.total * this.own.recipe.batch : 0;
  }

  get steps() {
    return this.own?.step ?? 0;
  }

  get wrong() {
    return this.own?.recipe.wrong ?? 0;
  }

  /** A network with the chosen recipe, or with this one, and random weights, or these.
   *  @param {Recipe} [recipe] @param {State} [state] */
  async build(recipe, state) {
    this.#given = Boolean(state);
    this.#seed += 1;
    const seed = 2 * this.#seed - Number(this.name === "A"); // other luck for each network and each start
    await this.bench.engine.build(this.name, { ...(recipe ?? this.recipe), seed }, state);
    Object.assign(this, { losses: [], accuracies: [], trained: [], diverged: false, seconds: 0 });
    if (this.own) this.progress.begin(this.own);
    this.bench.refresh();
  }

  /** Have the menus say what this recipe says. @param {Recipe} recipe */
  choose(recipe) {
    this.bench.take({ pairs: { ...this.bench.settings.pairs(), ...recipePairs(this.#prefix, recipe) } });
  }

  /** Whether the menus say something else than the network was made with. */
  get outdated() {
    const { own, recipe } = this;
    const same = (/** @type {keyof Recipe} */ key) =>
      ["seed", "eps", "attack"].includes(key) || recipe[key] === own?.recipe[key];
    return Boolean(own) && !own?.recipe.eps && !(/** @type {(keyof Recipe)[]} */ (Object.keys(recipe)).every(same));
  }

  /** @param {number} steps */
  async train(steps) {
    if (!this.own || this.outdated || this.diverged || this.own.step >= this.own.total) await this.build();
    await this.bench.engine.train(this.name, steps, (each) => this.hear(each));
  }

  /** @param {Report} report */
  hear(report) {
    const own = /** @type {Own} */ (this.own);
    const seen = report.step * own.recipe.batch;
    this.diverged = report.diverged;
    this.seconds = report.seconds;
    if (report.loss !== undefined && report.accuracy !== undefined) {
      this.losses.push([seen, report.loss]);
      this.trained.push([seen, report.accuracy]);
    }
    if (report.test) {
      this.accuracies.push([seen, report.test.accuracy]);
      const { recipe, facts } = own;
      const found = { accuracy: report.test.accuracy, seconds: report.seconds, parameters: facts.parameters, recipe };
      if (!this.#given) this.bench.engine.measured({ what: "test", ...found });
    }
    this.progress.show(own, report);
    this.bench.refresh();
  }

  /** The accuracy on the test digits at the last test. */
  get accuracy() {
    return this.accuracies.length ? this.accuracies[this.accuracies.length - 1][1] : null;
  }

  refresh() {
    const { own, recipe, bench, name } = this;
    if (!bench.buttons) return;
    const weights = this.material.shapes[shapeName(recipe)].parameters.toLocaleString("en");
    this.size.textContent = `${weights} weights, ${this.material.count.toLocaleString("en")} training digits`;
    this.status.hidden = this.progress.content.hidden = !own;
    if (!own) return;
    const test = this.accuracy === null ? "" : `, ${percent(this.accuracy)} of the test digits read correctly`;
    const loss = this.losses.length ? `, loss ${this.losses[this.losses.length - 1][1].toFixed(3)}` : "";
    const hardened = own.recipe.eps ? `, hardened with attacks of eps ${own.recipe.eps}` : "";
    const parts = [
      `Network ${name}${hardened}: step ${own.step.toLocaleString("en")} of ${own.total.toLocaleString("en")}, ` +
        `${this.seconds.toFixed(1)} s of computing${loss}${test}.`,
      diagnosis(this),
      this.outdated && !bench.running ? "You have changed its choices: Train or Start over begins anew with them." : "",
    ];
    this.status.textContent = parts.filter(Boolean).join(" ");
  }
}
