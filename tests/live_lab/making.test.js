// What the bench for photographs makes: transforms, attacks and classes that are grown.
import assert from "node:assert/strict";
import { test } from "node:test";
import { uniform } from "../../book/_assets/live_lab/worker/arithmetic.js";
import { Fourier } from "../../book/_assets/live_lab/worker/fourier.js";
import { addPenalties, makingTasks, shifted, shiftedBack } from "../../book/_assets/live_lab/worker/making_tasks.js";
import { waves } from "../../book/_assets/live_lab/worker/parametrization.js";
import { linear, turn } from "./linear.js";

/** @param {number} count @param {number} seed */
const random = (count, seed) => Float32Array.from({ length: count }, uniform(seed));

/** @param {ArrayLike<number>} one @param {ArrayLike<number>} other @param {number} apart */
function near(one, other, apart) {
  assert.equal(one.length, other.length);
  for (let at = 0; at < one.length; at++) assert.ok(Math.abs(one[at] - other[at]) < apart, `${one[at]}, ${other[at]}`);
}

/** @param {ArrayLike<number>} one @param {ArrayLike<number>} other */
const product = (one, other) => Array.from(one).reduce((sum, value, at) => sum + value * other[at], 0);

test("amplitudes are sums over all pixels, and the image comes back, for even and odd sizes", () => {
  for (const [height, width] of [
    [6, 8],
    [7, 5],
    [14, 12],
  ]) {
    const fourier = new Fourier(height, width);
    const image = random(height * width, 1);
    const found = fourier.amplitudes(image);
    for (const [row, column] of [
      [0, 0],
      [1, 2],
      [height - 1, 1],
    ]) {
      let [real, imaginary] = [0, 0];
      image.forEach((value, at) => {
        const turns = (row * Math.floor(at / width)) / height + (column * (at % width)) / width;
        real += (value * Math.cos(2 * Math.PI * turns)) / Math.sqrt(height * width);
        imaginary -= (value * Math.sin(2 * Math.PI * turns)) / Math.sqrt(height * width);
      });
      const at = 2 * (row * fourier.half + column);
      near(found.subarray(at, at + 2), [real, imaginary], 1e-5);
    }
    near(fourier.image(found), image, 1e-5);
  }
});

test("backward is the derivative of every amplitude", () => {
  const fourier = new Fourier(6, 8);
  const amplitudes = random(2 * 6 * fourier.half, 2);
  const gradient = random(48, 3);
  // image() is linear, so that <gradient, image(direction)> is what a derivative says of that direction.
  const direction = random(amplitudes.length, 4);
  const slope = product(gradient, fourier.image(direction));
  assert.ok(Math.abs(product(fourier.backward(gradient), direction) - slope) < 1e-4);
});

test("waves: the image that it began with, and the derivative of a change", () => {
  const image = random(3 * 6 * 8, 5).map((value) => 0.1 + 0.8 * value);
  const made = waves(image, 6, 8);
  near(made.image(), image, 1e-4);
  const gradient = random(image.length, 6);
  const slope = made.backward(gradient);
  const direction = random(slope.length, 7).map((value) => value - 0.5);
  const before = product(gradient, made.image());
  direction.forEach((value, at) => (made.numbers[at] += 1e-3 * value));
  const rise = (product(gradient, made.image()) - before) / 1e-3;
  assert.ok(Math.abs(rise - product(slope, direction)) < 0.02 * Math.abs(rise) + 1e-3);
});

test("a shift mirrors what is inside, and its derivative goes the way back", () => {
  const line = Float32Array.of(1, 2, 3, 4);
  assert.deepEqual([...shifted(line, [1, 1, 4], 0, 1)], [2, 1, 2, 3]);
  assert.deepEqual([...shifted(line, [1, 1, 4], 0, -1)], [2, 3, 4, 3]);
  const [image, gradient] = [random(3 * 5 * 4, 8), random(3 * 5 * 4, 9)];
  const there = product(gradient, shifted(image, [3, 5, 4], 2, -1));
  assert.ok(Math.abs(there - product(shiftedBack(gradient, [3, 5, 4], 2, -1), image)) < 1e-4);
});

test("penalties are slopes of the means that labkit takes", () => {
  /** @type {[number, number, number]} */
  const shape = [2, 3, 4];
  const [image, middle] = [random(24, 10), random(24, 11)];
  const cost = (/** @type {Float32Array} */ pixels) => {
    let [rough, far] = [0, 0];
    pixels.forEach((value, at) => {
      if (at % 4 < 3) rough += Math.abs(pixels[at + 1] - value);
      if (Math.floor(at / 4) % 3 < 2) rough += Math.abs(pixels[at + 4] - value);
      far += (value - middle[at]) ** 2;
    });
    return (30 * rough + 7 * far) / 24;
  };
  const slope = new Float32Array(24);
  addPenalties(slope, image, middle, shape, { smooth: 30, near: 7 });
  image.forEach((_, at) => {
    const [more, less] = [image.slice(), image.slice()];
    [more[at], less[at]] = [image[at] + 1e-4, image[at] - 1e-4];
    assert.ok(Math.abs(slope[at] + (cost(more) - cost(less)) / 2e-4) < 0.02);
  });
});

test("a push towards a class goes as far as eps along the weights, and is told step by step", async () => {
  const network = linear(
    [
      [1, 1, -1],
      [-1, 1, 1],
    ],
    [3, 1, 1],
  );
  const waiting = turn();
  const values = { image: Float32Array.of(0.5, 0.5, 0.5), label: 0, target: 1, eps: 0.1, steps: 4 };
  const found = await makingTasks.push(network, values, waiting);
  near(found?.image ?? [], [0.4, 0.5, 0.6], 1e-6);
  assert.deepEqual(
    waiting.told.map(({ step }) => step),
    [1, 2, 3, 4],
  );
  found?.random.image.forEach((value) => assert.ok(Math.abs(Math.abs(value - 0.5) - 0.1) < 1e-6));
  assert.equal(await makingTasks.push(network, values, turn(1)), null);
});

test("a grown class has a higher logit with every step, stays in [0, 1], and can be stopped", async () => {
  const size = 3 * 4 * 6;
  const network = linear([Array(size).fill(0), [...random(size, 12)].map((value) => value - 0.5)], [3, 4, 6]);
  for (const way of /** @type {const} */ (["waves", "pixels"])) {
    const waiting = turn();
    const values = { label: 1, image: random(size, 13), grey: true, way, smooth: 0, near: 0, jitter: 0, steps: 6 };
    const found = await makingTasks.grow(network, values, waiting);
    const logits = [...waiting.told, found].map((each) => each.logits[1]);
    for (let at = 1; at < logits.length; at++) assert.ok(logits[at] > logits[at - 1], way);
    assert.equal(found?.step, 6);
    assert.ok(found?.image.every((value) => value >= 0 && value <= 1));
    assert.equal(await makingTasks.grow(network, values, turn(2)), null);
  }
});
