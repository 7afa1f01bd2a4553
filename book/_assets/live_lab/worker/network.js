// A network in onnxruntime-web: graphs that share their weights, which lie in one file or are handed in with every run.
import { oneHot } from "./arithmetic.js";
import { tensor } from "./safetensors.js";

/** @import {NetworkFacts} from "../types.js" */
/** @import {InferenceSession, Tensor} from "onnxruntime-common" */
/** @typedef {Uint8Array<ArrayBuffer>} File */

export class Network {
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve(); // one run at a time
  /** @type {Record<string, InferenceSession> | undefined} */
  #sessions;

  /** @param {NetworkFacts} facts @param {Record<string, File>} graphs forward and gradient at least
   *  @param {File | null} weights the file that the graphs read, if they do */
  constructor(facts, graphs, weights) {
    this.facts = facts;
    this.graphs = graphs;
    this.weights = weights;
    this.shape = facts.shape;
    this.pixels = facts.shape.reduce((product, size) => product * size, 1);
    this.classes = facts.classes;
    if (weights && facts.kernels) this.ownKernels = tensor(weights, facts.kernels.tensor);
    this.shipped = this.kernels?.slice(); // as they were before anybody edited one
  }

  /** The first layer's kernels: changing them changes the network, once it has been opened anew.
   *  @returns {Float32Array | undefined} */
  get kernels() {
    return this.ownKernels;
  }

  /** Read graphs and weights into the runtime, anew after the weights have changed. */
  async open() {
    const options = {
      ...(this.weights ? { externalData: [{ path: this.facts.weights, data: this.weights }] } : {}),
      // A photo's maps are large: an arena would keep twice what they need, for each graph of its own.
      enableCpuMemArena: !this.facts.halved,
      enableMemPattern: !this.facts.halved,
    };
    const older = this.#sessions;
    /** @type {Record<string, InferenceSession>} */
    const sessions = {};
    for (const [name, graph] of Object.entries(this.graphs)) {
      sessions[name] = await ort.InferenceSession.create(graph, options);
    }
    this.#sessions = sessions;
    await release(older);
    if (this.weights && !this.kernels) [this.weights, this.graphs] = [null, {}]; // it is never opened anew
    const runs = this.facts.halved ? 2 : 1; // the first ones are slow
    for (let run = 0; run < runs; run++) await this.backward(new Float32Array(this.pixels), oneHot(0, this.classes));
  }

  /** Give the memory back. */
  close() {
    const sessions = this.#sessions;
    this.#turn = this.#turn.then(() => release(sessions));
    return this.#turn;
  }

  /** Logits, or other outputs of the graph, for images that lie one behind the other.
   *  @param {Float32Array} images @returns {Promise<Float32Array>} */
  async logits(images) {
    return (await this.outputs(images, ["logits"])).logits;
  }

  /** @param {Float32Array} images @param {string[]} names @returns {Promise<Record<string, Float32Array>>} */
  async outputs(images, names) {
    return numbers(await this.run("forward", { images: this.batch(images) }, names));
  }

  /** Logits, and the gradient of sum(weights * logits) with respect to the images.
   *  @param {Float32Array} images @param {Float32Array} weights */
  async backward(images, weights) {
    const { logits, gradient } = await this.gradients(images, weights, ["logits", "gradient"]);
    return { logits, gradient };
  }

  /** Outputs of the graph that has the gradient: "logits", "gradient", and of a network for photographs each stage and
   *  "gradient.STAGE". With weights for a stage, the gradient is that of sum(weights * stage) as well.
   *  @param {Float32Array} images @param {Float32Array} weights @param {string[]} names
   *  @param {Record<string, Tensor>} [stages] weights for the stage of that name, which broadcast to it */
  async gradients(images, weights, names, stages = {}) {
    /** @type {Record<string, Tensor>} */
    const inputs = {
      images: this.batch(images),
      weights: new ort.Tensor("float32", weights, [weights.length / this.classes, this.classes]),
    };
    for (const { name } of this.facts.layers) {
      if (this.facts.halved) inputs[`weights.${name}`] = stages[name] ?? new ort.Tensor("float32", [0], [1, 1, 1, 1]);
    }
    return numbers(await this.run("gradient", inputs, names));
  }

  /** @param {Float32Array} images */
  batch(images) {
    return new ort.Tensor("float32", images, [images.length / this.pixels, ...this.shape]);
  }

  /** What every run of the forward and the gradient graph is given besides the images. @returns {Record<string, Tensor>} */
  given() {
    return {};
  }

  /** @param {string} graph @param {Record<string, Tensor>} inputs @param {string[]} [names]
   *  @returns {Promise<Record<string, Tensor>>} */
  run(graph, inputs, names) {
    const result = this.#turn.then(() => {
      if (!this.#sessions) throw new Error("the network is not open");
      const session = this.#sessions[graph];
      return session.run({ ...this.given(), ...inputs }, names ?? session.outputNames);
    });
    this.#turn = result.catch(() => {});
    return /** @type {Promise<Record<string, Tensor>>} */ (result);
  }
}

/** @param {Record<string, InferenceSession> | undefined} sessions */
async function release(sessions) {
  await Promise.all(Object.values(sessions ?? {}).map((session) => session.release()));
}

/** @param {Record<string, Tensor>} tensors @returns {Record<string, Float32Array>} */
function numbers(tensors) {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, found]) => [name, /** @type {Float32Array} */ (found.data)]),
  );
}
