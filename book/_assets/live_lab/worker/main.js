// The worker beside the page, so that the page never waits: it opens the networks and answers questions about them.
// It runs behind onnxruntime-web's own script, which defines `ort`.
import { inflate } from "../packed.js";
import { Network } from "./network.js";
import { tasks } from "./tasks.js";

/** @import {Answer, NetworkFacts, Question} from "../types.js" */

/** @type {Record<string, Network>} */
const networks = {};
/** @type {Map<string, number>} The number of the last question of each kind about each network. */
const newest = new Map();

/** @param {{ files: Record<string, string>, networks: Record<string, NetworkFacts> }} values */
async function load({ files, networks: wanted }) {
  const unpack = async (/** @type {string} */ name) => inflate(name, files[name]);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await unpack("ort-wasm-simd-threaded.wasm");
  const glue = new Blob([await unpack("ort-wasm-simd-threaded.mjs")], { type: "text/javascript" });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(glue) };
  /** @type {Record<string, Float32Array>} */
  const kernels = {};
  for (const [name, facts] of Object.entries(wanted)) {
    const [forward, gradient, weights] = await Promise.all([facts.forward, facts.gradient, facts.weights].map(unpack));
    try {
      networks[name] = new Network(facts, { forward, gradient, weights });
      await networks[name].open();
    } catch (error) {
      throw new Error(`the ${facts.label} network cannot be opened: ${message(error)}`, { cause: error });
    }
    kernels[name] = networks[name].shipped;
  }
  return { kernels };
}

/** Put a kernel in the place of one of the first layer's, or the shipped one back.
 *  @param {Network} network @param {{ filter: number, kernel: number[] | null }} values */
async function patch(network, { filter, kernel }) {
  const size = network.kernels.length / network.facts.kernels.count;
  const start = size * filter;
  network.kernels.set(kernel ?? network.shipped.subarray(start, start + size), start);
  await network.open();
  return { kernels: network.kernels.slice() };
}

/** Lets messages in between two steps of a long answer. @returns {Promise<void>} */
const breathe = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });

/** @param {unknown} error */
const message = (error) => (error instanceof Error ? error.message : String(error));

/** @param {Question} question @returns {Promise<unknown>} */
async function answer({ id, task, asker, network, values }) {
  if (task === "load") return load(/** @type {Parameters<typeof load>[0]} */ (values));
  const asked = networks[network];
  if (!asked) throw new Error(`there is no network ${network}`);
  if (task === "patch") return patch(asked, /** @type {Parameters<typeof patch>[1]} */ (values));
  const work = /** @type {Record<string, (...given: any[]) => Promise<unknown>>} */ (tasks)[task];
  if (!work) throw new Error(`there is no task ${task}`);
  const kind = `${asker} ${task} ${network}`;
  newest.set(kind, id);
  return work(asked, values, {
    pause: async () => {
      await breathe();
      return newest.get(kind) === id;
    },
    tell: (/** @type {object} */ part) => reply({ id, part }),
  });
}

/** @param {Answer} answered */
const reply = (answered) => postMessage(answered);

addEventListener("message", async (event) => {
  /** @type {Question} */
  const question = event.data;
  try {
    reply({ id: question.id, result: await answer(question) });
  } catch (error) {
    reply({ id: question.id, error: message(error) });
  }
});
