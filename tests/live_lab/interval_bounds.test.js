import assert from "node:assert/strict";
import test from "node:test";

import { intervalMargins } from "../../book/_assets/live_lab/worker/interval_bounds.js";
import { writeTensors } from "../../book/_assets/live_lab/worker/safetensors.js";

/** @import {ProofStep} from "../../book/_assets/live_lab/types.js" */

/** @param {Record<string, number[]>} tensors */
const file = (tensors) =>
  writeTensors(
    Object.fromEntries(Object.entries(tensors).map(([name, values]) => [name, Float32Array.from(values)])),
    Object.fromEntries(Object.entries(tensors).map(([name, values]) => [name, [values.length]])),
    {},
  );
const image = Float32Array.of(0.5, 0.5, 0.5, 0.5);

/** @param {ArrayLike<number>} found @param {number[]} expected */
function near(found, expected) {
  expected.forEach((value, at) => assert.ok(found[at] === value || Math.abs(found[at] - value) < 1e-6, `${found[at]}`));
}

test("a linear network's bound is its margin less eps times what the difference adds up to", () => {
  /** @type {ProofStep[]} */
  const steps = [{ kind: "linear", layer: "fc" }];
  const weights = file({ "fc.weight": [1, 0, -1, 0.5, -2, 1, 0, 0.25], "fc.bias": [0, 0] });
  near(intervalMargins(steps, weights, image, [1, 2, 2], 0, 0.1), [Infinity, 0.625 - 0.1 * 5.25]);
});

test("pixels stay in [0, 1]", () => {
  /** @type {ProofStep[]} */
  const steps = [{ kind: "linear", layer: "fc" }];
  const weights = file({ "fc.weight": [1, 1, 1, 1, 0, 0, 0, 0], "fc.bias": [0, 0] });
  near(intervalMargins(steps, weights, image, [1, 2, 2], 0, 5), [Infinity, 0]);
});

test("bounds go through a convolution with a stride, a batch norm that turns signs round, and a ReLU", () => {
  /** @type {ProofStep[]} */
  const steps = [
    { kind: "conv", layer: "conv", window: { size: 2, stride: 2, padding: 1 } }, // four corners, one pixel each
    { kind: "norm", layer: "bn", eps: 0 },
    { kind: "relu", layer: "relu" },
    { kind: "linear", layer: "fc" },
  ];
  const weights = file({
    "conv.weight": [1, 2, 3, 4],
    "conv.bias": [1],
    "bn.weight": [-2],
    "bn.bias": [6],
    "bn.running_mean": [0],
    "bn.running_var": [4],
    "fc.weight": [1, 1, 1, 1, 0, 0, 0, 0],
    "fc.bias": [0, 0],
  });
  // Corner k sees k * pixel + 1, which the batch norm makes 5 - k * pixel, and pixels reach 0.6.
  near(intervalMargins(steps, weights, image, [1, 2, 2], 0, 0.1), [Infinity, 20 - 10 * 0.6]);
});

test("a pooling keeps the largest of the bounds", () => {
  /** @type {ProofStep[]} */
  const steps = [
    { kind: "pool", layer: "pool", window: { size: 2, stride: 2, padding: 0 } },
    { kind: "linear", layer: "fc" },
  ];
  const weights = file({ "fc.weight": [1, 0], "fc.bias": [0, 0] });
  const found = intervalMargins(steps, weights, Float32Array.of(0.1, 0.9, 0.2, 0.3), [1, 2, 2], 0, 0.05);
  near(found, [Infinity, 0.85]);
});
