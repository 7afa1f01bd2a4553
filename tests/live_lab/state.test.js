import assert from "node:assert/strict";
import test from "node:test";

import { level, packed } from "../../book/_assets/live_lab/colours.js";
import { Failure, newest, sentence } from "../../book/_assets/live_lab/failure.js";
import { arrived, inflate } from "../../book/_assets/live_lab/packed.js";
import {
  choice,
  formatAddress,
  number,
  numbers,
  parseAddress,
  Settings,
} from "../../book/_assets/live_lab/settings.js";
import { readStrokes, writeStrokes } from "../../book/_assets/live_lab/strokes.js";

const KNOWN = {
  eps: number(0.1, { min: 0, max: 0.5 }),
  towards: choice("away", ["away", "2"]),
  kernel: numbers([1, 0]),
};

test("an address comes out as it went in", () => {
  const pairs = { digit: "7.2", eps: "0.15", kernel: "1,-0.5", note: "a&b = c%" };
  const address = formatAddress("attack", pairs);
  assert.deepEqual(parseAddress(address), { view: "attack", pairs });
  assert.equal(formatAddress("attack", { digit: "7", eps: "0.15" }), "#attack&digit=7&eps=0.15");
  assert.deepEqual(parseAddress(""), { view: "", pairs: {} });
  assert.deepEqual(parseAddress("#100%"), { view: "100%", pairs: {} });
});

test("settings take what an address can mean, and go back to the beginning otherwise", () => {
  const settings = new Settings(KNOWN, () => {});
  /** @type {any[]} */
  const shown = [];
  settings.show("eps", (value) => shown.push(value));
  settings.take({ eps: "0.15", towards: "2", kernel: "3,4" });
  assert.deepEqual(
    ["eps", "towards", "kernel"].map((name) => settings.get(name)),
    [0.15, "2", [3, 4]],
  );
  settings.take({ eps: "7", towards: "nowhere", kernel: "3" });
  assert.deepEqual(
    ["eps", "towards", "kernel"].map((name) => settings.get(name)),
    [0.1, "away", [1, 0]],
  );
  assert.deepEqual(shown, [0.1, 0.15, 0.1]);
});

test("an address names only what differs from the beginning", () => {
  let changes = 0;
  const settings = new Settings(KNOWN, () => (changes += 1));
  assert.deepEqual(settings.pairs(), {});
  settings.set("eps", 0.2);
  assert.deepEqual([settings.pairs(), changes], [{ eps: "0.2" }, 1]);
});

test("a drawing survives its address to within half a percent of the pad", () => {
  /** @type {import("../../book/_assets/live_lab/strokes.js").Point[][]} */
  const strokes = [
    [
      [0.2, 0.2],
      [0.7, 0.18],
      [0.42, 0.9],
    ],
    [[0, 1]],
  ];
  const text = writeStrokes(strokes);
  assert.match(text, /^[\w.-]+$/);
  const found = readStrokes(text) ?? [];
  assert.deepEqual(
    found.map((stroke) => stroke.length),
    [3, 1],
  );
  found.flat(2).forEach((value, at) => assert.ok(Math.abs(value - strokes.flat(2)[at]) <= 0.5 / 63 + 1e-9));
});

test("points that lie close together are left out, the last one never", () => {
  const slow = Array.from({ length: 201 }, (_, at) => /** @type {[number, number]} */ ([at / 200, 0.5]));
  const [found] = readStrokes(writeStrokes([slow])) ?? [];
  assert.ok(found.length < 30);
  assert.deepEqual(found[found.length - 1][0], 1);
});

test("what is no drawing is refused", () => {
  for (const text of ["", "abc", "ab..cd", "a!", "ab."]) assert.equal(readStrokes(text), undefined, text);
});

test("colours: the ends, the middle, and what lies beyond", () => {
  assert.equal(packed("0000ff80c000")[0], 0xffff0000);
  assert.deepEqual(
    [0, 1, 5, -5].map((value) => level(value, 1, false)),
    [0, 255, 255, 0],
  );
  assert.deepEqual(
    [-2, 0, 2].map((value) => level(value, 2, true, 257)),
    [0, 128, 256],
  );
});

test("only the newest value waits, and a failure does not stop the next one", async () => {
  /** @type {number[]} */
  const seen = [];
  /** @type {unknown[]} */
  const failures = [];
  const work = newest(
    async (/** @type {number} */ value) => {
      await null;
      seen.push(value);
      if (value === 1) throw new Error("one");
    },
    (error) => failures.push(error),
  );
  work(1);
  work(2);
  await work(3);
  assert.deepEqual(seen, [1, 3]);
  await work(4);
  assert.deepEqual(seen, [1, 3, 4]);
  assert.equal(failures.length, 1);
});

test("every failure becomes a sentence that says what to do", () => {
  assert.equal(sentence(new Failure("All of it."), "Again."), "All of it.");
  assert.equal(sentence(new Error("odd shape."), "Draw on."), "That failed: odd shape. Draw on.");
  assert.match(
    sentence(new RangeError("Array buffer allocation failed"), "Draw on."),
    /^There is not enough memory here/,
  );
});

test("a damaged or missing file is named", async () => {
  const bytes = new Uint8Array(
    await new Response(new Blob(["hello"]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
  );
  globalThis.labFiles = { a: Buffer.from(bytes).toString("base64") };
  const { a } = arrived();
  assert.equal(new TextDecoder().decode(await inflate("a", a)), "hello");
  assert.deepEqual(globalThis.labFiles, { a }, "no text is left behind");
  globalThis.labFiles = { "mnist.onnx": "*" };
  assert.throws(arrived, /the file mnist.onnx is damaged/);
  bytes[bytes.length - 8] ^= 1; // its checksum
  await assert.rejects(inflate("mnist.onnx", new Blob([bytes])), /the file mnist.onnx is damaged/);
  await assert.rejects(inflate("mnist.onnx", undefined), /the file mnist.onnx has not been loaded/);
});
