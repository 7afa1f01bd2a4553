// What the bench for photographs computes besides running the network.
import assert from "node:assert/strict";
import { test } from "node:test";
import { centred, cut, darkOnBright, grey, inked } from "../../book/_assets/live_lab/photographs/as_digit.js";
import { area } from "../../book/_assets/live_lab/photographs/deleting.js";
import {
  enlarged,
  importance,
  legendre,
  occluded,
  overWindows,
  positions,
  ranking,
} from "../../book/_assets/live_lab/photographs/maps.js";
import { centralSquare, resized } from "../../book/_assets/live_lab/photographs/resize.js";
import { wrapped } from "../../book/_assets/live_lab/photographs/save.js";
import { coarseFirst, photographTasks } from "../../book/_assets/live_lab/worker/photograph_tasks.js";
import { wide, widened, writeTensors } from "../../book/_assets/live_lab/worker/safetensors.js";
import { uniform } from "../../book/_assets/live_lab/worker/arithmetic.js";
import { linear, turn } from "./linear.js";

/** A picture whose colours are given for each place.
 *  @param {number} width @param {number} height @param {(row: number, column: number) => number[]} colour */
function picture(width, height, colour) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let at = 0; at < width * height; at++) data.set([...colour(Math.floor(at / width), at % width), 255], 4 * at);
  return { width, height, data };
}

test("half precision: numbers with known bits", () => {
  const known = {
    0x0000: 0,
    0x3c00: 1,
    0xc000: -2,
    0x3555: 0.333251953125,
    0x7bff: 65504,
    0x0001: 2 ** -24,
    0x8400: -(2 ** -14),
  };
  for (const [bits, value] of Object.entries(known)) assert.equal(wide(Number(bits)), value);
  assert.equal(wide(0x7c00), Infinity);
  assert.ok(Number.isNaN(wide(0x7e00)));
});

test("a file of both precisions becomes its numbers, one tensor after another", () => {
  const file = writeTensors(
    { b: Float32Array.of(1.5, -2), a: Float32Array.of(7) },
    { b: [2], a: [1] },
    { made: "here" },
  );
  assert.deepEqual([...new Float32Array(widened(file).buffer)], [1.5, -2, 7]);
  const header = new TextEncoder().encode(
    '{"h":{"dtype":"F16","shape":[2],"data_offsets":[4,8]},"f":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.padEnd(
      112,
    ),
  );
  const mixed = new Uint8Array(8 + header.length + 8);
  mixed.set([header.length], 0);
  mixed.set(header, 8);
  mixed.set(new Uint8Array(Float32Array.of(0.25).buffer), 8 + header.length);
  mixed.set(new Uint8Array(Uint16Array.of(0x3c00, 0xc000).buffer), 12 + header.length);
  assert.deepEqual([...new Float32Array(widened(mixed).buffer)], [0.25, 1, -2]);
});

test("a picture in its own size is itself, colour by colour, and a crop is a part of it", () => {
  const small = picture(4, 3, (row, column) => [10 * row, 20 * column, 255]);
  const whole = resized(small, { left: 0, top: 0, width: 4, height: 3 }, 4, 3);
  assert.deepEqual(
    [...whole.slice(12, 16)].map((value) => Math.round(255 * value)),
    [0, 20, 40, 60],
  );
  assert.deepEqual([...new Set(whole.slice(24))], [1]);
  const part = resized(small, { left: 2, top: 1, width: 2, height: 2 }, 2, 2);
  assert.deepEqual(
    [...part.slice(0, 8)].map((value) => Math.round(255 * value)),
    [10, 10, 20, 20, 40, 60, 40, 60],
  );
});

test("a colour stays a colour in every size, and fine stripes become grey", () => {
  for (const [width, height] of [
    [3, 7],
    [40, 31],
  ]) {
    const even = resized(
      picture(20, 15, () => [200, 100, 50]),
      { left: 0, top: 0, width: 20, height: 15 },
      width,
      height,
    );
    assert.deepEqual(new Set([...even].map((value) => Math.round(255 * value))), new Set([200, 100, 50]));
  }
  const stripes = picture(64, 64, (row) => (row % 2 ? [255, 255, 255] : [0, 0, 0]));
  const even = resized(stripes, { left: 0, top: 0, width: 64, height: 64 }, 8, 8);
  assert.ok(
    even.subarray(16, 48).every((value) => Math.abs(value - 0.5) < 0.02),
    "no aliasing",
  );
});

test("words are broken at spaces, addresses where their parts end, and nothing is left out", () => {
  const context = { measureText: (/** @type {string} */ text) => /** @type {TextMetrics} */ ({ width: text.length }) };
  assert.deepEqual(wrapped(context, "a cat, 37% ", 6), ["a cat,", "37%"]);
  const address = "https://example.org/lab/live_lab.html#photographs&view=break&photo=cat";
  const lines = wrapped(context, `Made here: ${address}`, 22);
  assert.equal(lines.slice(1).join(""), address.replace("https://", ""));
  assert.deepEqual(lines.slice(0, 2), ["Made here: https://", "example.org/lab/"]);
  assert.ok(lines.every((line) => line.length <= 22));
  assert.deepEqual(wrapped(context, "", 22), []);
});

test("the square in the middle", () => {
  assert.deepEqual(centralSquare({ width: 451, height: 300 }), { left: 75, top: 0, width: 300, height: 300 });
  assert.deepEqual(centralSquare({ width: 2, height: 9 }), { left: 0, top: 3, width: 2, height: 2 });
});

test("SmoothGrad of a linear network is its weights, and can be stopped", async () => {
  const row = [1, 0, -1, 0.5];
  const network = linear([[0, 0, 0, 0], row], [1, 2, 2]);
  const values = { image: Float32Array.of(0, 0.5, 0.5, 1), label: 1, noise: 0.3, samples: 6 };
  const waiting = turn();
  const found = await photographTasks.smooth(network, values, waiting);
  found?.map.forEach((value, at) => assert.ok(Math.abs(value - row[at]) < 1e-6));
  assert.deepEqual(
    waiting.told.map(({ share }) => share),
    [2 / 6, 4 / 6, 1],
  );
  assert.equal(await photographTasks.smooth(network, values, turn(1)), null);
});

/** @param {ArrayLike<number>} found @param {ArrayLike<number>} wanted */
function close(found, wanted, atol = 1e-5) {
  assert.equal(found.length, wanted.length);
  Array.from(wanted, (value, at) =>
    assert.ok(Math.abs(found[at] - value) <= atol, `${at}: ${found[at]}, not ${value}`),
  );
}

test("integrated gradients of a linear network are weight times pixel, and add up to the logit", async () => {
  const row = [1, 0, -1, 0.5];
  const network = linear([[0, 0, 0, 0], row], [1, 2, 2]);
  const image = Float32Array.of(0.5, 0.25, 0.5, 1);
  const found = await photographTasks.integrated(network, { image, label: 1, steps: 6 }, turn());
  close(found?.map ?? [], [0.5, 0, -0.5, 0.5]);
  assert.equal(await photographTasks.integrated(network, { image, label: 1, steps: 6 }, turn(1)), null);
});

test("Gauss-Legendre quadrature is exact for polynomials of degree 2 n - 1", () => {
  for (const count of [1, 2, 5, 25]) {
    for (const degree of [0, 1, 2 * count - 1]) {
      const sum = legendre(count).reduce((total, { node, weight }) => total + weight * node ** degree, 0);
      assert.ok(Math.abs(sum - 1 / (degree + 1)) < 1e-12);
    }
  }
});

/** Looks at stages, too: maps of 2 x 2 that are the image's pixels, times 1 and -2. */
function staged() {
  const network = linear([[1, 1, 1, 1]], [1, 2, 2]);
  const layer = {
    name: "s",
    title: "s",
    count: 2,
    rows: [
      [0, 0],
      [1, 1],
    ],
    columns: [
      [0, 0],
      [1, 1],
    ],
  };
  return {
    ...network,
    facts: /** @type {any} */ ({ layers: [layer] }),
    /** @param {Float32Array} image */
    gradients: async (image) => ({
      s: Float32Array.of(...image, ...image.map((value) => -2 * value)),
      "gradient.s": Float32Array.of(1, 1, 1, 1, 1, 0, 0, 0),
    }),
  };
}

test("Grad-CAM weighs each map by its mean gradient, and cuts off what speaks against the class", async () => {
  const image = Float32Array.of(1, 2, -3, 0);
  const { map, size } = await photographTasks.gradCam(/** @type {any} */ (staged()), { image, label: 0, stage: "s" });
  close(map, [0.5, 1, 0, 0]);
  assert.deepEqual(size, [2, 2]);
  await assert.rejects(
    photographTasks.gradCam(/** @type {any} */ (staged()), { image, label: 0, stage: "t" }),
    /there is no stage t, only s/,
  );
});

test("covering goes over every position once, coarsely first, and tells each", async () => {
  const network = linear(
    [
      [1, 1, 1, 1],
      [0, 0, 0, 0],
    ],
    [1, 2, 2],
  );
  const waiting = turn();
  const image = Float32Array.of(1, 2, 3, 4);
  const found = await photographTasks.cover(network, { image, window: 1, stride: 1, fill: 0 }, waiting);
  assert.deepEqual(
    [...(found?.logits ?? [])].filter((_, at) => at % 2 === 0),
    [9, 8, 7, 6],
  );
  assert.deepEqual(
    waiting.told.flatMap(({ parts }) => parts.map((/** @type {any} */ { place }) => place)),
    [0, 1, 2, 3],
  );
  const order = coarseFirst(13);
  assert.deepEqual(
    [...order].sort((one, other) => one - other),
    [...Array(169).keys()],
  );
  assert.deepEqual(order.slice(0, 5), [0, 4, 8, 12, 52]);
});

test("deletion takes the pixels away in the map's order; colours together", async () => {
  // The logit is the sum of both colours against 0.
  const network = linear([[1, 1, 1, 1, 1, 1, 1, 1], Array(8).fill(0)], [2, 2, 2]);
  const image = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 3);
  const maps = { good: Float32Array.of(1, 0, 0, 2), gradient: Float32Array.of(0, 9, 1, 0, 0, 0, -2, 0) };
  const found = await photographTasks.deletion(network, { image, label: 0, maps, steps: 4, fill: 0 }, turn());
  const sigmoid = (/** @type {number} */ value) => 1 / (1 + Math.exp(-value));
  close(found?.curves.good ?? [], [5, 2, 0, 0, 0].map(sigmoid));
  close(found?.curves.gradient.slice(0, 3) ?? [], [5, 5, 5].map(sigmoid));
  assert.equal(await photographTasks.deletion(network, { image, label: 0, maps, steps: 4 }, turn(2)), null);
  assert.equal(area([1, 0.5, 0]), 0.5);
});

test("ranking: the largest first, equal ones in an order that the seed fixes", () => {
  assert.deepEqual([...ranking(Float32Array.of(1, 3, 2), uniform(0))], [1, 2, 0]);
  const even = new Float32Array(50);
  const order = ranking(even, uniform(1));
  assert.deepEqual(order, ranking(even, uniform(1)));
  assert.notDeepEqual([...order], [...Array(50).keys()]);
  assert.deepEqual(
    [...order].sort((one, other) => one - other),
    [...Array(50).keys()],
  );
});

test("a map in another size, as torch's interpolate", () => {
  const map = Float32Array.of(0, 1, 2, 3);
  assert.deepEqual(enlarged(map, [2, 2], [2, 2]), map);
  close(enlarged(map, [2, 2], [4, 4]).slice(0, 4), [0, 0.25, 0.75, 1]);
  close(enlarged(map, [2, 2], [4, 4]).slice(12), [2, 2.25, 2.75, 3]);
});

test("importance is the largest magnitude over the colours", () => {
  assert.deepEqual(importance(Float32Array.of(1, -5, 0, -2, 3, 0), 2), Float32Array.of(3, 5));
  assert.deepEqual(importance(Float32Array.of(1, -5, 0, -2, 3, 0), 3), Float32Array.of(2, 5, 0));
});

test("windows: their positions, grey in all colours, and each pixel's mean over them", () => {
  assert.deepEqual(positions(224, 32, 16).count, 13);
  const image = occluded(new Float32Array(18), { height: 3, width: 3 }, { top: 1, left: 1, window: 2, fill: 0.5 });
  assert.deepEqual([...image.slice(0, 9)], [0, 0, 0, 0, 0.5, 0.5, 0, 0.5, 0.5]);
  assert.deepEqual(image.slice(9), image.slice(0, 9));
  const flat = { height: 2, width: 3 };
  assert.deepEqual(
    [...occluded(new Float32Array(6), flat, { top: 1, left: 1, window: 1, fill: 1 })],
    [0, 0, 0, 0, 1, 0],
  );
  const pixels = overWindows(Float32Array.of(4, NaN, 2, NaN), { size: 3, window: 2, stride: 1 });
  assert.deepEqual([...pixels], [4, 4, NaN, 3, 3, NaN, 2, 2, NaN]);
});

test("a photographed digit: ink on paper becomes white on black, in the middle, 20 pixels high", () => {
  const [width, tall] = [100, 40];
  const inside = (/** @type {number} */ row, /** @type {number} */ column) =>
    row >= 10 && row < 10 + tall && column >= 70 && column < 76;
  const photo = new Float32Array(3 * width * width).map((_, at) => {
    const place = at % (width * width);
    return inside(Math.floor(place / width), place % width) ? 0.2 : 0.8;
  });
  const bright = grey(photo);
  assert.ok(Math.abs(bright[0] - 0.8) < 1e-6);
  assert.ok(darkOnBright(bright));
  assert.ok(!darkOnBright(bright.map((value) => 1 - value)));
  const ink = inked(bright, { invert: true, from: 0.3 });
  assert.deepEqual([ink[0], Math.round(ink[20 * width + 72])], [0, 1]);
  const square = centred(ink, width);
  assert.ok(Math.abs(square.side - (tall * 28) / 20) < 1e-6);
  const image = cut(ink, width, square);
  const rows = [...Array(28).keys()].filter((row) =>
    image.subarray(28 * row, 28 * row + 28).some((value) => value > 0.5),
  );
  assert.deepEqual([rows[0], rows[rows.length - 1]], [4, 23]);
  assert.ok(inked(new Float32Array(100).fill(0.5), { invert: false, from: 0.3 }).every((value) => value === 0));
  assert.deepEqual(centred(new Float32Array(100), 10), { left: 0, top: 0, side: 10 });
});
