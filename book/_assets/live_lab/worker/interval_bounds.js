// What no change of the pixels can alter: an interval for every pixel goes through the network, layer by layer, as in
// labkit.certification.interval_bounds, in double precision.
import { tensor } from "./safetensors.js";

/** @import {ProofStep} from "../types.js" */
/** @typedef {{ low: Float64Array, high: Float64Array, shape: number[] }} Box bounds, and their channels, rows, columns */

const ROUNDING = 1e-9; // of the largest bound, taken off

/** Lower bounds of logit[digit] - logit[k] for every k, for any change of the pixels by at most eps.
 *  @param {ProofStep[]} steps @param {Uint8Array<ArrayBuffer>} weights @param {Float32Array} image @param {number[]} shape
 *  @param {number} digit @param {number} eps */
export function intervalMargins(steps, weights, image, shape, digit, eps) {
  /** @type {Box} */
  let box = {
    low: Float64Array.from(image, (value) => Math.max(value - eps, 0)),
    high: Float64Array.from(image, (value) => Math.min(value + eps, 1)),
    shape,
  };
  for (const step of steps.slice(0, -1)) box = through(step, weights, box);
  const last = steps[steps.length - 1];
  return margins(tensor(weights, `${last.layer}.weight`), tensor(weights, `${last.layer}.bias`), box, digit);
}

/** @param {ProofStep} step @param {Uint8Array<ArrayBuffer>} weights @param {Box} box @returns {Box} */
function through({ kind, layer, window, eps = 0 }, weights, box) {
  if (kind === "normalize") {
    const [mean, std] = [tensor(weights, `${layer}.mean`)[0], tensor(weights, `${layer}.std`)[0]];
    return monotone(box, (value) => (value - mean) / std);
  }
  if (kind === "relu") return monotone(box, (value) => Math.max(value, 0));
  if (kind === "pool") return pooled(box);
  if (kind === "norm") return normed(weights, layer, eps, box);
  const [weight, bias] = [tensor(weights, `${layer}.weight`), tensor(weights, `${layer}.bias`)];
  const middle = box.low.map((low, at) => (low + box.high[at]) / 2);
  const reach = box.low.map((low, at) => (box.high[at] - low) / 2);
  const side = window && (box.shape[1] + 2 * window.padding - window.size) / window.stride + 1;
  const shape = [bias.length, ...(side ? [Math.floor(side), Math.floor(side)] : [])];
  const apply = (/** @type {Float32Array} */ factors, /** @type {Float64Array} */ values) =>
    window ? convolved(factors, values, box.shape, shape, window) : multiplied(factors, values, bias.length);
  const [centre, radius] = [apply(weight, middle), apply(weight.map(Math.abs), reach)];
  const each = centre.length / bias.length;
  centre.forEach((_, at) => (centre[at] += bias[Math.floor(at / each)]));
  return {
    low: centre.map((value, at) => value - radius[at]),
    high: centre.map((value, at) => value + radius[at]),
    shape,
  };
}

/** @param {Box} box @param {(value: number) => number} of a function that never falls @returns {Box} */
const monotone = ({ low, high, shape }, of) => ({ low: low.map(of), high: high.map(of), shape });

/** A batch norm in eval mode: each channel times a number, which may be negative, plus another.
 *  @param {Uint8Array<ArrayBuffer>} weights @param {string} layer @param {number} eps @param {Box} box @returns {Box} */
function normed(weights, layer, eps, { low, high, shape }) {
  const [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map((name) =>
    tensor(weights, `${layer}.${name}`),
  );
  const each = low.length / bias.length;
  const moved = (/** @type {Float64Array} */ positive, /** @type {Float64Array} */ negative) =>
    positive.map((value, at) => {
      const channel = Math.floor(at / each);
      const factor = weight[channel] / Math.sqrt(variance[channel] + eps);
      return factor * ((factor > 0 ? value : negative[at]) - mean[channel]) + bias[channel];
    });
  return { low: moved(low, high), high: moved(high, low), shape };
}

/** The largest of each 2 x 2. @param {Box} box @returns {Box} */
function pooled({ low, high, shape: [channels, height, width] }) {
  const [tall, wide] = [height >> 1, width >> 1];
  const halved = (/** @type {Float64Array} */ values) => {
    const found = new Float64Array(channels * tall * wide);
    for (let at = 0; at < found.length; at++) {
      const [channel, row, column] = [Math.floor(at / (tall * wide)), Math.floor(at / wide) % tall, at % wide];
      const corner = (channel * height + 2 * row) * width + 2 * column;
      found[at] = Math.max(values[corner], values[corner + 1], values[corner + width], values[corner + width + 1]);
    }
    return found;
  };
  return { low: halved(low), high: halved(high), shape: [channels, tall, wide] };
}

/** Square images and kernels, zeros beyond the edge.
 *  @param {Float32Array} weight @param {Float64Array} values @param {number[]} from @param {number[]} to shapes
 *  @param {NonNullable<ProofStep["window"]>} window */
function convolved(weight, values, [channels, side], [filters, wide], { size, stride, padding }) {
  const found = new Float64Array(filters * wide * wide);
  for (let filter = 0; filter < filters; filter++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let tap = 0; tap < size * size; tap++) {
        const factor = weight[(filter * channels + channel) * size * size + tap];
        const [down, right] = [Math.floor(tap / size) - padding, (tap % size) - padding];
        for (let row = 0; row < wide; row++) {
          const top = row * stride + down;
          if (top < 0 || top >= side) continue;
          const [target, source] = [(filter * wide + row) * wide, (channel * side + top) * side];
          for (let column = 0; column < wide; column++) {
            const left = column * stride + right;
            if (left >= 0 && left < side) found[target + column] += factor * values[source + left];
          }
        }
      }
    }
  }
  return found;
}

/** @param {Float32Array} weight @param {Float64Array} values @param {number} units */
function multiplied(weight, values, units) {
  const found = new Float64Array(units);
  for (let unit = 0; unit < units; unit++) {
    let sum = 0;
    for (let at = 0; at < values.length; at++) sum += weight[unit * values.length + at] * values[at];
    found[unit] = sum;
  }
  return found;
}

/** The last layer together with the difference of two logits: closer than a bound for each of them.
 *  @param {Float32Array} weight @param {Float32Array} bias @param {Box} box @param {number} digit */
function margins(weight, bias, { low, high }, digit) {
  const width = low.length;
  const found = Float64Array.from(bias, (own, other) => {
    if (other === digit) return Infinity;
    let least = bias[digit] - own;
    for (let at = 0; at < width; at++) {
      const factor = weight[digit * width + at] - weight[other * width + at];
      least += factor > 0 ? factor * low[at] : factor * high[at];
    }
    return least;
  });
  const most = found.reduce((far, value) => (Number.isFinite(value) ? Math.max(far, Math.abs(value)) : far), 0);
  return found.map((value) => value - ROUNDING * most);
}
