// What the page asks of a network for photographs. A gradient takes a while here, so that every task goes step by step:
// it tells how far it is, and what it has found so far, and lets a newer question or a stop in between.
import { importance, legendre, occluded, positions, ranking } from "../photographs/maps.js";
import { probabilities } from "../numbers.js";
import { normal, oneHot, uniform } from "./arithmetic.js";

/** @import {Network} from "./network.js" */
/** @import {Computing, Turn} from "./tasks.js" */
/** @typedef {Computing & Pick<Network, "facts" | "gradients">} Photographic */

const BATCH = 2; // images at once: more take more memory, and not less time each

export const photographTasks = {
  /** SmoothGrad: the mean gradient over noisy copies; noise as a share of the photo's contrast (chapter 9).
   *  @param {Computing} network
   *  @param {{ image: Float32Array, label: number, noise: number, samples: number, seed?: number }} values
   *  @param {Turn} turn */
  async smooth(network, { image, label, noise, samples, seed = 0 }, { pause, tell }) {
    const draw = normal(seed);
    const spread = noise * contrast(image);
    const total = new Float32Array(image.length);
    for (let done = 0; done < samples;) {
      const count = Math.min(BATCH, samples - done);
      const noisy = repeated(image, count).map((value) => value + spread * draw());
      const { gradient } = await network.backward(noisy, oneHot(label, network.classes, count));
      gradient.forEach((value, at) => (total[at % image.length] += value));
      done += count;
      if (!(await pause())) return null;
      tell({ share: done / samples, map: total.map((value) => value / done) });
    }
    return { map: total.map((value) => value / samples) };
  },

  /** Integrated gradients from a black image (chapter 10). @param {Computing} network
   *  @param {{ image: Float32Array, label: number, steps: number }} values @param {Turn} turn */
  async integrated(network, { image, label, steps }, { pause, tell }) {
    const total = new Float32Array(image.length);
    const points = legendre(steps);
    for (let done = 0; done < steps;) {
      const some = points.slice(done, done + BATCH);
      const between = repeated(image, some.length);
      some.forEach(({ node }, nth) => {
        const one = between.subarray(nth * image.length, (nth + 1) * image.length);
        one.forEach((value, at) => (one[at] = node * value));
      });
      const { gradient } = await network.backward(between, oneHot(label, network.classes, some.length));
      gradient.forEach((value, at) => {
        const { weight } = some[Math.floor(at / image.length)];
        total[at % image.length] += weight * value * image[at % image.length];
      });
      done += some.length;
      if (!(await pause())) return null;
      tell({ share: done / steps, map: total });
    }
    return { map: total };
  },

  /** Grad-CAM at a stage: its maps added up, each weighted by the mean gradient of the class (chapter 10).
   *  @param {Photographic} network @param {{ image: Float32Array, label: number, stage: string }} values */
  async gradCam(network, { image, label, stage }) {
    const names = [stage, `gradient.${stage}`];
    const found = await network.gradients(image, oneHot(label, network.classes), names);
    const [maps, gradient] = names.map((name) => found[name]);
    const { count, size } = sizes(network, stage);
    const places = size[0] * size[1];
    const map = new Float32Array(places);
    for (let channel = 0; channel < count; channel++) {
      const own = gradient.subarray(channel * places, (channel + 1) * places);
      const weight = own.reduce((sum, value) => sum + value, 0) / places;
      for (let place = 0; place < places; place++) map[place] += weight * maps[channel * places + place];
    }
    return { map: map.map((value) => Math.max(value, 0)), size };
  },

  /** The gradient of one unit of a stage.
   *  @param {Photographic} network
   *  @param {{ image: Float32Array, stage: string, channel: number, place: [row: number, column: number] }} values */
  async drive(network, { image, stage, channel, place: [row, column] }) {
    const { count, size } = sizes(network, stage);
    const [tall, wide] = size;
    const weights = new Float32Array(count * tall * wide);
    weights[(channel * tall + row) * wide + column] = 1;
    const stages = { [stage]: new ort.Tensor("float32", weights, [1, count, tall, wide]) };
    const nothing = new Float32Array(network.classes);
    const { gradient } = await network.gradients(image, nothing, ["gradient"], stages);
    return { gradient };
  },

  /** The logits with a grey window at every position, coarsely first (chapter 8).
   *  @param {Computing} network
   *  @param {{ image: Float32Array, window: number, stride: number, fill?: number }} values @param {Turn} turn */
  async cover(network, { image, window, stride, fill = 0.5 }, { pause, tell }) {
    const [, height, width] = network.shape;
    const { count, corners } = positions(width, window, stride);
    const logits = new Float32Array(count * count * network.classes);
    const order = coarseFirst(count);
    for (let done = 0; done < order.length;) {
      const places = order.slice(done, done + BATCH);
      const images = repeated(image, places.length);
      places.forEach((place, nth) => {
        const [top, left] = [corners[Math.floor(place / count)], corners[place % count]];
        images.set(occluded(image, { height, width }, { top, left, window, fill }), nth * image.length);
      });
      const found = await network.logits(images);
      done += places.length;
      if (!(await pause())) return null;
      const parts = places.map((place, nth) => ({
        place,
        logits: found.slice(nth * network.classes, (nth + 1) * network.classes),
      }));
      for (const part of parts) logits.set(part.logits, part.place * network.classes);
      tell({ share: done / order.length, parts });
    }
    return { logits, count };
  },

  /** For each map the probability of the class as the pixels that it calls important are replaced by grey, the most
   *  important ones first (labkit.evaluation.deletion). All maps go forward together, one step after the other.
   *  @param {Computing} network
   *  @param {{ image: Float32Array, label: number, maps: Record<string, Float32Array>, steps: number, fill?: number,
   *            seed?: number }} values @param {Turn} turn */
  async deletion(network, { image, label, maps, steps, fill = 0.5, seed = 0 }, { pause, tell }) {
    const pixels = image.length / network.shape[0];
    const named = Object.entries(maps).map(([name, map]) => ({
      name,
      order: ranking(map.length === pixels ? map : importance(map, pixels), uniform(seed)),
      left: image.slice(),
      curve: /** @type {number[]} */ ([]),
    }));
    for (let step = 0; step <= steps; step++) {
      const [before, until] = [step - 1, step].map((nth) => Math.max(0, Math.round((pixels * nth) / steps)));
      const images = new Float32Array(named.length * image.length);
      for (const [nth, { order, left }] of named.entries()) {
        for (const at of order.subarray(before, until)) {
          for (let colour = 0; colour < network.shape[0]; colour++) left[colour * pixels + at] = fill;
        }
        images.set(left, nth * image.length);
      }
      const logits = await network.logits(images);
      for (const [nth, { curve }] of named.entries()) {
        curve.push(probabilities(logits.subarray(nth * network.classes, (nth + 1) * network.classes))[label]);
      }
      if (!(await pause())) return null;
      tell({ share: step / steps, curves: Object.fromEntries(named.map(({ name, curve }) => [name, curve])) });
    }
    return { curves: Object.fromEntries(named.map(({ name, curve }) => [name, curve])) };
  },
};

/** How many maps a stage has, and how large they are. @param {Pick<Network, "facts">} network @param {string} stage
 *  @returns {{ count: number, size: [height: number, width: number] }} */
function sizes({ facts }, stage) {
  const known = facts.layers.find(({ name }) => name === stage);
  if (!known) throw new Error(`there is no stage ${stage}, only ${facts.layers.map(({ name }) => name).join(", ")}`);
  return { count: known.count, size: [known.rows.length, known.columns.length] };
}

/** The image several times. @param {Float32Array} image @param {number} count */
function repeated(image, count) {
  const found = new Float32Array(count * image.length);
  for (let nth = 0; nth < count; nth++) found.set(image, nth * image.length);
  return found;
}

/** The places of a square grid: every fourth of every fourth row, then every second, then the others.
 *  @param {number} count */
export function coarseFirst(count) {
  const level = (/** @type {number} */ place) => {
    const both = Math.floor(place / count) | (place % count);
    return both % 4 === 0 ? 0 : both % 2 === 0 ? 1 : 2;
  };
  return Array.from({ length: count * count }, (_, place) => place).sort((one, other) => level(one) - level(other));
}

/** The largest value less the smallest. @param {Float32Array} image */
function contrast(image) {
  let [least, most] = [Infinity, -Infinity];
  for (const value of image) [least, most] = [Math.min(least, value), Math.max(most, value)];
  return most - least;
}
