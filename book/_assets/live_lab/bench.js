// A bench: the pad, what the networks see in the digit on it, and views of it, one at a time.
import palette from "../../../labkit/plot/palette.json" with { type: "json" };
import { Painter } from "./colours.js";
import { alertBox } from "./alert.js";
import { SIZE } from "./digit.js";
import { element } from "./dom.js";
import { newest } from "./failure.js";
import { frame } from "./frame.js";
import { extent, verdict } from "./numbers.js";
import { Pad } from "./pad.js";
import { Bars } from "./probabilities.js";
import { formatAddress } from "./settings.js";
import { Tabs } from "./tabs.js";

/** @import {Engine} from "./engine.js" */
/** @import {Picture} from "./colours.js" */
/** @import {View} from "./types.js" */
/** @typedef {{ image: Float32Array, settled: boolean, start: number }} Drawn */

const SETTLE = 120; // milliseconds without a change before the slower views follow
const BLANK =
  "Nothing is drawn, and still each network names a digit: it can choose among ten, and “none” is not one of " +
  "them. What it says here is a preference that it has for no reason you could see.";
const PAD_KEYS = ["pad", "arrow keys move the pen, space puts it down or lifts it, Backspace undoes, Escape clears"];
const MAP_KEYS = ["maps", "arrow keys go from unit to unit, Page Up and Page Down from map to map"];

let count = 0;

export class Bench {
  /** @type {Float32Array} */
  digit = new Float32Array(SIZE * SIZE);
  /** What each network says about the digit. @type {Record<string, Float32Array>} */
  logits = {};
  /** Grows whenever a network is changed. */
  version = 0;
  /** @type {Tabs<View>} */
  #tabs;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #settle;
  #alert = alertBox("Press “Try again”, or draw on.", () => this.retry());
  #gone = new AbortController();
  #blank = element("p", { class: "lab-blank", hidden: true }, BLANK);
  #frame;

  /** @param {{ engine: Engine, views: View[], names?: string[], moved?: (address: string) => void }} options `names` are
   *  the networks that are looked at, `moved` hears of each new address */
  constructor({ engine, views, names = engine.names, moved = () => {} }) {
    this.engine = engine;
    this.moved = moved;
    this.id = `bench-${count++}`;
    this.names = names;
    const facts = engine.facts.networks[names[0]];
    this.classes = facts.classes;
    this.size = { height: facts.shape[1], width: facts.shape[2] };
    this.painter = new Painter(palette);
    this.bars = new Bars(Object.fromEntries(names.map((name) => [name, engine.facts.networks[name]])));
    this.pad = new Pad({
      painter: this.painter,
      pixels: engine.digits,
      labels: engine.facts.labels,
      corner: names.some((name) => name in engine.own),
      changed: (image, change) => this.setDigit(image, change),
    });
    this.failed = this.failed.bind(this);
    this.look = newest(this.#look.bind(this), this.failed);
    this.#tabs = new Tabs({
      id: this.id,
      views,
      build: (view, settings) => view.build(this, settings),
      moved: () => this.moved(this.address()),
      changed: () => {
        this.moved(this.address());
        return this.#refresh();
      },
    });
    const changed = () => {
      this.version += 1;
      this.names.forEach((name) => this.bars.mark(name, engine.patched(name).length > 0));
      this.retry();
    };
    engine.addEventListener("networks", changed, { signal: this.#gone.signal });
    this.#frame = frame({
      left: {
        label: "the digit, and what the networks see in it",
        content: [...this.pad.content, ...this.bars.content, this.#blank],
      },
      right: {
        label: "views of the digit",
        content: [...this.#tabs.content, this.#alert.element, ...this.#tabs.panels],
      },
      keys: [PAD_KEYS, ...(views.some(({ name }) => name === "activations") ? [MAP_KEYS] : [])],
      views: views.length,
    });
    this.content = this.#frame.content;
  }

  /** Where a reader who has just opened it goes on. */
  get first() {
    return this.pad.canvas;
  }

  /** What is known of a network. @param {string} name */
  facts(name) {
    return this.engine.facts.networks[name];
  }

  /** As one of the networks that are looked at: the one of this name, or else the first. @param {string} name */
  network(name) {
    return this.names.includes(name) ? name : this.names[0];
  }

  /** A network's name as a heading. @param {string} name */
  heading(name) {
    return this.facts(name).title.replace(/^the /, "");
  }

  /** Hear of nothing any more, as another bench takes this one's place. */
  close() {
    this.#tabs.shown?.hide?.();
    this.#gone.abort();
  }

  /** Ask a network; the answer is null if a newer question of this bench has overtaken it.
   *  @param {string} name of the kind of answer, for the line of times @param {string} task @param {string} network
   *  @param {object} values @param {(part: any) => void} [progress] */
  async ask(name, task, network, values, progress) {
    const answer = await this.engine.timed(name, task, network, values, { asker: this.id, progress });
    this.#frame.tell(this.engine.timings);
    return answer;
  }

  /** For each network a heading, a row of pictures and, where wanted, words beside or below it.
   *  @template {Record<string, Picture>} T
   *  @param {(network: string) => T} make @param {{ words?: "beside" | "below" }} [options] */
  rows(make, { words } = {}) {
    const parts = Object.fromEntries(this.names.map((name) => [name, make(name)]));
    const outputs = Object.fromEntries(this.names.map((name) => [name, element("output", { class: "lab-words" })]));
    const content = this.names.flatMap((name) => {
      const figures = Object.values(parts[name]).map(({ figure }) => figure);
      return [
        element("h3", { class: `lab-heading lab-${this.facts(name).style}` }, this.heading(name)),
        element("div", { class: "lab-pictures" }, ...figures, ...(words === "beside" ? [outputs[name]] : [])),
        ...(words === "below" ? [outputs[name]] : []),
      ];
    });
    return { parts, words: outputs, content };
  }

  /** Say what went wrong; everything stays as it is, and can be asked for again. @param {unknown} error */
  failed(error) {
    this.#alert.show(error);
  }

  /** Ask everything about the digit anew. */
  retry() {
    return this.setDigit(this.digit, { settled: true, start: performance.now() });
  }

  /** A new digit: while one is being looked at, only the newest of those drawn meanwhile is kept.
   *  @param {Float32Array} image @param {{ settled: boolean, start: number }} change */
  setDigit(image, change) {
    this.digit = image;
    return this.look({ image, ...change });
  }

  /** @param {Drawn} drawn */
  async #look({ image, settled, start }) {
    this.#blank.hidden = extent(image) > 0.01;
    await Promise.all(
      this.names.map(async (name) => {
        const { logits } = await this.engine.ask("predict", name, { image }, { asker: this.id });
        this.logits[name] = logits;
        this.bars.show(name, logits);
      }),
    );
    this.engine.took("drawing to probabilities", performance.now() - start);
    this.#alert.hide();
    if (settled) this.#tell(image);
    clearTimeout(this.#settle);
    if (this.#tabs.shown?.live) await this.#tabs.shown.update();
    else this.#settle = setTimeout(() => this.#refresh(), settled ? 0 : SETTLE);
    if (settled) this.moved(this.address());
  }

  /** Say what the networks see. @param {Float32Array} image */
  #tell(image) {
    const verdicts = this.names.map((name) => ({
      ...verdict(this.logits[name]),
      recipe: this.engine.own[name]?.recipe,
    }));
    const { label, corner } = this.pad;
    this.engine.measured({ what: "seen", blank: extent(image) <= 0.01, corner: corner.checked, label, verdicts });
  }

  async #refresh() {
    const { shown } = this.#tabs;
    if (!shown || this.names.some((name) => !this.logits[name])) return;
    try {
      await shown.update();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Show a view; the first one if there is none of this name. @param {string} name */
  show(name) {
    return this.#tabs.show(name);
  }

  /** Show what an address says. @param {{ view: string, pairs: Record<string, string> }} address */
  take({ view, pairs }) {
    this.#tabs.take(view, pairs);
    this.pad.take(pairs);
  }

  /** The address of what is shown now. */
  address() {
    const { shown } = this.#tabs;
    return shown ? formatAddress(shown.view.name, { ...this.pad.pairs(), ...shown.settings.pairs() }) : "";
  }
}
