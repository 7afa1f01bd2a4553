import assert from "node:assert/strict";
import test from "node:test";

import { Units } from "../../labkit/widgets/browse.js";

/** Five maps of 2 x 3 units, two a row; each unit sees its own pixel and the next. */
const units = new Units({
  count: 5,
  across: 2,
  rows: [
    [0, 1],
    [1, 2],
  ],
  columns: [
    [0, 1],
    [1, 2],
    [2, 1],
  ],
});
const unit = (/** @type {number} */ map, /** @type {number} */ row, /** @type {number} */ column) => ({
  map,
  row,
  column,
});

test("every unit has a place on the sheet and is found there again", () => {
  assert.deepEqual(units.size, [8, 7]);
  const places = new Set();
  for (let map = 0; map < 5; map++) {
    for (let row = 0; row < 2; row++) {
      for (let column = 0; column < 3; column++) {
        const [y, x] = units.place(unit(map, row, column));
        assert.deepEqual(units.at(y, x), unit(map, row, column));
        places.add(`${y} ${x}`);
      }
    }
  }
  assert.equal(places.size, 30);
});

test("between the maps, beside the sheet and where no map is, there is no unit", () => {
  for (const [y, x] of [
    [2, 0],
    [0, 3],
    [0, 7],
    [-1, 0],
    [6, 4],
    [8, 0],
  ])
    assert.equal(units.at(y, x), null, `${y} ${x}`);
});

test("beyond the edge of a map lies the next one, and beyond the sheet nothing", () => {
  assert.deepEqual(units.step(unit(0, 1, 2), "ArrowRight"), unit(1, 1, 0));
  assert.deepEqual(units.step(unit(0, 1, 2), "ArrowDown"), unit(2, 0, 2));
  assert.deepEqual(units.step(unit(2, 0, 1), "ArrowUp"), unit(0, 1, 1));
  assert.deepEqual(units.step(unit(1, 0, 0), "ArrowLeft"), unit(0, 0, 2));
  assert.deepEqual(units.step(unit(0, 0, 0), "ArrowUp"), unit(0, 0, 0));
  assert.deepEqual(units.step(unit(0, 0, 0), "ArrowLeft"), unit(0, 0, 0));
});

test("pages, the first and the last", () => {
  assert.deepEqual(units.step(unit(1, 1, 2), "PageDown"), unit(2, 1, 2));
  assert.deepEqual(units.step(unit(4, 1, 2), "PageDown"), unit(4, 1, 2));
  assert.deepEqual(units.step(unit(0, 1, 2), "PageUp"), unit(0, 1, 2));
  assert.deepEqual(units.step(unit(1, 1, 2), "Home"), unit(0, 0, 0));
  assert.deepEqual(units.step(unit(0, 0, 0), "End"), unit(4, 1, 2));
  assert.equal(units.step(unit(0, 0, 0), "a"), null);
});

test("a unit in words, from 0", () => {
  assert.equal(
    units.describe("relu2", unit(3, 1, 0), " 0.50."),
    "relu2, map 3, row 1, column 0: 0.50. It sees 2 × 2 pixels, rows 1–2, columns 0–1.",
  );
  assert.match(units.describe("relu2", unit(3, 1, 2), ""), /It sees padding only\.$/);
  const dense = new Units({ count: 9, across: 4, rows: [[0, 27]], columns: [[0, 27]] });
  assert.match(dense.describe("fc1", unit(5, 0, 0), ""), /^fc1, unit 5: It sees 28 × 28 pixels/);
});
