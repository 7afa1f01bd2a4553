// A network that was trained here as a file: safetensors, which labkit loads and this page loads again.
import { download, element, menu } from "../dom.js";
import { Failure } from "../failure.js";
import { readTensors, writeTensors } from "../worker/safetensors.js";

/** @import {TrainBench} from "./bench.js" */
/** @import {Recipe, State} from "../types.js" */

const WORDS =
  'Save writes the weights to a file on your machine. In Python, labkit.models.load("A.safetensors") gives the same network.';

export class Keep {
  #name = "A";

  /** @param {TrainBench} bench */
  constructor(bench) {
    this.bench = bench;
    const which = menu(
      "network",
      [
        ["A", "A"],
        ["B", "B"],
      ],
      (value) => {
        this.#name = value;
        this.refresh();
      },
    );
    this.save = element("button", { type: "button", onclick: () => this.#save() }, "Save");
    const file = element("input", {
      type: "file",
      accept: ".safetensors",
      hidden: true,
      onchange: () => this.#load(file),
    });
    this.load = element("button", { type: "button", onclick: () => file.click() }, "Load a saved one");
    this.words = element("output", { class: "lab-words" });
    this.content = [
      element("h3", {}, "Keep it"),
      element("p", {}, WORDS),
      element("div", { class: "lab-controls" }, which.element, this.save, this.load, file),
      this.words,
    ];
  }

  refresh() {
    this.save.disabled = this.bench.running || !this.bench.engine.own[this.#name];
    this.load.disabled = this.bench.running;
  }

  #save() {
    const { facts, state, recipe } = this.bench.engine.own[this.#name];
    const bytes = writeTensors(state, facts.tensors, { "live lab": JSON.stringify(recipe) });
    download(`${this.#name}.safetensors`, new Blob([bytes], { type: "application/octet-stream" }));
    this.words.textContent = `Network ${this.#name} is in your downloads as ${this.#name}.safetensors.`;
  }

  /** @param {HTMLInputElement} input */
  #load(input) {
    const [file] = input.files ?? [];
    input.value = ""; // the same file can be chosen again
    const lane = this.bench.lanes.find(({ name }) => name === this.#name);
    if (!file || !lane) return;
    this.bench.during(async () => {
      const { state, recipe } = recognised(file.name, new Uint8Array(await file.arrayBuffer()));
      const whole = { ...lane.recipe, ...recipe };
      await lane.build(whole, state);
      lane.choose(whole);
      this.words.textContent = `${file.name} is network ${this.#name} now.`;
    });
  }
}

/** @param {string} name @param {Uint8Array<ArrayBuffer>} bytes @returns {{ state: State, recipe: Partial<Recipe> }} */
function recognised(name, bytes) {
  try {
    const { tensors: state, metadata } = readTensors(bytes);
    const filters = state["conv1.weight"].length / 9;
    const convolutions = Object.keys(state).filter((each) => /^conv\d\.weight$/.test(each)).length;
    const known = JSON.parse(metadata["live lab"] ?? "{}");
    return { state, recipe: { ...known, filters, convolutions, norm: "bn1.weight" in state } };
  } catch {
    throw new Failure(
      `${name} is not a network that was saved here: choose a .safetensors file that Save has written.`,
    );
  }
}
