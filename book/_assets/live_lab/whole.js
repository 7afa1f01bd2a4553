// The whole lab: benches of which one is shown, and whose state is the page's address.
import { Bench } from "./bench.js";
import { Challenges } from "./challenges/bench.js";
import { memory, Records } from "./challenges/records.js";
import { element, menu } from "./dom.js";
import { Engine } from "./engine.js";
import { sentence } from "./failure.js";
import { offerButton } from "./offer.js";
import { PhotographBench } from "./photographs/bench.js";
import { DIGIT_NETWORKS } from "./photographs/views/digit.js";
import { formatAddress, parseAddress } from "./settings.js";
import { TrainBench } from "./training/bench.js";

/** @import {Parts, View} from "./types.js" */
/** @typedef {"digits" | "photographs" | "train" | "challenges"} Name */

const PAUSE = 200; // milliseconds; browsers refuse too many changes of the address in a short time
/** @type {Record<Name, string>} */
const TITLES = {
  digits: "Draw and look",
  photographs: "Photographs",
  train: "Train your own",
  challenges: "Challenges",
};
const PROMISE =
  "A network that knows a thousand kinds of things looks at photographs: at these, or at yours. See what it finds in " +
  "them, and where. Your photo stays on this machine: the page computes everything itself, in up to 600 MB of " +
  "memory, and sends nothing anywhere.";

export class WholeLab {
  /** @type {Bench} */
  digits;
  /** @type {TrainBench | null} */
  train = null;
  /** @type {PhotographBench | null} */
  photographs = null;
  /** @type {Name} */
  shown = "digits";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  #rooms = {
    digits: element("div"),
    photographs: element("div", { hidden: true }),
    train: element("div", { hidden: true }),
    challenges: element("div", { hidden: true }),
  };
  /** What the bench for photographs opens with. @type {{ pairs: Record<string, string> }} */
  #wanted = { pairs: {} };
  /** What training needs, on its way. @type {Promise<void> | null} */
  #loading = null;
  #news = element("p", { class: "lab-news", role: "status" });
  #compare = element("div", { class: "lab-controls lab-compare", hidden: true });

  /** @param {{ engine: Engine, views: View[], folder: string, parts: Parts, replaced: (bench: Bench) => void }}
   *  options `replaced` hears of each new bench for digits */
  constructor({ engine, views, folder, parts, replaced }) {
    this.engine = engine;
    this.views = views;
    this.folder = folder;
    this.parts = parts;
    this.replaced = replaced;
    this.digits = this.#open(engine.names);
    this.has = {
      digits: true,
      photographs: parts.photographs.scripts.length > 0,
      train: parts.training.scripts.length > 0,
      challenges: parts.training.scripts.length > 0,
    };
    const offered = Object.entries(TITLES).filter(([name]) => this.has[/** @type {Name} */ (name)]);
    this.tabs = Object.fromEntries(
      offered.map(([name, title]) => [
        name,
        element("button", { type: "button", onclick: () => this.show(/** @type {Name} */ (name)) }, title),
      ]),
    );
    const nav = element("nav", { class: "lab-benches", "aria-label": "benches" }, ...Object.values(this.tabs));
    const records = new Records(memory());
    this.challenges = new Challenges({ records, moved: (address) => this.#moved("challenges", address) });
    this.#rooms.challenges.append(...this.challenges.content);
    engine.addEventListener("measured", (event) => {
      const news = records.note(/** @type {CustomEvent} */ (event).detail);
      if (news.length) this.#news.textContent = `Challenge reached: ${news.map(({ words }) => words).join(" ")}`;
    });
    this.content = [...(offered.length > 1 ? [nav, this.#news] : []), ...Object.values(this.#rooms)];
    this.#mark();
  }

  /** A bench that looks at these networks, in the place of the one before. @param {string[]} names */
  #open(names) {
    this.digits?.close();
    const bench = new Bench({
      engine: this.engine,
      views: this.views,
      names,
      moved: (address) => this.#moved("digits", address),
    });
    this.#rooms.digits.replaceChildren(this.#compare, ...bench.content);
    this.replaced(bench);
    this.digits = bench;
    this.#offerNetworks();
    return bench;
  }

  /** Menus for the two networks that are looked at, where there are more. */
  #offerNetworks() {
    const { names, facts } = this.engine;
    this.#compare.hidden = names.length < 3;
    const choices = names.map((name) => /** @type {[string, string]} */ ([name, facts.networks[name].label]));
    const menus = this.digits.names.map((shown, at) => {
      const made = menu(at ? "with" : "compare", choices, (name) => {
        const wanted = [...this.digits.names];
        const other = wanted.indexOf(name);
        if (other >= 0) wanted[other] = wanted[at];
        wanted[at] = name;
        this.look(wanted);
      });
      made.show(shown);
      return made.element;
    });
    this.#compare.replaceChildren(...menus);
  }

  /** Look at these networks, with the digit and the view as they are. @param {string[]} names */
  look(names) {
    const address = parseAddress(this.digits.address());
    this.#open(names.length > 1 ? names : [names[0], this.engine.names.find((name) => name !== names[0]) ?? names[0]]);
    this.digits.take(address);
  }

  /** A bench's new address is that of the page while the bench is shown. @param {Name} name @param {string} address */
  #moved(name, address) {
    if (name !== this.shown) return;
    clearTimeout(this.#later);
    this.#later = setTimeout(() => {
      if (location.hash !== address) history.replaceState(null, "", address);
    }, PAUSE);
  }

  /** Show a bench. @param {Name} name */
  async show(name) {
    this.shown = name;
    this.#mark();
    if (name !== "photographs") this.photographs?.chooser.camera.close();
    if (name === "digits") {
      if (this.digits.names.some((each) => each in this.engine.own)) this.look(this.digits.names);
      else this.digits.retry();
      this.#offerNetworks();
    } else if (name === "train") await this.#startTraining();
    else if (name === "photographs") this.#offerPhotographs();
    else {
      this.challenges.show();
      this.#moved(name, "#challenges");
    }
  }

  #mark() {
    for (const [name, room] of Object.entries(this.#rooms)) {
      room.hidden = name !== this.shown;
      this.tabs[name]?.setAttribute("aria-current", String(name === this.shown));
    }
  }

  /** What the bench for photographs loads is large: only a click on a button that says how large loads it. */
  #offerPhotographs() {
    this.#moved("photographs", this.photographs?.address() ?? formatAddress("photographs", this.#wanted.pairs));
    const room = this.#rooms.photographs;
    if (room.hasChildNodes()) return; // the button, or the bench
    const words = "Open the network for photographs";
    const start = async (/** @type {(text: string) => void} */ report) => {
      const { networks } = this.engine.facts;
      const digits = Object.fromEntries(DIGIT_NETWORKS.map((name) => [name, networks[name]]));
      const opened = await Engine.forPhotographs(this.folder, this.parts, WORKER_SOURCE, report, digits);
      const bench = new PhotographBench({ ...opened, moved: (address) => this.#moved("photographs", address) });
      this.photographs = bench;
      room.replaceChildren(...bench.content);
      await bench.take(this.#wanted);
      return bench.chooser.canvas;
    };
    offerButton(room, words, this.parts.photographs.bytes, start, PROMISE);
  }

  /** Load what training needs, once, after a click. */
  async #startTraining() {
    if (!this.train) await (this.#loading ??= this.#loadTraining());
    if (this.train) this.#moved("train", this.train.address());
  }

  async #loadTraining() {
    const note = element("p", { class: "lab-note", role: "status" });
    this.#rooms.train.replaceChildren(note);
    try {
      await this.engine.loadMaterial(this.folder, this.parts.training, (text) => (note.textContent = text));
      this.train = new TrainBench({
        engine: this.engine,
        moved: (address) => this.#moved("train", address),
        openDigits: (networks) => {
          this.look(networks);
          this.show("digits");
        },
      });
      this.#rooms.train.replaceChildren(...this.train.content);
    } catch (error) {
      console.error(error);
      const again = element("button", { type: "button", onclick: () => this.#startTraining() }, "Try again");
      note.replaceChildren(sentence(error, ""), " ", again);
    }
    this.#loading = null;
  }

  /** Where a reader who has just opened the lab goes on. */
  get first() {
    return this.shown === "digits" ? this.digits.pad.canvas : this.tabs[this.shown];
  }

  /** Show what an address says. @param {{ view: string, pairs: Record<string, string> }} address */
  async take(address) {
    if (address.view === "train" && this.has.train) {
      await this.show("train");
      return this.train?.take(address);
    }
    if (address.view === "photographs" && this.has.photographs) {
      this.#wanted = address;
      await this.show("photographs");
      return this.photographs?.take(address);
    }
    if (address.view === "challenges" && this.has.challenges) {
      await this.show("challenges");
      return this.challenges.take(address);
    }
    if (this.shown !== "digits") await this.show("digits");
    this.digits.take(address);
  }
}
