import assert from "node:assert/strict";
import test from "node:test";

import { tasks } from "../../book/_assets/live_lab/worker/tasks.js";
import { linear, turn } from "./linear.js";

const ROWS = [
  [1, 0, -1, 0.5],
  [-2, 1, 0, 0.25],
];
const network = linear(ROWS, [1, 2, 2]);
const image = Float32Array.of(0.5, 0.5, 0.5, 0.5); // logits 0.25 and -0.375

test("a linear network's saliency map is its weights, whatever the noise", async () => {
  const plain = await tasks.saliency(network, { image, digit: 1 });
  assert.deepEqual([...plain.gradient], ROWS[1]);
  const smooth = await tasks.smoothgrad(network, { image, digit: 1, noise: 0.3, samples: 7 });
  smooth.gradient.forEach((value, at) => assert.ok(Math.abs(value - ROWS[1][at]) < 1e-6));
});

test("occlusion puts grey into every position of the window, in reading order", async () => {
  const wide = linear(
    [
      [1, 10, 100, 1000, 10000, 100000],
      [0, 0, 0, 0, 0, 0],
    ],
    [1, 2, 3],
  );
  const waiting = turn();
  const found = await tasks.occlusion(wide, { image: new Float32Array(6), window: 2 }, waiting);
  assert.ok(found);
  assert.equal(found.across, 2);
  assert.deepEqual([...found.logits], [(1 + 10 + 1000 + 10000) / 2, 0, (10 + 100 + 10000 + 100000) / 2, 0]);
  assert.deepEqual(waiting.told, [{ share: 1 }]);
});

test("FGSM moves every pixel by eps against what is seen, and stays in the box", async () => {
  const found = await tasks.attack(network, { image, eps: 0.1, target: null, steps: 20 }, turn());
  assert.ok(found);
  const expected = [0.4, 0.6, 0.6, 0.4]; // sign of the other row minus the own one
  found.image.forEach((value, at) => assert.ok(Math.abs(value - expected[at]) < 1e-6));
  const far = await tasks.attack(network, { image, eps: 0.9, target: null, steps: 20 }, turn());
  assert.deepEqual([...(far?.image ?? [])], [0, 1, 1, 0]);
});

test("a targeted attack reaches its class within eps", async () => {
  const found = await tasks.attack(network, { image, eps: 0.2, target: 1, steps: 20 }, turn());
  assert.ok(found && found.logits[1] > found.logits[0]);
  found.image.forEach((value, at) => assert.ok(Math.abs(value - image[at]) <= 0.2 + 1e-6));
});

test("the minimum-norm attack finds the distance of a linear boundary", async () => {
  // The margin 0.625 falls by eps * (3 + 1 + 1 + 0.25).
  const exact = 0.625 / 5.25;
  for (const target of [null, 1]) {
    const found = await tasks.minimumNorm(network, { image, target, steps: 40, tolerance: 0.01 }, turn());
    assert.ok(found?.eps && found.eps >= exact - 1e-6 && found.eps < 1.02 * exact, `${found?.eps}, expected ${exact}`);
    assert.ok(found.logits[1] > found.logits[0]);
  }
});

test("the minimum-norm attack has nothing to do where the target is seen already, and gives up where nothing helps", async () => {
  assert.equal((await tasks.minimumNorm(network, { image, target: 0, steps: 5, tolerance: 0.1 }, turn()))?.eps, 0);
  const stubborn = linear(
    [
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ],
    [1, 2, 2],
  );
  assert.equal((await tasks.minimumNorm(stubborn, { image, target: 1, steps: 5, tolerance: 0.1 }, turn()))?.eps, null);
});

test("an ideal digit's logit grows", async () => {
  const waiting = turn();
  const found = await tasks.ideal(network, { digit: 1, steps: 10 }, waiting);
  assert.equal(waiting.told.length, 11);
  assert.ok(waiting.told[10].logits[1] > waiting.told[0].logits[1]);
  assert.ok(found?.image.every((value) => value >= 0 && value <= 1));
});

test("a newer question ends an older one", async () => {
  assert.equal(await tasks.ideal(network, { digit: 1, steps: 10 }, turn(0)), null);
  assert.equal(await tasks.occlusion(network, { image, window: 1 }, turn(0)), null);
  assert.equal(await tasks.attack(network, { image, eps: 0.1, target: 1, steps: 3 }, turn(0)), null);
});
