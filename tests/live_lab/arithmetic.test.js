import assert from "node:assert/strict";
import test from "node:test";

import { under, weighted } from "../../book/_assets/live_lab/convolution.js";
import { averaged, centreOfMass, fitted, SIZE } from "../../book/_assets/live_lab/digit.js";
import {
  blurred,
  distance,
  logOddsGradient,
  mean,
  normal,
  oneHot,
  rolled,
  signStep,
  uniform,
} from "../../book/_assets/live_lab/worker/arithmetic.js";
import { tensor } from "../../book/_assets/live_lab/worker/safetensors.js";

const floats = (/** @type {number[]} */ ...values) => Float32Array.from(values);

test("one-hot weights for each image", () => {
  assert.deepEqual([...oneHot(1, 3, 2)], [0, 1, 0, 0, 1, 0]);
});

test("the gradient of the log-odds is what a small step measures", () => {
  const logits = [1.5, -0.5, 0.25];
  const odds = (/** @type {number[]} */ z) => Math.log(Math.exp(z[0]) + Math.exp(z[2])) - z[1];
  const found = logOddsGradient(floats(...logits), 1);
  logits.forEach((_, at) => {
    const nudged = logits.map((value, other) => value + (other === at ? 1e-5 : 0));
    assert.ok(Math.abs((odds(nudged) - odds(logits)) / 1e-5 - found[at]) < 1e-3);
  });
});

test("where the network is certain, the gradient of the log-odds does not vanish", () => {
  assert.deepEqual([...logOddsGradient(floats(200, 0, -5), 0)].map(Math.round), [-1, 1, 0]);
});

test("a step stays within eps of the image and within the box", () => {
  const image = floats(0.05, 0.5, 0.95);
  const found = signStep(image, floats(-1, 0, 3), 0.4, image, 0.1);
  assert.deepEqual(
    [...found].map((value) => value.toFixed(2)),
    ["0.00", "0.50", "1.00"],
  );
  assert.ok(Math.abs(distance(found, image) - 0.05) < 1e-6);
});

test("the same seed gives the same numbers, of the right mean and spread", () => {
  const [one, same, other] = [uniform(3), uniform(3), uniform(4)];
  assert.equal(one(), same());
  assert.notEqual(one(), other());
  const draw = normal(0);
  const drawn = Array.from({ length: 20000 }, draw);
  const average = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
  const variance = drawn.reduce((sum, value) => sum + (value - average) ** 2, 0) / drawn.length;
  assert.ok(Math.abs(average) < 0.03 && Math.abs(variance - 1) < 0.05);
});

test("rolling there and back changes nothing", () => {
  const image = floats(1, 2, 3, 4, 5, 6);
  assert.deepEqual([...rolled(image, 3, 1, 1)], [5, 6, 4, 2, 3, 1]);
  assert.deepEqual([...rolled(rolled(image, 3, 1, 1), 3, -1, -1)], [...image]);
});

test("blurring keeps an even image and spreads a dot", () => {
  assert.ok(blurred(floats(...Array(9).fill(0.5)), 3).every((value) => Math.abs(value - 0.5) < 1e-6));
  const dot = blurred(floats(0, 0, 0, 0, 1, 0, 0, 0, 0), 3);
  assert.ok(Math.abs(dot[4] - (0.8 + 0.2 / 4)) < 1e-6);
  assert.ok(Math.abs(dot.reduce((sum, value) => sum + value, 0) - 1) < 1e-6);
});

test("the mean of images", () => {
  assert.deepEqual([...mean(floats(0, 1, 2, 5), 2)], [1, 3]);
});

test("a convolution counts pixels outside the image as 0, and does not flip its kernel", () => {
  const image = floats(1, 2, 3, 4);
  assert.deepEqual(under(image, 2, 0), [0, 0, 0, 0, 1, 2, 0, 3, 4]);
  assert.equal(weighted(image, 2, [0, 0, 0, 0, 0, 1, 0, 0, 0], 0), 2); // the right neighbour
});

test("a drawing fills the box of 20 pixels, pen included, and its middle is the image's", () => {
  const { scale, right, down } = fitted([
    [0.2, 0.1],
    [0.4, 0.9],
  ]);
  assert.ok(Math.abs(scale * 0.8 - 17.4) < 1e-9);
  assert.ok(Math.abs(scale * 0.3 + right - SIZE / 2) < 1e-9 && Math.abs(scale * 0.5 + down - SIZE / 2) < 1e-9);
  assert.ok(fitted([[0.5, 0.5]]).scale < 200, "a dot is not blown up");
});

test("the centre of mass", () => {
  const image = new Float32Array(SIZE * SIZE);
  assert.deepEqual(centreOfMass(image), { x: 14, y: 14 });
  image[3 * SIZE + 5] = 1;
  image[3 * SIZE + 7] = 1;
  assert.deepEqual(centreOfMass(image), { x: 6.5, y: 3.5 });
});

test("averaging a white canvas gives a white image", () => {
  const image = averaged(new Uint8ClampedArray(4 * (8 * SIZE) ** 2).fill(255));
  assert.equal(image.length, SIZE * SIZE);
  assert.ok(image.every((value) => Math.abs(value - 1) < 1e-5));
});

test("a tensor is read where the header says, and changing it changes the file", () => {
  const header = JSON.stringify({
    a: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
    b: { dtype: "F32", shape: [2], data_offsets: [4, 12] },
  });
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const file = new Uint8Array(8 + padded.length + 12);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded.length), true);
  file.set(new TextEncoder().encode(padded), 8);
  file.set(new Uint8Array(floats(7, 8, 9).buffer), 8 + padded.length);
  assert.deepEqual([...tensor(file, "b")], [8, 9]);
  tensor(file, "b")[0] = 1;
  assert.deepEqual([...tensor(file, "b")], [1, 9]);
  assert.throws(() => tensor(file, "c"), /there is no tensor c, only a, b/);
});
