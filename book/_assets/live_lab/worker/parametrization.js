// What gradient ascent changes, as in labkit.synthesis: pixels, or the amplitudes of spatial frequencies in colours that
// photographs vary independently.
import { clamp } from "../numbers.js";
import { Fourier } from "./fourier.js";

/** @typedef {{ numbers: Float32Array, image(): Float32Array, backward(gradient: Float32Array): Float32Array,
 *              settle(): void }} Parametrization `image` must have been called before `backward` */

const COLOURS = [
  [0.558, 0.2011, 0.0566],
  [0.5775, 0.0132, -0.1058],
  [0.596, -0.2011, 0.0496],
];
const STEEPNESS = 1.5;
const EDGE = 0.02;

/** @param {Float32Array} image @returns {Parametrization} */
export function pixels(image) {
  const numbers = image.slice();
  return {
    numbers,
    image: () => numbers.slice(),
    backward: (gradient) => gradient,
    settle: () => {
      numbers.forEach((value, at) => (numbers[at] = clamp(value, 0, 1)));
    },
  };
}

/** @param {Float32Array} image of three colours @param {number} height @param {number} width @returns {Parametrization} */
export function waves(image, height, width) {
  const fourier = new Fourier(height, width);
  const { half } = fourier;
  const [size, count] = [height * width, height * half];
  const weight = frequencyWeights(height, half, width);
  const logits = image.map((value) => {
    const inside = clamp(value, EDGE, 1 - EDGE);
    return Math.log(inside / (1 - inside));
  });
  const inverse = inverted(COLOURS);
  const parts = mixed(logits, inverse, size);
  const numbers = new Float32Array(3 * 2 * count);
  for (let colour = 0; colour < 3; colour++) {
    const found = fourier.amplitudes(parts.subarray(colour * size, (colour + 1) * size));
    found.forEach((value, at) => (numbers[colour * 2 * count + at] = value / weight[at >> 1]));
  }
  const transposed = COLOURS.map((_, row) => COLOURS.map((each) => each[row]));
  let shown = image;

  return {
    numbers,
    image() {
      const planes = new Float32Array(3 * size);
      for (let colour = 0; colour < 3; colour++) {
        const own = numbers.subarray(colour * 2 * count, (colour + 1) * 2 * count);
        planes.set(fourier.image(own.map((value, at) => value * weight[at >> 1])), colour * size);
      }
      shown = mixed(planes, COLOURS, size).map((value) => 1 / (1 + Math.exp(-value)));
      return shown;
    },
    backward(gradient) {
      const flat = gradient.map((value, at) => value * shown[at] * (1 - shown[at]));
      const planes = mixed(flat, transposed, size);
      const found = new Float32Array(numbers.length);
      for (let colour = 0; colour < 3; colour++) {
        const own = fourier.backward(planes.subarray(colour * size, (colour + 1) * size));
        own.forEach((value, at) => (found[colour * 2 * count + at] = value * weight[at >> 1]));
      }
      return found;
    },
    settle() {}, // a sigmoid keeps the pixels in [0, 1]
  };
}

/** How much each frequency counts: low ones more than high ones, 1 in the mean square.
 *  @param {number} height @param {number} half @param {number} width */
function frequencyWeights(height, half, width) {
  const least = 1 / Math.max(height, width);
  const found = Float32Array.from({ length: height * half }, (_, at) => {
    const row = Math.floor(at / half);
    const [down, across] = [(2 * row < height ? row : row - height) / height, (at % half) / width];
    return Math.max(Math.hypot(down, across), least) ** -STEEPNESS;
  });
  const mean = Math.sqrt(found.reduce((sum, value) => sum + value * value, 0) / found.length);
  return found.map((value) => value / mean);
}

/** Each pixel's three numbers times a matrix. @param {Float32Array} planes @param {number[][]} matrix @param {number} size */
function mixed(planes, matrix, size) {
  const found = new Float32Array(planes.length);
  matrix.forEach(([red, green, blue], row) => {
    for (let at = 0; at < size; at++) {
      found[row * size + at] = red * planes[at] + green * planes[size + at] + blue * planes[2 * size + at];
    }
  });
  return found;
}

/** The inverse of a matrix of 3 x 3, by cofactors. @param {number[][]} m */
function inverted(m) {
  const minor = (/** @type {number} */ row, /** @type {number} */ column) => {
    const [a, b] = [0, 1, 2].filter((each) => each !== row);
    const [c, d] = [0, 1, 2].filter((each) => each !== column);
    return (m[a][c] * m[b][d] - m[a][d] * m[b][c]) * ((row + column) % 2 ? -1 : 1);
  };
  const determinant = m[0][0] * minor(0, 0) + m[0][1] * minor(0, 1) + m[0][2] * minor(0, 2);
  return m.map((_, row) => m.map((__, column) => minor(column, row) / determinant));
}
