// The bench for photographs: a photo and its crop at the left, with what the networks say of it; views of it at the
// right, one at a time.
//
// To add a view, write a module in views/ that exports a `PhotographView` (types.d.ts), and list it in VIEWS below. Its
// `build(bench, settings)` returns { content, update, hide? }. `update` is called when the view is opened and when the
// photo has changed; what was still being computed has been stopped by then, and its answers are null.
//
//   bench.image     what the network sees: 3 x 224 x 224 numbers in [0, 1], colour by colour, as labkit.data.picture
//   bench.logits    of `bench.network`; bench.label is the class that it sees, bench.names[label] its name
//   bench.ask(name, task, values, progress)    a task of worker/photograph_tasks.js or worker/tasks.js; null if stopped
//   bench.stop()    stops what runs, bench.stop(task) that task alone
//   bench.failed(error)    says what went wrong, with a button that tries again
//   bench.painter   maps and legends; colourPicture and ClassMenu (class_menu.js) are for all views
//   settings        what the view can be set to; its names must differ from "view", "photo" and "crop"
//
// The view's words for the reader stand in a `lab-view-NAME` block of book/lab/live_lab.md.
import palette from "../../../../labkit/plot/palette.json" with { type: "json" };
import { alertBox } from "../alert.js";
import { Painter } from "../colours.js";
import { element } from "../dom.js";
import { newest } from "../failure.js";
import { frame } from "../frame.js";
import { best } from "../numbers.js";
import { formatAddress } from "../settings.js";
import { Tabs } from "../tabs.js";
import { Chooser } from "./chooser.js";
import { Says } from "./says.js";
import { savePictures } from "./save.js";
import { breakIt } from "./views/break.js";
import { digit } from "./views/digit.js";
import { imagine } from "./views/imagine.js";
import { see } from "./views/see.js";
import { where } from "./views/where.js";

/** @import {Engine} from "../engine.js" */
/** @import {PhotographView} from "../types.js" */
/** @import {Chosen} from "./chooser.js" */

export const VIEWS = [see, where, breakIt, imagine, digit];
const KEYS = [["photo", "arrow keys move the crop, + and − change its size, Home puts it back"]];

let count = 0;

export class PhotographBench {
  /** What the network sees. @type {Float32Array} */
  image = new Float32Array();
  /** What the network says of it. @type {Float32Array} */
  logits = new Float32Array();
  #alert = alertBox("Press “Try again”, or choose another photo.", () => this.retry());
  #saved = element("span", { class: "lab-label", role: "status" });
  #frame;

  /** @param {{ engine: Engine, network: string, beside: string | null, photos: Record<string, string>,
   *            views?: PhotographView[], moved?: (address: string) => void }} options `network` is looked into, `beside`
   *  says something too; `photos` are the bundled ones, `moved` hears of each new address */
  constructor({ engine, network, beside, photos, views = VIEWS, moved = () => {} }) {
    this.engine = engine;
    this.network = network;
    this.moved = moved;
    this.id = `photographs-${count++}`;
    this.facts = engine.facts.networks[network];
    this.names = this.facts.names ?? [];
    const [, height, width] = this.facts.shape;
    this.size = { height, width };
    this.painter = new Painter(palette);
    this.failed = this.failed.bind(this);
    this.look = newest(this.#look.bind(this), this.failed);
    this.says = new Says(engine, network, beside);
    this.chooser = new Chooser({
      files: engine.files,
      photos,
      size: this.size,
      mark: this.painter.mark,
      changed: (chosen) => this.look(chosen),
    });
    this.tabs = new Tabs({
      id: this.id,
      views,
      build: (view, settings) => view.build(this, settings),
      moved: () => this.moved(this.address()),
      changed: () => {
        this.moved(this.address());
        return this.#refresh();
      },
    });
    const save = element(
      "button",
      { type: "button", onclick: () => this.#save().catch(this.failed) },
      "Save these pictures",
    );
    this.#frame = frame({
      left: {
        label: "the photo, and what the networks see in it",
        content: [...this.chooser.content, ...this.says.content],
      },
      right: {
        label: "views of the photo",
        content: [
          ...this.tabs.content,
          this.#alert.element,
          ...this.tabs.panels,
          element("div", { class: "lab-controls" }, save, this.#saved),
        ],
      },
      keys: KEYS,
      views: views.length,
      style: "lab-photographs",
    });
    this.content = this.#frame.content;
    this.chooser.takeDrops(this.#frame.left);
  }

  /** The class that the network sees. */
  get label() {
    return best(this.logits);
  }

  /** Ask the network for photographs; the answer is null if it was stopped or a newer question has overtaken it.
   *  @param {string} name of the kind of answer, for the line of times @param {string} task @param {object} values
   *  @param {(part: any) => void} [progress] */
  async ask(name, task, values, progress) {
    const answer = await this.engine.timed(name, task, this.network, values, { asker: this.id, progress });
    this.#frame.tell(this.engine.timings);
    return answer;
  }

  /** Stop what is being computed for the views, or one task of it. @param {string} [task] */
  stop(task) {
    return this.engine.stop(this.network, task ? `${this.id} ${task}` : this.id);
  }

  /** Write what is shown to a file: the pictures with their captions. */
  async #save() {
    const { shown } = this.tabs;
    if (!shown) return;
    const page = location.protocol === "file:" ? "" : location.href.split("#")[0]; // a path says whose machine it is
    const address = page + this.address();
    const done = await savePictures(shown.panel, address, `${this.chooser.name}-${shown.view.name}`);
    this.#saved.textContent = done ? "Saved on your machine." : "There is no picture to save yet.";
  }

  /** Say what went wrong; everything stays as it is, and can be asked for again. @param {unknown} error */
  failed(error) {
    this.#alert.show(error);
  }

  /** Ask everything about the photo anew. */
  retry() {
    return this.chooser.hand();
  }

  /** @param {Chosen} chosen */
  async #look({ image, picture, box }) {
    await this.stop();
    const { logits } = await this.ask("a look", "predict", { image });
    [this.image, this.logits] = [image, logits];
    this.#alert.hide();
    await this.says.show(logits, picture, box);
    this.moved(this.address());
    this.#refresh(); // not waited for: the next photo stops it
  }

  async #refresh() {
    if (!this.tabs.shown || !this.logits.length) return;
    try {
      await this.stop();
      await this.tabs.shown.update();
    } catch (error) {
      this.failed(error);
    }
  }

  /** Show what an address says. @param {{ pairs: Record<string, string> }} address */
  async take({ pairs }) {
    this.tabs.take(pairs.view ?? "", pairs);
    await this.chooser.take(pairs).catch(this.failed);
  }

  /** The address of what is shown now. */
  address() {
    const { shown } = this.tabs;
    if (!shown) return "#photographs";
    const view = { view: shown.view.name };
    return formatAddress("photographs", { ...view, ...this.chooser.pairs(), ...shown.settings.pairs() });
  }
}
