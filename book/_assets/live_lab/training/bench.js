// The bench that trains: choose a network, watch it learn, race it against a second one, and harden it against attacks.
import palette from "../../../../labkit/plot/palette.json" with { type: "json" };
import { alertBox } from "../alert.js";
import { chart } from "../chart.js";
import { Painter } from "../colours.js";
import { element } from "../dom.js";
import { wholePercent } from "../numbers.js";
import { choice, formatAddress, Settings } from "../settings.js";
import { Harden } from "./harden.js";
import { Keep } from "./keep.js";
import { Lane } from "./lane.js";
import { recipeSettings } from "./recipe.js";

/** @import {Engine} from "../engine.js" */

const GUESSING = Math.log(10);
const WORDS =
  "Choose what your network is made of, press Train, and watch. It begins with random weights and knows nothing. " +
  "Each step shows it a few training digits and moves every weight a little in the direction that lowers the loss. " +
  "The accuracy is measured on 2,000 test digits that it is never trained on.";

export class TrainBench {
  /** @type {Lane[]} */
  lanes = [];
  #running = false;
  /** What was begun last, or what is left of it: it is done again after a failure. @type {() => Promise<unknown>} */
  again = () => Promise.resolve();
  /** Done when the networks have stopped and their state is known. @type {Promise<unknown>} */
  pausing = Promise.resolve();

  /** @param {{ engine: Engine, moved: (address: string) => void, openDigits: (networks: string[]) => void }} options */
  constructor({ engine, moved, openDigits }) {
    this.engine = engine;
    this.moved = moved;
    this.painter = new Painter(palette);
    this.alert = alertBox("Press “Try again”, or change something.", () => this.during(this.again));
    this.settings = new Settings(
      { ...recipeSettings(""), ...recipeSettings("b."), race: choice("no", ["no", "yes"]) },
      () => this.moved(this.address()),
    );
    const material = engine.material;
    if (!material) throw new Error("there is nothing to train with yet");
    this.lanes = [new Lane(this, "A", "", material), new Lane(this, "B", "b.", material)];
    this.racing = element("input", {
      type: "checkbox",
      onchange: () => {
        this.settings.set("race", this.racing.checked ? "yes" : "no");
        this.#showRace();
      },
    });
    this.settings.show("race", (value) => {
      this.racing.checked = value === "yes";
      this.#showRace();
    });
    const button = (/** @type {string} */ text, /** @type {() => unknown} */ act, name = "") =>
      element("button", { type: "button", class: name, onclick: () => act() }, text);
    this.buttons = {
      train: button("Train", () => this.train(), "lab-main"),
      pause: button("Pause", () => this.pause()),
      step: button("One step", () => this.train(1)),
      reset: button("Start over", () => this.reset()),
    };
    this.loss = chart({
      title: "loss",
      across: "digits seen",
      bounds: [0, 2.5],
      ticks: [0, 0.5, 1, 1.5, 2, 2.5],
      text: (value) => value.toFixed(1),
      far: (value) => value.toLocaleString("en"),
    });
    this.accuracy = chart({
      title: "accuracy",
      across: "digits seen",
      bounds: [0, 1],
      ticks: [0, 0.25, 0.5, 0.75, 1],
      text: wholePercent,
      far: (value) => value.toLocaleString("en"),
    });
    this.harden = new Harden(this);
    this.keep = new Keep(this);
    const race = element("label", { class: "lab-check" }, this.racing, element("span", {}, "race a second network, B"));
    const look = button("Draw for them, and attack them", () => openDigits(this.built().map(({ name }) => name)));
    this.look = look;
    this.content = [
      element("p", {}, WORDS),
      element(
        "div",
        { class: "lab-bench lab-train" },
        element(
          "section",
          { class: "lab-left", "aria-label": "what the networks are made of" },
          this.lanes[0].choices,
          race,
          this.lanes[1].choices,
        ),
        element(
          "section",
          { class: "lab-right", "aria-label": "training" },
          this.alert.element,
          element("div", { class: "lab-controls" }, ...Object.values(this.buttons)),
          ...this.lanes.map(({ status }) => status),
          element("div", { class: "lab-charts" }, this.accuracy.figure, this.loss.figure),
          element("div", { class: "lab-controls" }, look),
          ...this.lanes.map(({ progress }) => progress.content),
          ...this.harden.content,
          ...this.keep.content,
        ),
      ),
    ];
    this.#showRace();
    this.refresh();
  }

  /** The lanes that take part. */
  active() {
    return this.racing?.checked ? this.lanes : this.lanes.slice(0, 1);
  }

  /** The lanes that have a network. */
  built() {
    return this.lanes.filter(({ own }) => own);
  }

  get running() {
    return this.#running;
  }

  /** @param {unknown} error */
  failed(error) {
    this.alert.show(error, this.built().length ? "What your networks have learnt is kept." : "");
  }

  /** Train what takes part: so many steps, or to the end. @param {number} steps */
  train(steps = Infinity) {
    return this.during(() => Promise.all(this.active().map((lane) => lane.train(steps))));
  }

  /** Do something during which nothing else is begun. @param {() => Promise<unknown>} work */
  async during(work) {
    if (this.#running) return;
    this.#running = true;
    this.again = work;
    await this.pausing;
    this.alert.hide();
    this.refresh();
    try {
      await work();
    } catch (error) {
      this.failed(error);
    }
    this.#running = false;
    this.refresh();
  }

  /** Stop after the step that is being made, or the attack that is being measured. */
  pause() {
    const stopped = this.built().flatMap((lane) => [
      this.engine.stop(lane.name, ""),
      this.engine.train(lane.name, 0, (each) => lane.hear(each)),
    ]);
    this.pausing = Promise.all(stopped).catch((error) => this.failed(error));
    return this.pausing;
  }

  /** New random weights. */
  reset() {
    return this.during(() => Promise.all(this.active().map((lane) => lane.build())));
  }

  /** Charts and buttons as things are now. */
  refresh() {
    const curves = this.built();
    const end = Math.max(...curves.map(({ digits }) => digits), 1);
    this.loss.show(
      curves.map(({ name, losses }) => ({ name: `network ${name}`, style: `lab-${name}`, points: losses })),
      end,
    );
    this.accuracy.show(
      curves.flatMap(({ name, accuracies, trained }) => [
        { name: `${name}, test digits`, style: `lab-${name}`, points: accuracies },
        { name: `${name}, training digits`, style: `lab-${name}`, points: trained, dashed: true },
      ]),
      end,
    );
    const running = this.#running;
    this.buttons.train.disabled = this.buttons.step.disabled = running;
    this.buttons.reset.disabled = running || !curves.length;
    this.buttons.pause.disabled = !running;
    this.look.disabled = !curves.length;
    this.harden?.refresh();
    this.keep?.refresh();
    for (const lane of this.lanes) lane.refresh();
  }

  #showRace() {
    const racing = this.racing.checked;
    this.lanes[1].choices.hidden = !racing;
    if (this.buttons) this.refresh();
  }

  /** @param {{ pairs: Record<string, string> }} address */
  take({ pairs }) {
    this.settings.take(pairs);
    this.moved(this.address());
  }

  address() {
    return formatAddress("train", this.settings.pairs());
  }
}

/** Why training fails, if it does.
 *  @param {{ diverged: boolean, losses: [number, number][], wrong: number, steps: number }} lane */
export function diagnosis({ diverged, losses, wrong, steps }) {
  if (diverged)
    return (
      "It has diverged: the loss is no longer a number. Each step was so long that it went past the valley and up the " +
      "other side, and the next, from a steeper place, was longer still. Choose a smaller learning rate and press Start over."
    );
  const last = losses.slice(-5).map(([, loss]) => loss);
  if (steps < 100 || last.length < 5 || Math.min(...last) < GUESSING - 0.05 || wrong > 0.5) return "";
  return (
    `It does not learn: the loss stays at ${last[4].toFixed(2)}, and guessing among ten digits gives ${GUESSING.toFixed(2)}. ` +
    "Most likely a step that was too long has pushed the ReLUs below zero for every digit, where their gradient is zero " +
    "and nothing can bring them back. Choose a smaller learning rate and press Start over."
  );
}
