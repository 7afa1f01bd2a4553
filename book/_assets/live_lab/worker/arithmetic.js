// What the tasks compute besides running the network: images are flat arrays of pixels, rows one after the other.
import { best, clamp } from "../numbers.js";

/** Weights that pick out one class for each of `count` images.
 *  @param {number} digit @param {number} classes @param {number} count */
export function oneHot(digit, classes, count = 1) {
  const weights = new Float32Array(classes * count);
  for (let image = 0; image < count; image++) weights[classes * image + digit] = 1;
  return weights;
}

/** The derivative of the log-odds against a class with respect to the logits, which attacks follow (chapter 15).
 *  @param {Float32Array} logits @param {number} digit */
export function logOddsGradient(logits, digit) {
  const others = Float32Array.from(logits);
  others[digit] = -Infinity;
  const largest = others[best(others)];
  const weights = others.map((logit) => Math.exp(logit - largest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight, at) => (at === digit ? -1 : weight / sum));
}

/** Move each pixel by `size` along the sign of its gradient, no further than eps from the image, and stay in [0, 1].
 *  @param {Float32Array} moved @param {Float32Array} gradient @param {number} size
 *  @param {Float32Array} image @param {number} eps */
export function signStep(moved, gradient, size, image, eps) {
  return moved.map((value, at) => {
    const pushed = value + size * Math.sign(gradient[at]);
    return clamp(clamp(pushed, image[at] - eps, image[at] + eps), 0, 1);
  });
}

/** The largest change of a pixel. @param {Float32Array} image @param {Float32Array} other */
export function distance(image, other) {
  return image.reduce((most, value, at) => Math.max(most, Math.abs(value - other[at])), 0);
}

/** Numbers between 0 and 1, the same ones for the same seed (mulberry32). @param {number} seed */
export function uniform(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Normal numbers, by Box and Muller. @param {number} seed */
export function normal(seed) {
  const draw = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

/** The image, moved up and to the left; what leaves at one side comes in at the other.
 *  @param {Float32Array} image @param {number} width @param {number} down @param {number} right */
export function rolled(image, width, down, right) {
  const height = image.length / width;
  return image.map((_, at) => {
    const row = (Math.floor(at / width) + down + height) % height;
    return image[row * width + (((at % width) + right + width) % width)];
  });
}

/** A fifth of each pixel spread over its neighbours; beyond the edge lies what is at the edge.
 *  @param {Float32Array} image @param {number} width */
export function blurred(image, width) {
  const height = image.length / width;
  /** @param {number} row @param {number} column */
  const pixel = (row, column) => image[clamp(row, 0, height - 1) * width + clamp(column, 0, width - 1)];
  return image.map((value, place) => {
    const [row, column] = [Math.floor(place / width), place % width];
    let sum = 0;
    for (const down of [-1, 0, 1]) {
      for (const right of [-1, 0, 1]) {
        sum += ((2 - Math.abs(down)) * (2 - Math.abs(right)) * pixel(row + down, column + right)) / 16;
      }
    }
    return 0.8 * value + 0.2 * sum;
  });
}

/** The mean of several images that lie one behind the other. @param {Float32Array} images @param {number} pixels */
export function mean(images, pixels) {
  const found = new Float32Array(pixels);
  const count = images.length / pixels;
  images.forEach((value, at) => {
    found[at % pixels] += value / count;
  });
  return found;
}
