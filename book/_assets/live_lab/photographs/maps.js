// Arithmetic on maps and photos that the page and its worker share.
import { clamp } from "../numbers.js";

/** One number a pixel: the largest magnitude over the colours (labkit.core.importance).
 *  @param {Float32Array} gradient @param {number} pixels of one colour */
export function importance(gradient, pixels) {
  const found = new Float32Array(pixels);
  gradient.forEach((value, at) => {
    found[at % pixels] = Math.max(found[at % pixels], Math.abs(value));
  });
  return found;
}

/** A map in another size, bilinearly, as torch's `interpolate` does it.
 *  @param {Float32Array} map @param {[height: number, width: number]} from @param {[height: number, width: number]} to */
export function enlarged(map, [tall, wide], [height, width]) {
  const places = (/** @type {number} */ size, /** @type {number} */ wanted) =>
    Array.from({ length: wanted }, (_, at) => {
      const source = Math.max(0, ((at + 0.5) * size) / wanted - 0.5);
      const lower = Math.min(Math.floor(source), size - 1);
      return { lower, upper: Math.min(lower + 1, size - 1), part: source - lower };
    });
  const [rows, columns] = [places(tall, height), places(wide, width)];
  const found = new Float32Array(height * width);
  rows.forEach(({ lower: top, upper: bottom, part: down }, row) => {
    columns.forEach(({ lower: left, upper: right, part: across }, column) => {
      const above = (1 - across) * map[top * wide + left] + across * map[top * wide + right];
      const below = (1 - across) * map[bottom * wide + left] + across * map[bottom * wide + right];
      found[row * width + column] = (1 - down) * above + down * below;
    });
  });
  return found;
}

/** The number that a share of all numbers stay below. @param {Float32Array} values @param {number} share */
export function quantile(values, share) {
  const sorted = Float32Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** Where a square window goes: corners in pixels, row by row.
 *  @param {number} size of the image @param {number} window @param {number} stride */
export function positions(size, window, stride) {
  const count = Math.floor((size - window) / stride) + 1;
  return { count, corners: Array.from({ length: count }, (_, at) => at * stride) };
}

/** One number a window as one number a pixel: the mean of all windows that cover it, NaN where none does
 *  (labkit.attribution.occlusion.average_over_windows). Numbers that are not known yet are NaN.
 *  @param {Float32Array} values @param {{ size: number, window: number, stride: number }} options */
export function overWindows(values, { size, window, stride }) {
  const { count, corners } = positions(size, window, stride);
  const [total, covered] = [new Float32Array(size * size), new Float32Array(size * size)];
  values.forEach((value, at) => {
    if (Number.isNaN(value)) return;
    const [top, left] = [corners[Math.floor(at / count)], corners[at % count]];
    for (let row = top; row < top + window; row++) {
      for (let column = left; column < left + window; column++) {
        total[row * size + column] += value;
        covered[row * size + column] += 1;
      }
    }
  });
  return total.map((sum, at) => (covered[at] ? sum / covered[at] : NaN));
}

/** The image with a window of grey. @param {Float32Array} image @param {{ height: number, width: number }} size
 *  @param {{ top: number, left: number, window: number, fill: number }} where */
export function occluded(image, { height, width }, { top, left, window, fill }) {
  const found = image.slice();
  for (let colour = 0; colour < image.length / (height * width); colour++) {
    for (let row = top; row < top + window; row++) {
      const start = (colour * height + row) * width + left;
      found.fill(fill, start, start + window);
    }
  }
  return found;
}

/** Nodes and weights of Gauss-Legendre quadrature on the line from 0 to 1. @param {number} count */
export function legendre(count) {
  return Array.from({ length: count }, (_, nth) => {
    let node = Math.cos((Math.PI * (nth + 0.75)) / (count + 0.5)); // a guess, which Newton's steps make exact
    let slope = 1;
    for (let step = 0; step < 100; step++) {
      let [before, value] = [1, node];
      for (let degree = 2; degree <= count; degree++) {
        [before, value] = [value, ((2 * degree - 1) * node * value - (degree - 1) * before) / degree];
      }
      slope = (count * (node * value - before)) / (node * node - 1);
      const change = value / slope;
      node -= change;
      if (Math.abs(change) < 1e-15) break;
    }
    return { node: (1 - node) / 2, weight: 1 / ((1 - node * node) * slope * slope) };
  });
}

/** Pixels, the most important first; equal ones in an order that the seed fixes.
 *  @param {Float32Array} map @param {() => number} draw numbers from 0 to 1 */
export function ranking(map, draw) {
  const order = Uint32Array.from(map, (_, at) => at);
  for (let at = order.length - 1; at > 0; at--) {
    const other = clamp(Math.floor(draw() * (at + 1)), 0, at);
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order.sort((one, other) => map[other] - map[one]);
}
