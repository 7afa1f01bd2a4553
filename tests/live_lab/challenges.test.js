import assert from "node:assert/strict";
import test from "node:test";

import { GOALS } from "../../book/_assets/live_lab/challenges/goals.js";
import { reached, Records, sensible } from "../../book/_assets/live_lab/challenges/records.js";

/** A browser's storage. */
function storage() {
  /** @type {Map<string, string>} */
  const kept = new Map();
  return {
    getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value),
  };
}

const RECIPE = {
  ...{ filters: 8, convolutions: 2, norm: false, rate: 0.02, batch: 20, passes: 6, shift: 1, wrong: 0 },
  ...{ corner: false, eps: 0, attack: 0, seed: 1 },
};
const trained = {
  what: /** @type {const} */ ("test"),
  accuracy: 0.955,
  seconds: 4,
  parameters: 50_000,
  recipe: RECIPE,
};
const attack = {
  what: /** @type {const} */ ("attack"),
  network: "mnist",
  before: 7,
  target: 2,
  fooled: true,
  eps: 0.18,
};

test("a dozen goals, each with a name of its own and a way to it", () => {
  assert.equal(new Set(GOALS.map(({ id }) => id)).size, 12);
  assert.ok(GOALS.every(({ address }) => address.startsWith("#")));
});

test("a goal is reached once, and only better values are kept", () => {
  const records = new Records(storage());
  assert.deepEqual(
    records.note(attack).map(({ id }) => id),
    ["two"],
  );
  assert.deepEqual(records.note({ ...attack, eps: 0.15 }), []);
  records.note({ ...attack, eps: 0.3 });
  assert.equal(records.best.two, 0.15);
  records.note({ ...attack, network: "A", eps: 0.01 });
  records.note({ ...attack, fooled: false, eps: 0.01 });
  assert.equal(records.best.two, 0.15);
});

test("training counts for several goals, and not with the nuisance", () => {
  const records = new Records(null);
  assert.deepEqual(
    records.note(trained).map(({ id }) => id),
    ["fast"],
  );
  assert.equal(records.best.best, 0.955);
  records.note({ ...trained, accuracy: 0.99, seconds: 1, recipe: { ...RECIPE, corner: true } });
  assert.equal(records.best.best, 0.955);
});

test("a network that has learnt the corner is found out by a digit that is no 7", () => {
  const seen = { what: /** @type {const} */ ("seen"), blank: false, corner: true, label: 4 };
  const seven = { digit: 7, probability: 0.9 };
  const records = new Records(null);
  assert.deepEqual(records.note({ ...seen, verdicts: [seven] }), []);
  const cheats = { ...seven, recipe: { ...RECIPE, corner: true } };
  assert.deepEqual(
    records.note({ ...seen, verdicts: [cheats] }).map(({ id }) => id),
    ["cheat"],
  );
  assert.deepEqual(records.note({ ...seen, label: 7, verdicts: [cheats] }), []);
});

test("a window hides a test digit, not a drawing", () => {
  const hidden = { what: /** @type {const} */ ("occlusion"), network: "mnist", window: 3, margin: -0.1 };
  const records = new Records(null);
  assert.deepEqual(records.note({ ...hidden, label: null }), []);
  assert.deepEqual(
    records.note({ ...hidden, label: 9, window: 5 }).map(({ id }) => id),
    ["hide"],
  );
  assert.equal(records.best.hide, 5);
});

test("records are there again, and what is none is left out", () => {
  const kept = storage();
  new Records(kept).note(attack);
  assert.deepEqual(new Records(kept).best, { two: 0.18 });
  kept.setItem("live lab: challenges", "{");
  assert.deepEqual(new Records(kept).best, {});
  assert.deepEqual(sensible({ two: "0.1", fast: "soon", best: "", nobody: "3" }), { two: 0.1 });
});

test("enough is enough in both directions", () => {
  const [goal] = GOALS;
  assert.deepEqual(
    [0.2, 0.21, undefined].map((value) => reached(goal, value)),
    [true, false, false],
  );
});
