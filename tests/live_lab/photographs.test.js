// What the bench for photographs computes besides running the network.
import assert from "node:assert/strict";
import { test } from "node:test";
import { centralSquare, resized } from "../../book/_assets/live_lab/photographs/resize.js";
import { photographTasks } from "../../book/_assets/live_lab/worker/photograph_tasks.js";
import { wide, widened, writeTensors } from "../../book/_assets/live_lab/worker/safetensors.js";
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
  const grey = resized(stripes, { left: 0, top: 0, width: 64, height: 64 }, 8, 8);
  assert.ok(
    grey.subarray(16, 48).every((value) => Math.abs(value - 0.5) < 0.02),
    "no aliasing",
  );
});

test("the square in the middle", () => {
  assert.deepEqual(centralSquare({ width: 451, height: 300 }), { left: 75, top: 0, width: 300, height: 300 });
  assert.deepEqual(centralSquare({ width: 2, height: 9 }), { left: 0, top: 3, width: 2, height: 2 });
});

test("SmoothGrad of a linear network is its weights, and can be stopped", async () => {
  const row = [1, 0, -1, 0.5];
  const network = linear([[0, 0, 0, 0], row], [1, 2, 2]);
  const values = { image: Float32Array.of(0, 0.5, 0.5, 1), label: 1, noise: 0.3, samples: 3 };
  const waiting = turn();
  const found = await photographTasks.smooth(network, values, waiting);
  found?.map.forEach((value, at) => assert.ok(Math.abs(value - row[at]) < 1e-6));
  assert.deepEqual(
    waiting.told.map(({ share }) => share),
    [1 / 3, 2 / 3, 1],
  );
  assert.equal(await photographTasks.smooth(network, values, turn(1)), null);
});
