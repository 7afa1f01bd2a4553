// A network that is trained here: its weights are handed to every run, so that a step of training can change them.
import { uniform } from "./arithmetic.js";
import { Network } from "./network.js";

/** @import {OwnFacts, State} from "../types.js" */
/** @import {Tensor} from "onnxruntime-common" */

export class OwnNetwork extends Network {
  /** Weights and running statistics. @type {Record<string, Tensor>} */
  tensors = {};
  /** What SGD remembers of each weight. @type {Record<string, Tensor>} */
  momenta = {};

  /** @param {OwnFacts} facts @param {Record<string, Uint8Array<ArrayBuffer>>} graphs forward, gradient and step
   *  @param {State} state */
  constructor(facts, graphs, state) {
    super(facts, graphs, null);
    for (const [name, shape] of Object.entries(facts.tensors)) {
      const size = shape.reduce((product, each) => product * each, 1);
      if (state[name]?.length !== size) throw new Error(`the weights ${name} are not ${shape.join(" × ")} numbers`);
      this.tensors[name] = new ort.Tensor("float32", state[name].slice(), shape);
      if (!name.includes(".running_")) {
        this.momenta[`momentum.${name}`] = new ort.Tensor("float32", new Float32Array(size), shape);
      }
    }
    this.settle();
  }

  /** @override */
  get kernels() {
    return this.facts.kernels
      ? /** @type {Float32Array | undefined} */ (this.tensors?.[this.facts.kernels.tensor]?.data)
      : undefined;
  }

  /** @override */
  given() {
    return this.tensors;
  }

  /** The kernels as training has left them are those that a reader gets back. */
  settle() {
    this.shipped = this.kernels?.slice();
  }

  /** A copy of the weights. @returns {State} */
  state() {
    return Object.fromEntries(
      Object.entries(this.tensors).map(([name, { data }]) => [name, /** @type {Float32Array} */ (data).slice()]),
    );
  }

  /** One step of SGD: the mean loss, and the logits before the step.
   *  @param {Float32Array} images @param {BigInt64Array} classes @param {number} rate */
  async train(images, classes, rate) {
    const found = await this.run("step", {
      ...this.momenta,
      images: this.batch(images),
      classes: new ort.Tensor("int64", classes, [classes.length]),
      rate: new ort.Tensor("float32", Float32Array.of(rate), []),
    });
    for (const name of Object.keys(this.tensors)) this.tensors[name] = found[`new.${name}`];
    for (const name of Object.keys(this.momenta)) this.momenta[name] = found[`new.${name}`];
    return {
      loss: /** @type {Float32Array} */ (found.loss.data)[0],
      logits: /** @type {Float32Array} */ (found.logits.data),
    };
  }
}

/** Weights to begin with, as PyTorch draws them: evenly between -1 / sqrt(n) and 1 / sqrt(n), for n numbers that a unit
 *  adds up. Batch norms begin by changing nothing.
 *  @param {Record<string, number[]>} shapes @param {number} seed @returns {State} */
export function beginning(shapes, seed) {
  const draw = uniform(seed);
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      const layer = name.slice(0, name.lastIndexOf("."));
      const weights = shapes[`${layer}.weight`];
      if (weights.length === 1) return [name, values.fill(/weight|running_var/.test(name) ? 1 : 0)];
      const bound = 1 / Math.sqrt(weights.slice(1).reduce((product, size) => product * size, 1));
      return [name, values.map(() => bound * (2 * draw() - 1))];
    }),
  );
}
