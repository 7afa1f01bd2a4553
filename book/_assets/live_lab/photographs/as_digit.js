// A photographed digit as MNIST would have it: grey, the ink white on black, scaled into a box of 20 x 20 pixels, and its
// centre of mass in the middle of 28 x 28.
import { centreOfMass, SIZE } from "../digit.js";
import { clamp } from "../numbers.js";
import { quantile } from "./maps.js";

const BOX = 20;
const FINE = 6; // samples of a pixel, down and across
const INK = 0.3; // darker is paper, when the digit's edges are looked for
const PAPER = 0.5; // the share of pixels that are paper at least

/** @typedef {{ left: number, top: number, side: number }} Square of the photo, in its pixels, that becomes the 28 x 28 */

/** Brightness, 0 to 1. @param {Float32Array} image colour by colour */
export function grey(image) {
  const count = image.length / 3;
  return Float32Array.from({ length: count }, (_, at) => {
    return 0.299 * image[at] + 0.587 * image[count + at] + 0.114 * image[2 * count + at];
  });
}

/** Whether it is dark on bright: the middle value is nearer to the brightest than to the darkest.
 *  @param {Float32Array} values */
export function darkOnBright(values) {
  const [least, middle, most] = [0.01, 0.5, 0.99].map((share) => quantile(values, share));
  return most - middle < middle - least;
}

/** How much ink is in each pixel: none in the paper, 1 in the strongest stroke.
 *  @param {Float32Array} values @param {{ invert: boolean, from: number }} options `from` is how much stronger than
 *  paper ink begins, as a share of the strongest */
export function inked(values, { invert, from }) {
  const bright = invert ? values.map((value) => 1 - value) : values;
  const paper = quantile(bright, PAPER);
  const range = Math.max(quantile(bright, 0.998) - paper, 0.02); // an empty page stays empty
  return bright.map((value) => clamp(((value - paper) / range - from) / (1 - from), 0, 1));
}

/** The square of the photo that MNIST would cut out. @param {Float32Array} ink @param {number} width @returns {Square} */
export function centred(ink, width) {
  let [left, right, top, bottom] = [width, -1, ink.length / width, -1];
  ink.forEach((value, at) => {
    if (value < INK) return;
    const [row, column] = [Math.floor(at / width), at % width];
    [left, right, top, bottom] = [
      Math.min(left, column),
      Math.max(right, column),
      Math.min(top, row),
      Math.max(bottom, row),
    ];
  });
  if (right < 0) return { left: 0, top: 0, side: width };
  const side = (Math.max(right - left, bottom - top, 1) + 1) * (SIZE / BOX);
  const square = { left: (left + right + 1 - side) / 2, top: (top + bottom + 1 - side) / 2, side };
  const { x, y } = centreOfMass(cut(ink, width, square));
  const pixel = side / SIZE;
  return { left: square.left + (x - SIZE / 2) * pixel, top: square.top + (y - SIZE / 2) * pixel, side };
}

/** A square of the photo in 28 x 28 pixels; there is no ink beyond the photo.
 *  @param {Float32Array} ink @param {number} width @param {Square} square */
export function cut(ink, width, { left, top, side }) {
  const height = ink.length / width;
  const step = side / SIZE / FINE;
  const found = new Float32Array(SIZE * SIZE);
  for (let down = 0; down < SIZE * FINE; down++) {
    for (let across = 0; across < SIZE * FINE; across++) {
      const [row, column] = [Math.floor(top + (down + 0.5) * step), Math.floor(left + (across + 0.5) * step)];
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      found[Math.floor(down / FINE) * SIZE + Math.floor(across / FINE)] += ink[row * width + column] / FINE ** 2;
    }
  }
  return found;
}
