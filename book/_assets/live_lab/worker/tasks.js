// What the page asks of a network. Each task takes a network, the values of the question, and how the worker lets a
// newer question in: `pause` waits a moment and then says whether to go on; `tell` hands over a part of the answer.
import { best, clamp } from "../numbers.js";
import { occluded } from "../photographs/maps.js";
import { intervalMargins } from "./interval_bounds.js";
import { blurred, distance, logOddsGradient, mean, normal, oneHot, rolled, signStep, uniform } from "./arithmetic.js";

/** @import {Network} from "./network.js" */
/** @typedef {Pick<Network, "shape" | "pixels" | "classes" | "logits" | "outputs" | "backward">} Computing */
/** @typedef {{ pause(): Promise<boolean>, tell(part: object): void }} Turn */

const ROWS = 2; // rows of positions of the occluding window in one batch
const GREY = 0.5;

export const tasks = {
  /** @param {Computing} network @param {{ images: Float32Array, weights: Float32Array }} values */
  run: (network, { images, weights }) => network.backward(images, weights),

  /** @param {Computing} network @param {{ image: Float32Array }} values */
  predict: async (network, { image }) => ({ logits: await network.logits(image) }),

  /** The outputs of these layers. @param {Computing} network @param {{ image: Float32Array, layers: string[] }} values */
  look: (network, { image, layers }) => network.outputs(image, layers),

  /** @param {Computing} network @param {{ image: Float32Array, digit: number }} values */
  saliency: (network, { image, digit }) => network.backward(image, oneHot(digit, network.classes)),

  /** The mean gradient over noisy copies, all of them in one batch (chapter 9).
   *  @param {Computing} network
   *  @param {{ image: Float32Array, digit: number, noise: number, samples: number }} values */
  async smoothgrad(network, { image, digit, noise, samples }) {
    const draw = normal(0);
    const copies = new Float32Array(samples * network.pixels).map(
      (_, at) => image[at % network.pixels] + noise * draw(),
    );
    const { gradient } = await network.backward(copies, oneHot(digit, network.classes, samples));
    return { gradient: mean(gradient, network.pixels) };
  },

  /** The logits with a grey window at every position, some rows of positions at a time (chapter 8).
   *  @param {Computing} network @param {{ image: Float32Array, window: number }} values @param {Turn} turn */
  async occlusion(network, { image, window }, { pause, tell }) {
    const [, height, width] = network.shape;
    const [down, across] = [height - window + 1, width - window + 1];
    const logits = new Float32Array(down * across * network.classes);
    for (let top = 0; top < down; top += ROWS) {
      const rows = Math.min(ROWS, down - top);
      const images = new Float32Array(rows * across * network.pixels);
      for (let at = 0; at < rows * across; at++) {
        const place = { top: top + Math.floor(at / across), left: at % across, window, fill: GREY };
        images.set(occluded(image, { height, width }, place), at * network.pixels);
      }
      logits.set(await network.logits(images), top * across * network.classes);
      if (!(await pause())) return null;
      tell({ share: (top + rows) / down });
    }
    return { logits, across };
  },

  /** One step of FGSM away from what the network sees, or many small ones towards a digit (chapters 15 and 16).
   *  @param {Computing} network
   *  @param {{ image: Float32Array, eps: number, target: number | null, steps: number }} values @param {Turn} turn */
  async attack(network, { image, eps, target, steps }, { pause }) {
    const before = await network.logits(image);
    const away = { digit: best(before), towards: false, steps: 1 };
    const goal = target === null ? away : { digit: target, towards: true, steps };
    const found = await pushed(network, { image, eps, ...goal }, pause);
    return found && { before, ...found };
  },

  /** The smallest eps at which PGD succeeds, by bisection, as labkit's minimum_norm finds it; null where it never does.
   *  @param {Computing} network
   *  @param {{ image: Float32Array, target: number | null, steps: number, tolerance: number }} values
   *  @param {Turn} turn */
  async minimumNorm(network, { image, target, steps, tolerance }, { pause, tell }) {
    const before = await network.logits(image);
    const seen = best(before);
    const goal = target === null ? { digit: seen, towards: false } : { digit: target, towards: true };
    if (target === seen) return { before, eps: 0, image, logits: before };
    let failed = 0;
    /** @type {{ image: Float32Array, logits: Float32Array, eps: number } | null} */
    let success = null;
    while (success === null ? failed < 1 : success.eps - failed > tolerance * success.eps) {
      /** @type {number} */
      const eps = success ? (failed + success.eps) / 2 : clamp(2 * failed, 1 / 256, 1);
      const found = await pushed(network, { image, eps, steps, ...goal, stop: true }, pause);
      if (!found) return null;
      const fooled = (best(found.logits) === goal.digit) === goal.towards;
      if (fooled) success = { ...found, eps: Math.min(eps, distance(found.image, image)) };
      else failed = eps;
      tell({ failed, enough: success?.eps ?? null });
    }
    return success ? { before, ...success } : { before, eps: null, image, logits: before };
  },

  /** Lower bounds of the margins of what is seen, for any change within eps, and the largest eps that is proved.
   *  @param {Network} network @param {{ image: Float32Array, eps: number, known: number | null }} values `known` is that
   *  largest eps, if it has been found before @param {Turn} turn */
  async certify(network, { image, eps, known }, { pause }) {
    const { weights, shape, facts } = network;
    if (!weights || !facts.proof) throw new Error(`nothing can be proved for ${facts.title}`);
    const logits = await network.logits(image);
    const digit = best(logits);
    const bounds = (/** @type {number} */ reach) =>
      intervalMargins(facts.proof ?? [], weights, image, shape, digit, reach);
    let [most, failed] = [known ?? 0, known ?? 1];
    while (failed - most > 0.001) {
      const middle = (most + failed) / 2;
      if (bounds(middle).every((value) => value > 0)) most = middle;
      else failed = middle;
      if (!(await pause())) return null;
    }
    return { logits, margins: bounds(eps), most };
  },

  /** Climb a class's logit from noise; each step tells the image so far (chapter 12). The gradient is averaged over
   *  four shifts and the image blurred a little, or the grid of the pooling layer shows.
   *  @param {Computing} network @param {{ digit: number, steps: number }} values @param {Turn} turn */
  async ideal(network, { digit, steps }, { pause, tell }) {
    const { pixels, classes, shape } = network;
    const width = shape[2];
    const shifts = [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ];
    let image = new Float32Array(pixels).map(uniform(1));
    for (let step = 0; step <= steps; step++) {
      tell({ step, image, logits: await network.logits(image) });
      const shifted = new Float32Array(shifts.length * pixels);
      shifts.forEach(([down, right], at) => shifted.set(rolled(image, width, down, right), at * pixels));
      const { gradient } = await network.backward(shifted, oneHot(digit, classes, shifts.length));
      shifts.forEach(([down, right], at) => {
        const own = gradient.subarray(at * pixels, (at + 1) * pixels);
        own.set(rolled(own.slice(), width, -down, -right));
      });
      const direction = mean(gradient, pixels);
      const length = Math.hypot(...direction) || 1;
      image = blurred(
        image.map((value, at) => 0.97 * value + direction[at] / length),
        width,
      ).map((value) => clamp(value, 0, 1));
      if (!(await pause())) return null;
    }
    return { image };
  },
};

/** PGD from the image, its steps 2.5 times as long together as eps; a single one is FGSM. With `stop`, it ends at the
 *  first success. `each` hears of every step. Null if a newer question has come.
 *  @param {Computing} network
 *  @param {{ image: Float32Array, eps: number, digit: number, towards: boolean, steps: number, stop?: boolean,
 *            each?: (found: { step: number, image: Float32Array, logits: Float32Array }) => void }} goal
 *  @param {() => Promise<boolean>} pause */
export async function pushed(network, { image, eps, digit, towards, steps, stop = false, each }, pause) {
  const size = (towards ? -1 : 1) * (steps === 1 ? eps : (2.5 * eps) / steps);
  let found = image.slice();
  let logits = await network.logits(found);
  for (let step = 0; step < steps; step++) {
    const { gradient } = await network.backward(found, logOddsGradient(logits, digit));
    found = signStep(found, gradient, size, image, eps);
    logits = await network.logits(found);
    each?.({ step: step + 1, image: found, logits });
    if (!(await pause())) return null;
    if (stop && (best(logits) === digit) === towards) break;
  }
  return { image: found, logits };
}
