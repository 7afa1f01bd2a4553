import assert from "node:assert/strict";
import test from "node:test";

import { Engine } from "../../book/_assets/live_lab/engine.js";
import { Failure, Stopped } from "../../book/_assets/live_lab/failure.js";

/** @import {Question, Recipe} from "../../book/_assets/live_lab/types.js" */

/** A worker that opens its networks and answers nothing else. */
class Silent {
  /** @type {Question[]} */
  asked = [];
  onmessage = (/** @type {{ data: object }} */ _) => {};
  onerror = (/** @type {{ message: string }} */ _) => {};
  terminate() {}

  /** @param {Question} question */
  postMessage(question) {
    this.asked.push(question);
    if (question.task === "load") this.onmessage({ data: { id: question.id, result: { kernels: {} } } });
  }
}

/** An engine and its worker. */
async function started() {
  /** @type {Silent[]} */
  const workers = [];
  globalThis.Worker = /** @type {any} */ (
    class extends Silent {
      constructor() {
        super();
        workers.push(this);
      }
    }
  );
  const facts = { networks: {}, labels: [] };
  const engine = new Engine({ files: {}, facts, digits: new Uint8Array(), source: new Blob() });
  await engine.start();
  return { engine, worker: workers[0] };
}

test("a worker that dies has stopped what was asked of it", async () => {
  const { engine, worker } = await started();
  const answer = engine.ask("predict", "mnist", {}, { asker: "bench" });
  await null;
  const stopped = engine.stop("mnist", "bench");
  worker.onerror({ message: "gone" });
  await assert.rejects(answer, Stopped);
  await stopped;
});

test("a stop names its asker, or one of the asker's tasks", async () => {
  const { engine, worker } = await started();
  engine.ask("cover", "net", {}, { asker: "bench" }).catch(() => {});
  await null;
  engine.stop("net", "bench cover");
  assert.deepEqual(
    worker.asked.slice(1).map(({ task, asker, network }) => [task, asker, network]),
    [
      ["cover", "bench", "net"],
      ["stop", "bench cover", "net"],
    ],
  );
  worker.onerror({ message: "enough" });
});

test("a network of a shape that nobody can train here is refused in a sentence", async () => {
  const { engine } = await started();
  engine.material = { shapes: {}, count: 0, test: { pixels: new Uint8Array(), classes: new Uint8Array() } };
  const recipe = /** @type {Recipe} */ ({ filters: 32, convolutions: 2, norm: false });
  await assert.rejects(engine.build("A", recipe, {}), (error) => {
    assert.ok(error instanceof Failure);
    assert.equal(
      error.message,
      "This page has no network of 32 filters and 2 convolutions. Choose a .safetensors file that Save has written.",
    );
    return true;
  });
});
