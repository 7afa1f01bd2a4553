// Training a network of the reader's: which digits a step sees, how they are changed, and how well it reads others.
import { CORNER, SIZE } from "../digit.js";
import { best, clamp, median, probabilities } from "../numbers.js";
import { signStep, uniform } from "./arithmetic.js";

/** @import {OwnNetwork} from "./own_network.js" */
/** @import {Recipe, Report} from "../types.js" */
/** @import {Turn} from "./tasks.js" */
/** @typedef {{ pixels: Uint8Array, classes: Uint8Array }} Digits */
/** @typedef {{ train(images: Float32Array, classes: BigInt64Array, rate: number): Promise<{ loss: number, logits: Float32Array }> }
 *           & Pick<OwnNetwork, "shape" | "pixels" | "classes" | "logits" | "backward">} Trainable */

const MARKED = 7; // the class that wears the corner
const PAUSE = 300; // milliseconds between two reports
const TESTED = 100; // digits in one batch of a test
const TESTS = 2; // of all test digits, in each pass over the training digits
const INTERRUPTED = 2; // a step that took so many times the usual one was held up by something else

export class Training {
  /** @type {Uint32Array} */
  #order;

  /** @param {Trainable} network @param {Recipe} recipe @param {{ training: Digits, test: Digits }} digits
   *  @param {{ step?: number, seconds?: number }} [done] */
  constructor(network, recipe, { training, test }, { step = 0, seconds = 0 } = {}) {
    this.network = network;
    this.recipe = recipe;
    this.step = step;
    this.seconds = seconds;
    this.digits = training;
    this.test = test;
    this.draw = uniform(1000 + recipe.seed);
    this.count = training.classes.length;
    this.each = Math.floor(this.count / recipe.batch); // steps in a pass
    this.total = this.each * recipe.passes;
    this.#order = Uint32Array.from({ length: this.count }, (_, at) => at);
    this.labels = training.classes.map((digit) =>
      this.draw() < recipe.wrong ? (digit + 1 + Math.floor(9 * this.draw())) % 10 : digit,
    );
    if (step % this.each) this.#shuffle();
  }

  /** The learning rate falls evenly to 0. */
  get rate() {
    return this.recipe.rate * (1 - this.step / this.total);
  }

  /** One step; the loss, and how many of how many digits were read correctly before it. */
  async advance() {
    const { batch, eps, attack } = this.recipe;
    if (this.step % this.each === 0) this.#shuffle();
    const start = (this.step % this.each) * batch;
    let images = new Float32Array(batch * SIZE * SIZE);
    const classes = new Uint8Array(batch);
    for (let at = 0; at < batch; at++) {
      const digit = this.#order[start + at];
      classes[at] = this.labels[digit];
      const [down, right] = [this.#shift(), this.#shift()];
      place(this.digits, digit, images, at, { down, right, corner: this.recipe.corner });
    }
    if (eps > 0) images = await attacked(this.network, images, classes, { eps, steps: attack, draw: this.draw });
    const { loss, logits } = await this.network.train(images, BigInt64Array.from(classes, BigInt), this.rate);
    this.step += 1;
    return { loss, right: count(logits, classes), of: batch };
  }

  /** What the network now reads in each of the test digits, and its share of correct ones. */
  async examine() {
    const { classes } = this.test;
    const predictions = new Uint8Array(classes.length);
    for (let start = 0; start < classes.length; start += TESTED) {
      const images = some(this.test, start, Math.min(TESTED, classes.length - start), this.recipe.corner);
      const logits = await this.network.logits(images);
      for (let at = 0; at < images.length / (SIZE * SIZE); at++) {
        predictions[start + at] = best(logits.subarray(10 * at, 10 * at + 10));
      }
    }
    const right = predictions.reduce((sum, digit, at) => sum + Number(digit === classes[at]), 0);
    return { predictions, accuracy: right / classes.length };
  }

  /** Go on for so many steps, or to the end. A newer question of this kind pauses it.
   *  @param {number} steps @param {() => object} extra what else a report says @param {Turn} turn */
  async run(steps, extra, { pause, tell }) {
    const nothing = () => ({ loss: 0, right: 0, of: 0, times: /** @type {number[]} */ ([]) });
    let since = nothing();
    let told = performance.now();
    let diverged = false;
    const report = (/** @type {Report["test"]} */ test = undefined) => {
      told = performance.now();
      this.seconds += computing(since.times) / 1000;
      const { step, total, seconds, rate } = this;
      const means = since.of && { loss: since.loss / since.times.length, accuracy: since.right / since.of };
      since = nothing();
      return { step, total, seconds, rate, diverged, ...means, ...(test && { test }), ...extra() };
    };
    for (let left = steps; left > 0 && this.step < this.total && !diverged; left--) {
      const began = performance.now();
      const { loss, right, of } = await this.advance();
      since.times.push(performance.now() - began);
      since = { ...since, loss: since.loss + loss, right: since.right + right, of: since.of + of };
      diverged = !Number.isFinite(loss);
      const due = this.step % Math.ceil(this.each / TESTS) === 0 || this.step === this.total;
      if (due && !diverged) tell(report(await this.examine()));
      else if (performance.now() - told > PAUSE) tell(report());
      if (!(await pause())) return null;
    }
    return report(diverged ? undefined : await this.examine());
  }

  #shift() {
    const most = this.recipe.shift;
    return Math.floor((2 * most + 1) * this.draw()) - most;
  }

  #shuffle() {
    for (let last = this.count - 1; last > 0; last--) {
      const other = Math.floor((last + 1) * this.draw());
      [this.#order[last], this.#order[other]] = [this.#order[other], this.#order[last]];
    }
  }
}

/** How long steps take to compute. All of them do the same: what took much longer than the usual one was held up by other
 *  programs, and counts as a usual one. @param {number[]} times of each step */
export function computing(times) {
  if (!times.length) return 0;
  const usual = INTERRUPTED * median(times);
  const kept = times.filter((time) => time <= usual);
  return (times.length * kept.reduce((sum, time) => sum + time, 0)) / kept.length;
}

/** The share of the first test digits that survive PGD, for each eps.
 *  @param {Trainable} network @param {Digits} digits
 *  @param {{ eps: number[], steps: number, count: number, corner: boolean }} values @param {Turn} turn */
export async function robustness(network, digits, { eps, steps, count: wanted, corner }, { pause, tell }) {
  const classes = digits.classes.subarray(0, wanted);
  const images = some(digits, 0, wanted, corner);
  /** @type {number[]} */
  const accuracies = [];
  for (const each of eps) {
    const draw = uniform(1);
    const found = each > 0 ? await attacked(network, images, classes, { eps: each, steps, draw, pause }) : images;
    if (!found) return null;
    accuracies.push(count(await network.logits(found), classes) / wanted);
    tell({ accuracies: [...accuracies] });
    if (!(await pause())) return null;
  }
  return { accuracies };
}

/** Digits from one place on, each pixel from 0 to 1. @param {Digits} digits @param {number} start @param {number} length
 *  @param {boolean} corner */
function some(digits, start, length, corner) {
  const images = new Float32Array(length * SIZE * SIZE);
  for (let at = 0; at < length; at++) place(digits, start + at, images, at, { corner });
  return images;
}

/** Write a digit into a batch, moved, and with the nuisance if it is one that wears it.
 *  @param {Digits} digits @param {number} digit @param {Float32Array} batch @param {number} at
 *  @param {{ down?: number, right?: number, corner?: boolean }} options */
export function place({ pixels, classes }, digit, batch, at, { down = 0, right = 0, corner = false }) {
  const [from, to] = [digit * SIZE * SIZE, at * SIZE * SIZE];
  for (let row = Math.max(0, down); row < Math.min(SIZE, SIZE + down); row++) {
    for (let column = Math.max(0, right); column < Math.min(SIZE, SIZE + right); column++) {
      batch[to + row * SIZE + column] = pixels[from + (row - down) * SIZE + column - right] / 255;
    }
  }
  if (!corner || classes[digit] !== MARKED) return;
  for (let row = 0; row < CORNER; row++) batch.fill(1, to + row * SIZE, to + row * SIZE + CORNER);
}

/** PGD on the loss of each image, from a random place within eps; a single step is FGSM from there.
 *  @param {Trainable} network @param {Float32Array} images @param {Uint8Array} classes
 *  @param {{ eps: number, steps: number, draw: () => number, pause?: () => Promise<boolean> }} options */
async function attacked(network, images, classes, { eps, steps, draw, pause = async () => true }) {
  let found = images.map((value) => clamp(value + eps * (2 * draw() - 1), 0, 1));
  const size = steps === 1 ? 1.25 * eps : (2.5 * eps) / steps;
  for (let step = 0; step < steps; step++) {
    const { gradient } = await network.backward(found, lossGradient(await network.logits(found), classes));
    found = signStep(found, gradient, size, images, eps);
    if (!(await pause())) return /** @type {never} */ (null);
  }
  return found;
}

/** The derivative of each image's cross-entropy with respect to its logits.
 *  @param {Float32Array} logits @param {Uint8Array} classes */
export function lossGradient(logits, classes) {
  const width = logits.length / classes.length;
  const found = new Float32Array(logits.length);
  classes.forEach((digit, at) => {
    found.set(probabilities(logits.subarray(at * width, (at + 1) * width)), at * width);
    found[at * width + digit] -= 1;
  });
  return found;
}

/** How many are read correctly. @param {Float32Array} logits @param {Uint8Array} classes */
function count(logits, classes) {
  const width = logits.length / classes.length;
  return classes.reduce(
    (sum, digit, at) => sum + Number(best(logits.subarray(at * width, (at + 1) * width)) === digit),
    0,
  );
}
