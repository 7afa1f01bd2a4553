// What the page asks of a network for photographs. A gradient takes a while here, so that every task goes step by step:
// it tells how far it is, and what it has found so far, and lets a newer question or a stop in between.
import { normal, oneHot } from "./arithmetic.js";

/** @import {Network} from "./network.js" */
/** @import {Computing, Turn} from "./tasks.js" */
/** @typedef {Pick<Network, "shape" | "pixels" | "classes" | "facts" | "logits" | "outputs" | "backward" | "gradients">}
 *  Photographic */

export const photographTasks = {
  /** SmoothGrad: the mean gradient over noisy copies; noise as a share of the photo's contrast (chapter 9).
   *  @param {Computing} network
   *  @param {{ image: Float32Array, label: number, noise: number, samples: number, seed?: number }} values
   *  @param {Turn} turn */
  async smooth(network, { image, label, noise, samples, seed = 0 }, { pause, tell }) {
    const draw = normal(seed);
    const spread = noise * contrast(image);
    const total = new Float32Array(image.length);
    const weights = oneHot(label, network.classes);
    for (let sample = 1; sample <= samples; sample++) {
      const noisy = image.map((value) => value + spread * draw());
      const { gradient } = await network.backward(noisy, weights);
      gradient.forEach((value, at) => (total[at] += value));
      if (!(await pause())) return null;
      tell({ share: sample / samples, map: total.map((value) => value / sample) });
    }
    return { map: total.map((value) => value / samples) };
  },
};

/** The largest value less the smallest. @param {Float32Array} image */
export function contrast(image) {
  let [least, most] = [Infinity, -Infinity];
  for (const value of image) [least, most] = [Math.min(least, value), Math.max(most, value)];
  return most - least;
}
