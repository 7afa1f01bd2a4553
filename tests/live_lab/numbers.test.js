import assert from "node:assert/strict";
import test from "node:test";

import {
  best,
  clamp,
  extent,
  margin,
  median,
  percent,
  probabilities,
  verdict,
  wholePercent,
} from "../../book/_assets/live_lab/numbers.js";

/** @param {number} found @param {number} expected */
const near = (found, expected) => assert.ok(Math.abs(found - expected) < 1e-9, `${found}, expected ${expected}`);

test("probabilities sum to 1, keep the odds, and survive large logits", () => {
  const found = probabilities([0, Math.log(3), -Infinity]);
  near(found[0], 0.25);
  near(found[1], 0.75);
  assert.equal(found[2], 0);
  near(probabilities([5000, 5000])[0], 0.5);
});

test("the first of equal logits is the one that is seen, as torch.argmax has it", () => {
  assert.equal(best([1, 3, 3]), 1);
  assert.deepEqual(verdict([0, 0, Math.log(2)]), { digit: 2, probability: 0.5, text: "2, 50.0%" });
});

test("what is not certain is never rounded to certainty", () => {
  assert.equal(percent(0.99901), "> 99.9%");
  assert.equal(percent(0.999), "99.9%");
  assert.equal(percent(0.00099), "< 0.1%");
  assert.equal(percent(0.5), "50.0%");
  assert.equal(wholePercent(0.126), "13%");
});

test("the margin is the lead over the best of the others, below 0 for those behind", () => {
  near(margin([1, 4, 2.5], 1), 1.5);
  near(margin([1, 4, 2.5], 0), -3);
});

test("the extent is the largest distance from 0, and can be divided by", () => {
  assert.equal(extent([-3, 2]), 3);
  assert.ok(extent([0, 0]) > 0);
});

test("clamp and median", () => {
  assert.deepEqual(
    [-1, 0.5, 2].map((value) => clamp(value, 0, 1)),
    [0, 0.5, 1],
  );
  assert.equal(median([9, 1, 5]), 5);
});
