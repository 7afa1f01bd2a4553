// What the page asks of a network to change a photo: an attack on it, and a class that is grown. Each step is told, and a
// newer question or a stop ends it.
import { oneHot, uniform } from "./arithmetic.js";
import { pixels, waves } from "./parametrization.js";
import { pushed } from "./tasks.js";

/** @import {Computing, Turn} from "./tasks.js" */

const [FORGETS, FORGETS_SQUARES, TINY] = [0.1, 0.01, 1e-8]; // of Adam, as in labkit
const STEP_SIZES = { waves: 0.1, pixels: 0.02 };

export const makingTasks = {
  /** PGD towards a class, or one step away from the class that is seen (chapters 15 and 16); and, to compare, a push up
   *  to the same limit whose signs are drawn at random.
   *  @param {Computing} network
   *  @param {{ image: Float32Array, label: number, target: number | null, eps: number, steps: number, seed?: number }}
   *  values `label` is the class that is seen @param {Turn} turn */
  async push(network, { image, label, target, eps, steps, seed = 1 }, { pause, tell }) {
    const goal = target === null ? { digit: label, towards: false } : { digit: target, towards: true };
    const each = (/** @type {object} */ found) => tell(found);
    const found = await pushed(network, { image, eps, steps, ...goal, each }, pause);
    if (!found) return null;
    const draw = uniform(seed);
    const random = image.map((value) => Math.min(1, Math.max(0, value + (draw() < 0.5 ? -eps : eps))));
    return { ...found, random: { image: random, logits: await network.logits(random) } };
  },

  /** Raise a class's logit, less penalties on the differences of neighbouring pixels and on the distance from where it
   *  began, by Adam (chapter 12). The network sees the image moved a little, another way in each step.
   *  @param {Computing} network
   *  @param {{ label: number, image: Float32Array, grey: boolean, way: "waves" | "pixels", smooth: number, near: number,
   *            jitter: number, steps: number, seed?: number }} values `grey` measures the
   *  distance from mid-grey instead; `jitter` is a share of the side @param {Turn} turn */
  async grow(network, { label, image, grey, way, smooth, near, jitter, steps, seed = 0 }, { pause, tell }) {
    const [, height, width] = network.shape;
    const chance = uniform(seed);
    const middle = grey ? image.map(() => 0.5) : image;
    const written = way === "waves" ? waves(image, height, width) : pixels(image);
    const { numbers } = written;
    const [mean, square] = [new Float32Array(numbers.length), new Float32Array(numbers.length)];
    const side = (/** @type {number} */ size) => Math.round((2 * chance() - 1) * jitter * size);
    for (let step = 1; step <= steps; step++) {
      const shown = written.image();
      const [down, right] = [side(height), side(width)];
      const { logits, gradient } = await network.backward(
        shifted(shown, network.shape, down, right),
        oneHot(label, network.classes),
      );
      if (step > 1) tell({ step: step - 1, image: shown, logits });
      const slope = shiftedBack(gradient, network.shape, down, right);
      addPenalties(slope, shown, middle, network.shape, { smooth, near });
      const found = written.backward(slope);
      for (let at = 0; at < numbers.length; at++) {
        mean[at] += FORGETS * (found[at] - mean[at]);
        square[at] += FORGETS_SQUARES * (found[at] ** 2 - square[at]);
        const length = Math.sqrt(square[at] / (1 - (1 - FORGETS_SQUARES) ** step)) + TINY;
        numbers[at] += (STEP_SIZES[way] * mean[at]) / (1 - (1 - FORGETS) ** step) / length;
      }
      written.settle();
      if (!(await pause())) return null;
    }
    const made = written.image();
    return { step: steps, image: made, logits: await network.logits(made) };
  },
};

/** For each pixel of an image that is shifted, from where it comes: what enters mirrors what is inside.
 *  @param {number} size @param {number} by */
const sources = (size, by) =>
  Array.from({ length: size }, (_, at) => {
    const from = Math.abs(at - by);
    return from < size ? from : 2 * (size - 1) - from;
  });

/** An image, shifted by whole pixels. @param {Float32Array} image @param {[number, number, number]} shape
 *  @param {number} down @param {number} right */
export function shifted(image, [channels, height, width], down, right) {
  if (!down && !right) return image;
  const [rows, columns] = [sources(height, down), sources(width, right)];
  const found = new Float32Array(image.length);
  for (let line = 0, at = 0; line < channels * height; line++) {
    const start = (line - (line % height) + rows[line % height]) * width;
    for (let column = 0; column < width; column++) found[at++] = image[start + columns[column]];
  }
  return found;
}

/** From the derivative with respect to the shifted image, that with respect to the image.
 *  @param {Float32Array} gradient @param {[number, number, number]} shape @param {number} down @param {number} right */
export function shiftedBack(gradient, [channels, height, width], down, right) {
  if (!down && !right) return gradient.slice();
  const [rows, columns] = [sources(height, down), sources(width, right)];
  const found = new Float32Array(gradient.length);
  for (let line = 0, at = 0; line < channels * height; line++) {
    const start = (line - (line % height) + rows[line % height]) * width;
    for (let column = 0; column < width; column++) found[start + columns[column]] += gradient[at++];
  }
  return found;
}

/** Take the derivatives of the penalties from a gradient. @param {Float32Array} slope @param {Float32Array} image
 *  @param {Float32Array} middle @param {[number, number, number]} shape
 *  @param {{ smooth: number, near: number }} weights as in labkit, of means over all numbers */
export function addPenalties(slope, image, middle, [, height, width], { smooth, near }) {
  const [rough, far] = [smooth / image.length, (2 * near) / image.length];
  for (let at = 0; at < image.length; at++) {
    const [row, column] = [Math.floor(at / width) % height, at % width];
    let sum = 0;
    if (row) sum += Math.sign(image[at] - image[at - width]);
    if (row < height - 1) sum += Math.sign(image[at] - image[at + width]);
    if (column) sum += Math.sign(image[at] - image[at - 1]);
    if (column < width - 1) sum += Math.sign(image[at] - image[at + 1]);
    slope[at] -= rough * sum + far * (image[at] - middle[at]);
  }
}
