// Choosing a photo and the part of it that the network sees.
import { element, isShortcut, slider } from "../dom.js";
import { Failure, newest, sentence } from "../failure.js";
import { clamp, wholePercent } from "../numbers.js";
import { inflate } from "../packed.js";
import { Camera } from "./camera.js";
import { paintColours } from "./colour_picture.js";
import { openPicture, pictureIn } from "./open.js";
import { centralSquare, resized } from "./resize.js";

/** @import {Box, Pixels} from "./resize.js" */
/** @typedef {{ image: Float32Array, picture: Pixels, box: Box }} Chosen */

const WIDE = 560; // canvas pixels
const THUMB = 96;
const LONGEST = 3; // times the shorter side: of a longer photo, the part around the square is drawn
const SMALLEST = 16; // pixels of the photo in a crop
const NUDGE = 0.04; // of the shorter side, for an arrow key
/** @type {Record<string, [right: number, down: number, larger: number]>} */
const MOVES = {
  ArrowLeft: [-1, 0, 0],
  ArrowRight: [1, 0, 0],
  ArrowUp: [0, -1, 0],
  ArrowDown: [0, 1, 0],
  "+": [0, 0, 1],
  "=": [0, 0, 1],
  "-": [0, 0, -1],
};

export class Chooser {
  /** The name of a bundled photo; "yours" for the reader's. */
  name = "";
  /** @type {Pixels | null} */
  picture = null;
  /** The part that is looked at. @type {Box} */
  box = { left: 0, top: 0, width: 1, height: 1 };
  /** @type {Record<string, Pixels>} */
  #bundled = {};
  /** Grows with every picture that is asked for: only the newest is shown. */
  #turn = 0;
  /** The whole picture in the canvas's size. @type {HTMLCanvasElement | null} */
  #whole = null;
  #note = element("p", { class: "lab-label", role: "status" });

  /** @param {{ files: Record<string, Blob>, photos: Record<string, string>, size: { width: number, height: number },
   *            mark: string, changed: (chosen: Chosen) => Promise<void> }} options */
  constructor({ files, photos, size, mark, changed }) {
    this.files = files;
    this.photos = photos;
    this.size = size;
    this.mark = mark;
    this.changed = changed;
    this.cut = newest(async () => this.#cut(), this.#failed.bind(this));
    this.canvas = element("canvas", {
      class: "lab-photo-whole",
      tabindex: 0,
      role: "application",
      "aria-label":
        "The photo, and the square of it that the network sees. Arrow keys move the square, plus and minus change its size.",
    });
    this.zoom = slider("size of the crop", {
      min: 0.1,
      max: 1,
      step: 0.01,
      text: wholePercent,
      change: (value) => this.#scale(value),
    });
    this.file = element("input", {
      type: "file",
      accept: "image/*",
      hidden: true,
      "aria-label": "a photo from this machine",
    });
    this.file.addEventListener("change", () => {
      const [file] = this.file.files ?? [];
      if (file) this.open(() => file);
      this.file.value = "";
    });
    const samples = Object.entries(photos).map(([name, title]) =>
      element(
        "button",
        {
          type: "button",
          "aria-label": title,
          "aria-pressed": "false",
          "data-photo": name,
          onclick: () => this.pick(name),
        },
        element("canvas", { width: THUMB, height: THUMB, "aria-hidden": "true" }),
        name,
      ),
    );
    this.samples = element("div", { class: "lab-samples", role: "group", "aria-label": "bundled photos" }, ...samples);
    this.camera = new Camera({
      taken: (file) => this.open(() => file),
      failed: this.#failed.bind(this),
    });
    this.surface = element("div", { class: "lab-surface" }, this.canvas, this.camera.stage);
    this.content = [
      this.surface,
      this.zoom.element,
      this.samples,
      element(
        "div",
        { class: "lab-row" },
        element("button", { type: "button", class: "lab-main", onclick: () => this.file.click() }, "Choose a photo"),
        this.file,
        ...this.camera.buttons,
      ),
      element(
        "p",
        { class: "lab-label" },
        "Or drop one here, or paste it. It stays on this machine: the page sends nothing anywhere.",
      ),
      this.#note,
    ];
    this.#listen();
  }

  /** Show a bundled photo. @param {string} name @param {number[] | null} [crop] */
  async pick(name, crop = null) {
    const turn = ++this.#turn;
    try {
      const picture = (this.#bundled[name] ??= await this.#unpacked(name));
      if (turn === this.#turn) await this.#show(name, picture, crop, "");
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Show the bundled photos on their buttons. */
  async #thumbnails() {
    for (const button of this.samples.children) {
      const { photo = "" } = /** @type {HTMLElement} */ (button).dataset;
      const picture = (this.#bundled[photo] ??= await this.#unpacked(photo));
      const canvas = /** @type {HTMLCanvasElement} */ (button.firstElementChild);
      paintColours(canvas, resized(picture, centralSquare(picture), THUMB, THUMB), { width: THUMB, height: THUMB });
    }
  }

  /** @param {string} name */
  async #unpacked(name) {
    return openPicture(new Blob([await inflate(`photo ${name}`, this.files[`photo ${name}`])], { type: "image/webp" }));
  }

  /** Show a picture of the reader's. @param {() => Blob} find */
  async open(find) {
    const turn = ++this.#turn;
    this.#note.textContent = "Opening …";
    try {
      const picture = await openPicture(find());
      const [width, height] = picture.original;
      const smaller = width > picture.width ? `, made smaller to ${picture.width} × ${picture.height}` : "";
      if (turn === this.#turn)
        await this.#show("yours", picture, null, `Your photo, ${width} × ${height} pixels${smaller}.`);
    } catch (error) {
      if (turn === this.#turn) this.#failed(error);
    }
  }

  /** @param {string} name @param {Pixels} picture @param {number[] | null} crop @param {string} note */
  #show(name, picture, crop, note) {
    this.camera.close();
    [this.name, this.picture, this.#whole] = [name, picture, null];
    this.#note.textContent = note;
    for (const button of this.samples.children) {
      button.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (button).dataset.photo === name));
    }
    const square = centralSquare(picture);
    const [left, top, part] = crop ?? [0, 0, 0];
    this.#place(crop ? { left: left * picture.width, top: top * picture.height, side: part * square.width } : null);
    return this.cut(undefined);
  }

  /** @param {unknown} error */
  #failed(error) {
    if (!(error instanceof Failure)) console.error(error);
    this.#note.textContent = sentence(error, "Choose another photo.");
  }

  /** The crop as near to what is wanted as the photo allows; the square in the middle for null.
   *  @param {{ left: number, top: number, side: number } | null} wanted in pixels */
  #place(wanted) {
    const { picture } = this;
    if (!picture) return;
    const whole = centralSquare(picture);
    if (!wanted) this.box = whole;
    else {
      const side = Math.round(clamp(wanted.side, Math.min(SMALLEST, whole.width), whole.width));
      const left = Math.round(clamp(wanted.left, 0, picture.width - side));
      this.box = { left, top: Math.round(clamp(wanted.top, 0, picture.height - side)), width: side, height: side };
    }
    this.zoom.show(this.box.width / whole.width);
    this.#draw();
  }

  /** Another size around the same middle. @param {number} part of the largest square */
  #scale(part) {
    const { picture, box } = this;
    if (!picture) return;
    const side = part * centralSquare(picture).width;
    this.#place({ left: box.left + (box.width - side) / 2, top: box.top + (box.height - side) / 2, side });
    this.cut(undefined);
  }

  /** Cut and hand on. */
  async #cut() {
    await new Promise(requestAnimationFrame); // the frame moves first
    await this.hand();
  }

  /** Hand on what is shown. */
  async hand() {
    const { picture, box, size } = this;
    if (picture) await this.changed({ image: resized(picture, box, size.width, size.height), picture, box });
  }

  /** The part of the photo that is drawn: all of it, unless it is very long. @param {Pixels} picture @returns {Box} */
  #view({ width, height }) {
    const { box } = this;
    const longest = LONGEST * Math.min(width, height);
    const [wide, tall] = [Math.min(width, longest), Math.min(height, longest)];
    return {
      left: clamp(box.left + (box.width - wide) / 2, 0, width - wide),
      top: clamp(box.top + (box.height - tall) / 2, 0, height - tall),
      width: wide,
      height: tall,
    };
  }

  #draw() {
    const { canvas, picture, box } = this;
    if (!picture) return;
    const view = this.#view(picture);
    const scale = WIDE / Math.max(view.width, view.height);
    const [width, height] = [view.width, view.height].map((side) => Math.max(1, Math.round(side * scale)));
    if (!this.#whole) {
      this.#whole = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
      const pixels = new ImageData(new Uint8ClampedArray(picture.data), picture.width, picture.height);
      this.#whole.getContext("2d")?.putImageData(pixels, 0, 0);
    }
    Object.assign(canvas, { width, height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#whole, view.left, view.top, view.width, view.height, 0, 0, width, height);
    context.fillStyle = "rgb(0 0 0 / 60%)";
    context.fillRect(0, 0, width, height);
    const place = [box.left - view.left, box.top - view.top, box.width, box.height].map((value) => value * scale);
    const [left, top, wide, tall] = place;
    context.drawImage(this.#whole, box.left, box.top, box.width, box.height, left, top, wide, tall);
    context.strokeStyle = this.mark;
    context.lineWidth = 4;
    context.strokeRect(left + 2, top + 2, Math.max(wide - 4, 1), Math.max(tall - 4, 1));
  }

  #listen() {
    const { canvas, surface } = this;
    /** Where the crop and the pointer were as it was pressed. @type {{ x: number, y: number, box: Box } | null} */
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button > 0 || !this.picture) return;
      canvas.setPointerCapture(event.pointerId);
      held = { x: event.clientX, y: event.clientY, box: this.box };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held || !this.picture) return;
      const [view, shown] = [this.#view(this.picture), canvas.getBoundingClientRect()];
      const scale = Math.max(view.width / shown.width, view.height / shown.height); // the whole view fits in
      const { left, top, width } = held.box;
      this.#place({
        left: left + scale * (event.clientX - held.x),
        top: top + scale * (event.clientY - held.y),
        side: width,
      });
      this.cut(undefined);
    });
    for (const kind of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(kind, () => (held = null));
    }
    canvas.addEventListener("keydown", (event) => {
      if (isShortcut(event)) return;
      if (event.key === "Home") this.#place(null);
      else if (event.key in MOVES && this.picture) {
        const [right, down, larger] = MOVES[event.key];
        const step = NUDGE * centralSquare(this.picture).width;
        const { left, top, width } = this.box;
        const grown = larger * step;
        this.#place({ left: left + right * step - grown / 2, top: top + down * step - grown / 2, side: width + grown });
      } else return;
      event.preventDefault();
      this.cut(undefined);
    });
    addEventListener("paste", (event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (!surface.isConnected || !surface.checkVisibility() || target.matches?.("input, textarea")) return;
      this.open(() => pictureIn(event.clipboardData));
    });
  }

  /** Open what is dropped there. @param {HTMLElement} place */
  takeDrops(place) {
    place.addEventListener("dragover", (event) => event.preventDefault());
    place.addEventListener("drop", (event) => {
      event.preventDefault();
      this.open(() => pictureIn(event.dataTransfer));
    });
  }

  /** What is chosen, for an address. @returns {Record<string, string>} */
  pairs() {
    const { picture, box, name } = this;
    if (!picture) return {};
    const whole = centralSquare(picture);
    const moved = box.left !== whole.left || box.top !== whole.top || box.width !== whole.width;
    const parts = [box.left / picture.width, box.top / picture.height, box.width / whole.width];
    return { photo: name, ...(moved ? { crop: parts.map((part) => String(Number(part.toFixed(4)))).join(",") } : {}) };
  }

  /** Show what an address says; the first photo if it says nothing. @param {Record<string, string>} pairs */
  async take({ photo = "", crop = "" }) {
    const parts = crop.split(",").map(Number);
    const valid = crop && parts.length === 3 && parts.every((part) => part >= 0 && part <= 1);
    if (photo === "yours" && this.name === "yours") return this.hand();
    await this.pick(photo in this.photos ? photo : Object.keys(this.photos)[0], valid ? parts : null);
    this.#thumbnails().catch(this.#failed.bind(this));
    if (photo === "yours") {
      this.#note.textContent =
        "This link was made with a photo that stayed on somebody else's machine. Choose one of your own.";
    }
  }
}
