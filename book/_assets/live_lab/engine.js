// The networks, behind a worker. The worker answers each question by its number. A question may be overtaken by a newer
// one of the same kind, about the same network, from the same asker: its answer is then null, and there is nothing to
// show. A worker that dies is started again by the next question.
import { Failure, Stopped } from "./failure.js";
import { arrived, inflate } from "./packed.js";
import { shapeName } from "./training/recipe.js";

/** @import {Answer, Contents, Facts, Measured, NetworkFacts, Own, OwnFacts, Parts, PhotographFacts, Recipe, Report,
 *  State}
 *  from "./types.js" */
/** @typedef {{ resolve(result: any): void, reject(error: Error): void, progress?: (part: any) => void }} Open */

const KEPT = 200; // times of each kind
const RUNTIME = ["ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.mjs"];

export class Engine extends EventTarget {
  /** How long a worker may be silent while somebody waits for it, in milliseconds. */
  patience = 20_000;
  /** How long answers took, in milliseconds, by name. @type {Record<string, number[]>} */
  timings = {};
  /** The kernels of each network's first layer, as they are now. @type {Record<string, Float32Array>} */
  kernels = {};
  /** @type {Worker | null} */
  #worker = null;
  /** @type {Promise<void> | null} */
  #starting = null;
  /** @type {Map<number, Open>} */
  #open = new Map();
  #asked = 0;
  #strikes = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #alarm;
  /** The networks that the reader has trained, with their newest weights. @type {Record<string, Own>} */
  own = {};
  /** What there is to train with, once it has been loaded.
   *  @type {{ shapes: Record<string, OwnFacts>, count: number, test: { pixels: Uint8Array, classes: Uint8Array } } | null} */
  material = null;
  /** Where the certified network is. @type {{ folder: string, contents: Contents } | null} */
  certified = null;
  /** The kernels that readers have put in, for a worker that is started again.
   *  @type {Map<string, { network: string, filter: number, kernel: number[] }>} */
  #patches = new Map();

  /** @param {{ files: Record<string, Blob>, facts: Facts, digits: Uint8Array, source: Blob }} parts */
  constructor({ files, facts, digits, source }) {
    super();
    this.files = files;
    this.facts = facts;
    this.digits = digits;
    this.source = source;
  }

  /** The names of all networks, those that the reader has trained included. */
  get names() {
    return Object.keys(this.facts.networks);
  }

  /** Load the scripts that hold the files, one after the other, and start the worker.
   *  @param {string} folder the address of the scripts @param {Contents} contents @param {string} worker its script
   *  @param {(text: string) => void} report */
  static async load(folder, contents, worker, report) {
    await loadScripts(folder, contents, report);
    report("Starting the networks …");
    const files = arrived();
    const facts = JSON.parse(new TextDecoder().decode(await inflate("facts", files.facts)));
    const digits = await inflate("digits", files.digits);
    const engine = new Engine({ files, facts, digits, source: await workerSource(files, worker) });
    await engine.start();
    return engine;
  }

  /** An engine with a worker of its own for photographs: with what the page must know of them, and other networks that
   *  are wanted there.
   *  @param {string} folder @param {Parts} parts @param {string} worker its script
   *  @param {(text: string) => void} report @param {Record<string, NetworkFacts>} [others] */
  static async forPhotographs(folder, parts, worker, report, others = {}) {
    const runtime = globalThis.labFiles?.[RUNTIME[0]] ? [] : parts.networks.scripts.filter(isRuntime);
    await loadScripts(folder, { scripts: [...runtime, ...parts.photographs.scripts] }, report);
    report("Starting the network …");
    const files = arrived();
    const text = await inflate("photograph facts", files["photograph facts"]);
    /** @type {PhotographFacts} */
    const { networks, ...about } = JSON.parse(new TextDecoder().decode(text));
    const facts = { networks: { ...networks, ...others }, labels: [] };
    const engine = new Engine({ files, facts, digits: new Uint8Array(), source: await workerSource(files, worker) });
    engine.patience = 60_000; // a gradient takes longer here, and opening the network longer still
    await engine.start();
    return { engine, ...about };
  }

  /** Start the worker where there is none. */
  start() {
    this.#starting ??= this.#start().catch((error) => {
      this.#stop();
      throw error;
    });
    return this.#starting;
  }

  async #start() {
    const address = URL.createObjectURL(this.source);
    this.#worker = new Worker(address);
    this.#worker.onmessage = ({ data }) => this.#hear(data);
    this.#worker.onerror = (event) => this.#died(event.message);
    this.#worker.onmessageerror = () => this.#died("its answer could not be read");
    const shipped = Object.entries(this.facts.networks).filter(([name]) => !(name in this.own));
    const networks = Object.fromEntries(shipped);
    const { kernels } = await this.#send("load", "", { files: needed(this.files, networks), networks });
    URL.revokeObjectURL(address);
    this.kernels = kernels;
    if (this.material) await this.#send("material", "", { files: this.files });
    for (const [name, own] of Object.entries(this.own)) {
      this.kernels[name] = (await this.#send("build", name, own)).kernels;
    }
    for (const { network, ...values } of this.#patches.values()) {
      this.kernels[network] = (await this.#send("patch", network, values)).kernels;
    }
  }

  /** Load what training needs. @param {string} folder @param {Contents} contents @param {(text: string) => void} report */
  async loadMaterial(folder, contents, report) {
    if (this.material) return this.material;
    await loadScripts(folder, contents, report);
    report("Unpacking the digits …");
    this.files = arrived();
    const shapes = JSON.parse(new TextDecoder().decode(await inflate("training facts", this.files["training facts"])));
    const { count, test } = await this.ask("material", "", { files: this.files });
    this.material = { shapes, count, test };
    return this.material;
  }

  /** Load the network that comes with a proof, once. @param {(text: string) => void} report */
  async loadCertified(report) {
    const { folder, contents } = this.certified ?? { folder: "", contents: { scripts: [], bytes: 0 } };
    if (!contents.scripts.length) throw new Error("there is no certified network in this page");
    await loadScripts(folder, contents, report);
    report("Opening the network …");
    this.files = arrived();
    const text = await inflate("certified facts", this.files["certified facts"]);
    const networks = JSON.parse(new TextDecoder().decode(text));
    const { kernels } = await this.ask("load", "", { files: needed(this.files, networks), networks });
    Object.assign(this.facts.networks, networks);
    Object.assign(this.kernels, kernels);
  }

  /** Make a network of the reader's, with weights to begin with, or with these.
   *  @param {string} name @param {Recipe} recipe @param {State | null} [state] @returns {Promise<Own>} */
  async build(name, recipe, state = null) {
    if (!this.material) throw new Error("there is nothing to train with yet");
    const shape = this.material.shapes[shapeName(recipe)];
    if (!shape) {
      const { filters, convolutions, norm } = recipe;
      const has = `${filters} filters and ${convolutions} convolutions${norm ? ", with batch norms" : ""}`;
      throw new Failure(`This page has no network of ${has}. Choose a .safetensors file that Save has written.`);
    }
    const facts = { ...shape, label: `network ${name}`, title: `network ${name}`, style: name };
    const made = await this.ask("build", name, { facts, recipe, state });
    this.facts.networks[name] = facts;
    this.own[name] = { recipe, facts, state: made.state, step: 0, total: made.total, seconds: 0 };
    this.#changed(name, made.kernels);
    return this.own[name];
  }

  /** Train a network of the reader's for so many steps, or until it is asked again; null if it was.
   *  @param {string} name @param {number} steps @param {(report: Report) => void} progress
   *  @returns {Promise<Report | null>} */
  async train(name, steps, progress) {
    const keep = (/** @type {Report} */ report) => {
      Object.assign(this.own[name], { state: report.state, step: report.step, seconds: report.seconds });
      progress(report);
    };
    /** @type {Report | null} */
    const report = await this.ask("train", name, { steps }, { progress: keep });
    if (report) {
      keep(report);
      const kernels = this.own[name].facts.kernels;
      if (kernels) this.#changed(name, report.state[kernels.tensor]);
    }
    return report;
  }

  /** Tell whoever wants to know what has been measured. @param {Measured} found */
  measured(found) {
    this.dispatchEvent(new CustomEvent("measured", { detail: found }));
  }

  /** A network of the reader's is another one now. @param {string} name @param {Float32Array} kernels */
  #changed(name, kernels) {
    this.kernels[name] = kernels;
    for (const [key, { network }] of this.#patches) if (network === name) this.#patches.delete(key);
    this.dispatchEvent(new Event("networks"));
  }

  /** Ask a network.
   *  @param {string} task @param {string} network @param {object} values
   *  @param {{ asker?: string, progress?: (part: any) => void }} options */
  async ask(task, network, values, { asker = "", progress } = {}) {
    await this.start();
    return this.#send(task, network, values, asker, progress);
  }

  /** Give up what this asker has asked of a network; a worker that dies meanwhile has given it up, too.
   *  @param {string} network @param {string} asker or an asker and a task, with a space between them */
  async stop(network, asker) {
    if (this.#open.size) await this.#send("stop", network, {}, asker).catch(() => {});
  }

  /** As `ask`, and note under this name how long the answer took.
   *  @param {string} name @param {string} task @param {string} network @param {object} values
   *  @param {{ asker?: string, progress?: (part: any) => void }} options */
  async timed(name, task, network, values, options = {}) {
    const start = performance.now();
    const answer = await this.ask(task, network, values, options);
    if (answer) this.took(name, performance.now() - start);
    return answer;
  }

  /** @param {string} name @param {number} milliseconds */
  took(name, milliseconds) {
    const times = (this.timings[name] ??= []);
    times.push(milliseconds);
    if (times.length > KEPT) times.shift();
  }

  /** Put a kernel into a network's first layer, or with null the one it came with.
   *  @param {string} network @param {number} filter @param {number[] | null} kernel */
  async patch(network, filter, kernel) {
    const { kernels } = await this.ask("patch", network, { filter, kernel });
    this.kernels[network] = kernels;
    if (kernel) this.#patches.set(`${network} ${filter}`, { network, filter, kernel });
    else this.#patches.delete(`${network} ${filter}`);
    this.dispatchEvent(new Event("networks"));
  }

  /** Which filters of a network somebody has changed. @param {string} network */
  patched(network) {
    return [...this.#patches.values()].filter((patch) => patch.network === network).map(({ filter }) => filter);
  }

  /** @param {string} task @param {string} network @param {object} values @param {string} asker
   *  @param {(part: any) => void} [progress] @returns {Promise<any>} */
  #send(task, network, values, asker = "", progress = undefined) {
    return new Promise((resolve, reject) => {
      const id = ++this.#asked;
      this.#open.set(id, { resolve, reject, progress });
      this.#worker?.postMessage({ id, task, asker, network, values });
      this.#listen();
    });
  }

  /** @param {Answer} answer */
  #hear({ id, result, part, error }) {
    this.#strikes = 0;
    const question = this.#open.get(id);
    if (part) question?.progress?.(part);
    else {
      this.#open.delete(id);
      if (error === undefined) question?.resolve(result);
      else question?.reject(new Error(error));
    }
    this.#listen();
  }

  /** Give up a worker that says nothing twice in a row; once may be a computer that was asleep. */
  #listen() {
    clearTimeout(this.#alarm);
    if (!this.#open.size) return;
    this.#alarm = setTimeout(() => {
      this.#strikes += 1;
      if (this.#strikes > 1) this.#died(`it was silent for ${Math.round((2 * this.patience) / 1000)} seconds`);
      else this.#listen();
    }, this.patience);
  }

  /** @param {string} reason */
  #died(reason) {
    const waiting = [...this.#open.values()];
    this.#stop();
    for (const { reject } of waiting) reject(new Stopped(reason));
  }

  #stop() {
    clearTimeout(this.#alarm);
    this.#worker?.terminate();
    [this.#worker, this.#starting, this.#strikes] = [null, null, 0];
    this.#open.clear();
  }
}

/** The files that these networks and the runtime read. @param {Record<string, Blob>} files
 *  @param {Record<string, NetworkFacts>} networks */
function needed(files, networks) {
  const named = Object.values(networks).flatMap(({ forward, gradient, weights }) => [forward, gradient, weights]);
  return Object.fromEntries([...RUNTIME, ...named].map((name) => [name, files[name]]));
}

/** The worker's script, behind that of the runtime. @param {Record<string, Blob>} files @param {string} worker */
async function workerSource(files, worker) {
  const runtime = new TextDecoder().decode(await inflate("ort.wasm.min.js", files["ort.wasm.min.js"]));
  return new Blob([runtime, "\n", worker], { type: "text/javascript" });
}

/** Whether a script holds a file of the runtime. @param {string} script */
const isRuntime = (script) => script.includes("/vendor/");

/** @param {string} folder @param {Pick<Contents, "scripts">} contents @param {(text: string) => void} report */
async function loadScripts(folder, { scripts }, report) {
  for (const [nth, script] of scripts.entries()) {
    report(`Loading ${nth + 1} of ${scripts.length} …`);
    await loadScript(folder, script);
    arrived();
  }
}

/** @param {string} folder @param {string} script @returns {Promise<void>} */
function loadScript(folder, script) {
  return new Promise((resolve, reject) => {
    const made = Object.assign(document.createElement("script"), { src: folder + script });
    made.onload = () => {
      made.remove(); // and with it its text
      resolve();
    };
    made.onerror = () => {
      made.remove();
      reject(
        new Failure(
          `The file ${script.replace(/^(\.\.\/)+/, "")} could not be loaded. Check your connection, and press the button to ` +
            "try again.",
        ),
      );
    };
    document.head.append(made);
  });
}
