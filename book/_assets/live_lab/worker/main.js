// The worker beside the page, so that the page never waits: it opens the networks and answers questions about them.
// It runs behind onnxruntime-web's own script, which defines `ort`.
import { inflate } from "../packed.js";
import { makingTasks } from "./making_tasks.js";
import { Network } from "./network.js";
import { beginning, OwnNetwork } from "./own_network.js";
import { photographTasks } from "./photograph_tasks.js";
import { widened } from "./safetensors.js";
import { tasks } from "./tasks.js";
import { robustness, Training } from "./training.js";

/** @import {Answer, NetworkFacts, OwnFacts, Question, Recipe, State} from "../types.js" */
/** @import {Digits} from "./training.js" */
/** @import {Turn} from "./tasks.js" */
/** @typedef {Record<string, Blob>} Files */

/** @type {Record<string, Network>} */
const networks = {};
/** The networks that the reader trains, by the names that they have in `networks`. @type {Record<string, Training>} */
const trainings = {};
/** What training needs. @type {{ files: Files, training: Digits, test: Digits } | null} */
let material = null;
/** @type {Map<string, number>} The number of the last question of each kind about each network. */
const newest = new Map();

/** @param {Files} files @param {string[]} names */
const unpacked = (files, names) => Promise.all(names.map((name) => inflate(name, files[name])));

/** What is done to the set of networks itself. */
const commands = {
  /** @param {string} _ @param {{ files: Files, networks: Record<string, NetworkFacts> }} values @param {string} __
   *  @param {Turn["tell"]} tell hears of each network, so that a slow machine is not taken for a dead worker */
  async load(_, { files, networks: wanted }, __, tell) {
    ort.env.wasm.numThreads = 1;
    const [binary, glue] = await unpacked(files, ["ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.mjs"]);
    ort.env.wasm.wasmBinary = binary;
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([glue], { type: "text/javascript" })) };
    /** @type {Record<string, Float32Array>} */
    const kernels = {};
    for (const [name, facts] of Object.entries(wanted)) {
      tell({ opening: name });
      const [forward, gradient, weights] = await unpacked(files, [facts.forward, facts.gradient, facts.weights]);
      reply({ id: 0, part: {} }); // a sign of life: opening networks takes a while on a slow machine
      try {
        networks[name] = new Network(facts, { forward, gradient }, facts.halved ? widened(weights) : weights);
        await networks[name].open();
      } catch (error) {
        throw new Error(`${facts.title} cannot be opened: ${message(error)}`, { cause: error });
      }
      if (networks[name].shipped) kernels[name] = networks[name].shipped;
    }
    ort.env.wasm.wasmBinary = undefined; // it has been compiled
    return { kernels };
  },

  /** Give up whatever this asker has asked of a network: its answers are null. @param {string} network
   *  @param {object} _ @param {string} asker */
  async stop(network, _, asker) {
    for (const kind of newest.keys()) {
      if (kind.startsWith(`${asker} `) && kind.endsWith(` ${network}`)) newest.set(kind, NaN);
    }
    return {};
  },

  /** Keep what training needs. @param {string} _ @param {{ files: Files }} values */
  async material(_, { files }) {
    const names = ["training digits", "training classes", "test digits", "test classes"];
    const [pixels, classes, testPixels, testClasses] = await unpacked(files, names);
    material = { files, training: { pixels, classes }, test: { pixels: testPixels, classes: testClasses } };
    return { count: classes.length, test: material.test };
  },

  /** A network of the reader's in the place of an older one; its weights are drawn where none are given.
   *  @param {string} network @param {{ facts: OwnFacts, recipe: Recipe, state: State | null, step?: number, seconds?: number }} values `step` and
   *  `seconds` are those of a training that goes on in a new worker */
  async build(network, { facts, recipe, state, step: done = 0, seconds = 0 }) {
    if (!material) throw new Error("there are no digits to train with");
    const [forward, gradient, step] = await unpacked(material.files, [facts.forward, facts.gradient, facts.step]);
    const made = new OwnNetwork(facts, { forward, gradient, step }, state ?? beginning(facts.tensors, recipe.seed));
    await made.open();
    await networks[network]?.close();
    [networks[network], trainings[network]] = [made, new Training(made, recipe, material, { step: done, seconds })];
    return { kernels: made.kernels?.slice(), state: made.state(), total: trainings[network].total };
  },

  /** Put a kernel in the place of one of the first layer's, or the one it came with back.
   *  @param {string} name @param {{ filter: number, kernel: number[] | null }} values */
  async patch(name, { filter, kernel }) {
    const network = networks[name];
    const { kernels, shipped, facts } = network;
    if (!kernels || !shipped || !facts.kernels) throw new Error(`${facts.title} has no kernels to edit`);
    const size = kernels.length / facts.kernels.count;
    kernels.set(kernel ?? shipped.subarray(size * filter, size * (filter + 1)), size * filter);
    if (!(network instanceof OwnNetwork)) await network.open();
    return { kernels: kernels.slice() };
  },
};

/** What is asked of the reader's own networks. */
const lessons = {
  /** @param {string} name @param {{ steps: number }} values @param {Turn} turn */
  async train(name, { steps }, turn) {
    const network = /** @type {OwnNetwork} */ (networks[name]);
    const found = await trainings[name].run(steps, () => ({ state: network.state() }), turn);
    network.settle();
    return found;
  },

  /** @param {string} name @param {{ eps: number[], steps: number, count: number }} values @param {Turn} turn */
  robustness(name, values, turn) {
    const { network, test, recipe } = trainings[name];
    return robustness(network, test, { ...values, corner: recipe.corner }, turn);
  },
};

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
  /** @typedef {Record<string, (...given: any[]) => Promise<unknown>>} Works */
  const command = /** @type {Works} */ (commands)[task];
  if (command) return command(network, values, asker, (/** @type {object} */ part) => reply({ id, part }));
  if (!networks[network]) throw new Error(`there is no network ${network}`);
  const kind = `${asker} ${task} ${network}`;
  newest.set(kind, id);
  /** @type {Turn} */
  const turn = {
    pause: async () => {
      await breathe();
      return newest.get(kind) === id;
    },
    tell: (/** @type {object} */ part) => reply({ id, part }),
  };
  const lesson = /** @type {Works} */ (lessons)[task];
  if (lesson && network in trainings) return lesson(network, values, turn);
  const work = /** @type {Works} */ ({ ...tasks, ...photographTasks, ...makingTasks })[task];
  if (!work) throw new Error(`there is no task ${task} for ${network}`);
  return work(networks[network], values, turn);
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
