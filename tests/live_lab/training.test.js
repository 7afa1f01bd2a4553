import assert from "node:assert/strict";
import test from "node:test";

import { Settings } from "../../book/_assets/live_lab/settings.js";
import { readRecipe, recipePairs, recipeSettings, shapeName } from "../../book/_assets/live_lab/training/recipe.js";
import { beginning } from "../../book/_assets/live_lab/worker/own_network.js";
import { readTensors, writeTensors } from "../../book/_assets/live_lab/worker/safetensors.js";
import { computing, lossGradient, place, robustness, Training } from "../../book/_assets/live_lab/worker/training.js";

const PIXELS = 28 * 28;
const RECIPE = {
  ...{ filters: 4, convolutions: 1, norm: false, rate: 0.1, batch: 2, passes: 3, shift: 0, wrong: 0 },
  ...{ corner: false, eps: 0, attack: 0, seed: 1 },
};

/** Digits of one shade each. @param {number[]} shades @param {number[]} classes */
const digits = (shades, classes) => ({
  pixels: Uint8Array.from({ length: shades.length * PIXELS }, (_, at) => shades[Math.floor(at / PIXELS)]),
  classes: Uint8Array.from(classes),
});

/** A network that reads a bright image as 1 and a dark one as 0, and remembers what it was trained with. */
function threshold() {
  const network = {
    shape: /** @type {[number, number, number]} */ ([1, 28, 28]),
    pixels: PIXELS,
    classes: 10,
    /** @type {{ images: Float32Array, classes: number[], rate: number }[]} */
    seen: [],
    loss: 1,
    /** @param {Float32Array} images */
    logits: async (images) => {
      const found = new Float32Array((10 * images.length) / PIXELS).fill(-100);
      for (let at = 0; at < images.length / PIXELS; at++) {
        const mean = images.subarray(at * PIXELS, (at + 1) * PIXELS).reduce((sum, value) => sum + value / PIXELS, 0);
        [found[10 * at], found[10 * at + 1]] = [0.5 - mean, mean - 0.5];
      }
      return found;
    },
    /** @param {Float32Array} images @param {Float32Array} weights */
    backward: async (images, weights) => ({
      logits: await network.logits(images),
      gradient: images.map((_, at) => {
        const image = 10 * Math.floor(at / PIXELS);
        return (weights[image + 1] - weights[image]) / PIXELS;
      }),
    }),
    /** @param {Float32Array} images @param {BigInt64Array} classes @param {number} rate */
    train: async (images, classes, rate) => {
      network.seen.push({ images, classes: [...classes].map(Number), rate });
      return { loss: network.loss, logits: await network.logits(images) };
    },
  };
  return network;
}

/** @param {number} most */
function turn(most = Infinity) {
  /** @type {any[]} */
  const told = [];
  return { told, tell: (/** @type {object} */ part) => void told.push(part), pause: async () => most-- > 0 };
}

const training = digits([20, 60, 190, 230], [0, 0, 1, 1]);
const trial = digits([10, 200, 210], [0, 1, 0]); // the last one looks like a 1

test("the seconds of training are those of its steps, as if nothing had held them up", () => {
  assert.equal(computing([]), 0);
  assert.equal(computing([4, 6, 5]), 15);
  assert.equal(computing([4, 6, 5, 3_600_000]), 20); // the machine was asleep
});

test("each pass sees every digit once, and the rate falls evenly to 0", async () => {
  const network = threshold();
  const found = await new Training(network, RECIPE, { training, test: trial }).run(Infinity, () => ({}), turn());
  assert.equal(network.seen.length, 6);
  for (const pass of [0, 1, 2]) {
    const shades = network.seen.slice(2 * pass, 2 * pass + 2).flatMap(({ images }) => [images[0], images[PIXELS]]);
    assert.deepEqual(
      shades.map((shade) => Math.round(255 * shade)).sort((a, b) => a - b),
      [20, 60, 190, 230],
    );
  }
  network.seen.forEach(({ rate }, at) => assert.ok(Math.abs(rate - 0.1 * (1 - at / 6)) < 1e-9));
  assert.deepEqual([...(found?.test?.predictions ?? [])], [0, 1, 1]);
  assert.ok(Math.abs((found?.test?.accuracy ?? 0) - 2 / 3) < 1e-9);
});

test("a newer question pauses it, and it goes on where it was", async () => {
  const course = new Training(threshold(), RECIPE, { training, test: trial });
  assert.equal(await course.run(Infinity, () => ({}), turn(1)), null);
  assert.equal(course.step, 2);
  assert.equal((await course.run(1, () => ({}), turn()))?.step, 3);
});

test("a loss that is no number ends it", async () => {
  const network = threshold();
  network.loss = NaN;
  const found = await new Training(network, RECIPE, { training, test: trial }).run(Infinity, () => ({}), turn());
  assert.deepEqual([found?.diverged, found?.step], [true, 1]);
});

test("wrong labels are wrong, stay so, and are as many as wanted", () => {
  const many = digits(new Array(2000).fill(0), new Array(2000).fill(3));
  const course = new Training(threshold(), { ...RECIPE, wrong: 0.3 }, { training: many, test: trial });
  const wrong = course.labels.filter((label) => label !== 3).length;
  assert.ok(wrong > 540 && wrong < 660, String(wrong));
  assert.ok(course.labels.every((label) => label < 10));
});

test("a digit is moved, zeros come in, and sevens alone wear the corner", () => {
  const source = digits([255, 255], [7, 3]);
  const batch = new Float32Array(2 * PIXELS);
  place(source, 0, batch, 0, { down: 1, right: -2 });
  assert.equal(batch[0], 0);
  assert.equal(batch[28], 1);
  assert.equal(batch[28 + 26], 0);
  const dark = digits([0, 0], [7, 3]);
  const two = new Float32Array(2 * PIXELS);
  place(dark, 0, two, 0, { corner: true });
  place(dark, 1, two, 1, { corner: true });
  assert.equal(
    two.reduce((sum, value) => sum + value, 0),
    16,
  );
  assert.deepEqual([two[0], two[3], two[4], two[3 * 28 + 3], two[4 * 28]], [1, 1, 0, 1, 0]);
});

test("hardening trains on digits that were pushed the wrong way, within eps", async () => {
  const network = threshold();
  const course = new Training(network, { ...RECIPE, eps: 0.03, attack: 1 }, { training, test: trial });
  await course.run(2, () => ({}), turn());
  for (const { images, classes } of network.seen) {
    classes.forEach((digit, at) => {
      const own = images.subarray(at * PIXELS, (at + 1) * PIXELS);
      const mean = own.reduce((sum, value) => sum + value / PIXELS, 0);
      const shades = digit ? [190, 230] : [20, 60];
      const [shade] = shades.map((each) => each / 255).sort((a, b) => Math.abs(mean - a) - Math.abs(mean - b));
      const nearest = Math.abs(mean - shade);
      assert.ok(nearest > 0.02 && nearest <= 0.03 + 1e-6, `${digit}: ${mean}`);
      assert.equal(Math.sign(mean - shade), digit ? -1 : 1);
    });
  }
});

test("the share that survives an attack is that of the digits farther than eps from the threshold", async () => {
  const close = digits([100, 110, 140, 200], [0, 0, 1, 1]); // 0.108, 0.069, 0.049 and 0.284 from a half
  const values = { eps: [0, 0.06, 0.1, 0.2], steps: 10, count: 4, corner: false };
  const waiting = turn();
  const found = await robustness(threshold(), close, values, waiting);
  assert.deepEqual(found?.accuracies, [1, 0.75, 0.5, 0.25]);
  assert.equal(waiting.told.length, 4);
});

test("the loss's gradient is softmax less one-hot", () => {
  const found = lossGradient(Float32Array.of(0, 0, Math.log(3), 0), Uint8Array.of(0, 1));
  [-0.5, 0.5, 0.75, -0.75].forEach((value, at) => assert.ok(Math.abs(found[at] - value) < 1e-6));
});

test("weights begin as PyTorch's do, batch norms as doing nothing", () => {
  const shapes = {
    "conv1.weight": [8, 4, 3, 3],
    "conv1.bias": [8],
    "bn1.weight": [8],
    "bn1.bias": [8],
    "bn1.running_mean": [8],
    "bn1.running_var": [8],
  };
  const found = beginning(shapes, 1);
  for (const name of ["conv1.weight", "conv1.bias"]) {
    const most = found[name].reduce((far, value) => Math.max(far, Math.abs(value)), 0);
    assert.ok(most <= 1 / 6 && most > 0.8 / 6, `${name}: ${most}`);
  }
  assert.deepEqual([found["bn1.weight"][0], found["bn1.running_var"][7]], [1, 1]);
  assert.deepEqual([found["bn1.bias"][0], found["bn1.running_mean"][7]], [0, 0]);
});

test("menus say what a recipe says, each network's its own", () => {
  const settings = new Settings({ ...recipeSettings(""), ...recipeSettings("b.") }, () => {});
  const recipe = { ...RECIPE, filters: 16, norm: true, corner: true, batch: 50, passes: 4, rate: 0.05, wrong: 0.3 };
  settings.take(recipePairs("b.", recipe));
  assert.deepEqual(readRecipe(settings, "b.", 1), recipe);
  assert.equal(readRecipe(settings, "", 1).filters, 8);
  assert.equal(shapeName(recipe), "16-1-normed");
});

test("a file that was written is read again", () => {
  const tensors = { a: Float32Array.of(1, 2, 3, 4), "b.weight": Float32Array.of(-0.5) };
  const file = writeTensors(tensors, { a: [2, 2], "b.weight": [1] }, { recipe: "ä" });
  assert.equal(Number(new DataView(file.buffer).getBigUint64(0, true)) % 8, 0);
  assert.deepEqual(readTensors(file), { tensors, metadata: { recipe: "ä" } });
});
