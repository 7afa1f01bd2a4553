// A network in onnxruntime-web: two graphs, forward and backward, that share one file of weights.
import { oneHot } from "./arithmetic.js";
import { tensor } from "./safetensors.js";

/** @import {NetworkFacts} from "../types.js" */
/** @import {InferenceSession} from "onnxruntime-common" */

export class Network {
  /** @type {Promise<unknown>} */
  #turn = Promise.resolve(); // one run at a time
  /** @type {{ forward: InferenceSession, gradient: InferenceSession } | undefined} */
  #sessions;

  /** @param {NetworkFacts} facts @param {Record<"forward" | "gradient" | "weights", Uint8Array<ArrayBuffer>>} files */
  constructor(facts, files) {
    this.facts = facts;
    this.files = files;
    this.shape = facts.shape;
    this.pixels = facts.shape.reduce((product, size) => product * size, 1);
    this.classes = facts.classes;
    this.kernels = tensor(files.weights, facts.kernels.tensor);
    this.shipped = this.kernels.slice(); // as they were before anybody edited one
  }

  /** Read the weights into the runtime, anew after they have changed. */
  async open() {
    const options = { externalData: [{ path: this.facts.weights, data: this.files.weights }] };
    const older = this.#sessions;
    const forward = await ort.InferenceSession.create(this.files.forward, options);
    const gradient = await ort.InferenceSession.create(this.files.gradient, options);
    this.#sessions = { forward, gradient };
    await Promise.all([older?.forward.release(), older?.gradient.release()]);
    await this.backward(new Float32Array(this.pixels), oneHot(0, this.classes)); // the first run is slow
  }

  /** Logits, or other outputs of the graph, for images that lie one behind the other.
   *  @param {Float32Array} images @returns {Promise<Float32Array>} */
  async logits(images) {
    return (await this.outputs(images, ["logits"])).logits;
  }

  /** @param {Float32Array} images @param {string[]} names @returns {Promise<Record<string, Float32Array>>} */
  outputs(images, names) {
    return this.#run("forward", { images: this.#batch(images) }, names);
  }

  /** Logits, and the gradient of sum(weights * logits) with respect to the images.
   *  @param {Float32Array} images @param {Float32Array} weights */
  async backward(images, weights) {
    const inputs = {
      images: this.#batch(images),
      weights: new ort.Tensor("float32", weights, [weights.length / this.classes, this.classes]),
    };
    const { logits, gradient } = await this.#run("gradient", inputs, ["logits", "gradient"]);
    return { logits, gradient };
  }

  /** @param {Float32Array} images */
  #batch(images) {
    return new ort.Tensor("float32", images, [images.length / this.pixels, ...this.shape]);
  }

  /** @param {"forward" | "gradient"} graph @param {Record<string, import("onnxruntime-common").Tensor>} inputs
   *  @param {string[]} names */
  async #run(graph, inputs, names) {
    const result = this.#turn.then(() => {
      if (!this.#sessions) throw new Error("the network is not open");
      return this.#sessions[graph].run(inputs, names);
    });
    this.#turn = result.catch(() => {});
    const found = await result;
    return Object.fromEntries(names.map((name) => [name, /** @type {Float32Array} */ (found[name].data)]));
  }
}
