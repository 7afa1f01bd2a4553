// Where the reader draws: mouse, finger, or a pen that the arrow keys move. Or one of the test digits.
import { centred, marked, SIZE, trace } from "./digit.js";
import { DIGITS, element, isShortcut } from "./dom.js";
import { clamp } from "./numbers.js";
import { readStrokes, writeStrokes } from "./strokes.js";

/** @import {Painter} from "./colours.js" */
/** @import {Point} from "./strokes.js" */
/** @typedef {{ label: number, turn: number, image: Float32Array }} Chosen a test digit */
/** @typedef {{ settled: boolean, start: number }} Change whether the pen has come to rest, and when the change began */

const FINE = 10; // canvas pixels per pixel of the digit
const WIDTH = SIZE * FINE;
const PEN = 0.075; // as wide as it looks on the pad, which is 1 wide
const STEP = 1 / SIZE;
const SEEN = "what the networks see";

/** @type {Record<string, Point>} */
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
  /** @type {Point[][]} */
  #strokes = [];
  /** Instead of strokes. @type {Chosen | null} */
  #chosen = null;
  /** What draws a stroke now: the mouse, or one finger; others are ignored. @type {number | null} */
  #pointer = null;
  #pen = { x: 0.5, y: 0.25, down: false };
  #said = element("p", { class: "lab-said", "aria-live": "polite" });
  #hint = element("p", { class: "lab-hint", "aria-hidden": "true" }, "draw a digit here");

  /** @param {{ painter: Painter, pixels: Uint8Array, labels: number[],
   *            corner?: boolean, changed: (image: Float32Array, change: Change) => void }} options `corner` offers to
   *  put a white corner on the digit */
  constructor({ painter, pixels, labels, corner = false, changed }) {
    this.painter = painter;
    this.pixels = pixels;
    this.labels = labels;
    this.changed = changed;
    this.canvas = element("canvas", {
      class: "lab-pad",
      width: WIDTH,
      height: WIDTH,
      tabindex: 0,
      role: "application",
      "aria-label":
        "Drawing pad. Arrow keys move the pen, the space bar puts it down or lifts it, Backspace undoes, Escape clears.",
    });
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.preview = painter.picture(SEEN, { width: SIZE, height: SIZE, small: true });
    this.corner = element("input", { type: "checkbox", onchange: () => this.#hand(true) });
    this.#listen();
    const pick = (/** @type {string} */ digit) => this.pick(Number(digit));
    const buttons = DIGITS.map((digit) =>
      element("button", { type: "button", "aria-label": `pick a test ${digit}`, onclick: () => pick(digit) }, digit),
    );
    this.content = [
      element("div", { class: "lab-surface" }, this.canvas, this.#hint),
      element(
        "div",
        { class: "lab-row" },
        element("button", { type: "button", onclick: () => this.clear() }, "Clear"),
        element("button", { type: "button", onclick: () => this.undo() }, "Undo"),
        this.preview.figure,
      ),
      element(
        "div",
        { class: "lab-pick" },
        element("p", { class: "lab-label" }, "or pick a test digit"),
        element("div", { class: "lab-keys", role: "group", "aria-label": "or pick a test digit" }, ...buttons),
      ),
      ...(corner ? [element("label", { class: "lab-check" }, this.corner, element("span", {}, "white corner"))] : []),
      this.#said,
    ];
  }

  /** The class of the test digit on the pad; null for a drawing. */
  get label() {
    return this.#chosen?.label ?? null;
  }

  /** What is on the pad, for an address. @returns {Record<string, string>} */
  pairs() {
    const corner = /** @type {Record<string, string>} */ (this.corner.checked ? { corner: "white" } : {});
    if (this.#chosen) {
      const { label, turn } = this.#chosen;
      return { digit: turn ? `${label}.${turn}` : `${label}`, ...corner };
    }
    return { ...(this.#strokes.length ? { drawing: writeStrokes(this.#strokes) } : { digit: "blank" }), ...corner };
  }

  /** Show what an address says; the first test 7 if it says nothing. @param {Record<string, string>} pairs */
  take({ digit = "7", drawing = "", corner = "" }) {
    this.corner.checked = corner === "white" && this.corner.isConnected;
    const strokes = readStrokes(drawing);
    if (strokes) this.#put(strokes);
    else if (digit === "blank") this.clear();
    else {
      const [label, turn = 0] = digit.split(".").map(Number);
      this.pick(DIGITS.includes(String(label)) ? label : 7, Number.isInteger(turn) && turn > 0 ? turn : 0);
    }
  }

  /** Show a test digit of a class: the next one, or the one that is named. @param {number} label @param {number} [turn] */
  pick(label, turn) {
    const places = this.labels.flatMap((each, at) => (each === label ? [at] : []));
    const next = turn ?? (this.#chosen?.label === label ? this.#chosen.turn + 1 : 0);
    const nth = next % places.length;
    const start = places[nth] * SIZE * SIZE;
    const image = Float32Array.from(this.pixels.subarray(start, start + SIZE * SIZE), (value) => value / 255);
    this.#put([], { label, turn: nth, image });
  }

  clear() {
    this.#put([]);
  }

  undo() {
    this.#put(this.#strokes.slice(0, -1));
  }

  /** Put something else onto the pad; a stroke that is being drawn has its end.
   *  @param {Point[][]} strokes @param {Chosen | null} chosen */
  #put(strokes, chosen = null) {
    [this.#strokes, this.#chosen, this.#pen.down, this.#pointer] = [strokes, chosen, false, null];
    this.#hand(true);
  }

  /** Hand the digit on. @param {boolean} settled @param {number} start */
  #hand(settled, start = performance.now()) {
    const plain = this.#chosen?.image ?? centred(this.#strokes);
    const image = this.corner.checked ? marked(plain) : plain;
    this.preview.show(image, SEEN);
    this.#redraw();
    this.changed(image, { settled, start });
  }

  #redraw() {
    const { canvas, context } = this;
    context.fillStyle = "black";
    context.fillRect(0, 0, WIDTH, WIDTH);
    if (this.#chosen) {
      context.imageSmoothingEnabled = false;
      context.drawImage(this.preview.canvas, 0, 0, WIDTH, WIDTH);
    }
    trace(context, this.#strokes, PEN * WIDTH, ([x, y]) => [x * WIDTH, y * WIDTH]);
    if (document.activeElement === canvas && canvas.matches(":focus-visible")) {
      context.beginPath();
      context.arc(this.#pen.x * WIDTH, this.#pen.y * WIDTH, (PEN * WIDTH) / 2, 0, 7);
      Object.assign(context, { lineWidth: 3, strokeStyle: this.#pen.down ? this.painter.mark : this.painter.lifted });
      context.stroke();
    }
    this.#hint.hidden = Boolean(this.#chosen || this.#strokes.length);
  }

  /** @param {Point} point */
  #begin(point) {
    if (this.#chosen) [this.#chosen, this.#strokes] = [null, []];
    this.#strokes.push([point]);
  }

  /** @param {Point} point */
  #extend(point) {
    this.#strokes[this.#strokes.length - 1].push(point);
  }

  #listen() {
    const { canvas } = this;
    /** @param {PointerEvent} event @returns {Point} */
    const place = (event) => {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      return [(event.clientX - left) / width, (event.clientY - top) / height];
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button > 0 || this.#pointer !== null) return;
      canvas.setPointerCapture(event.pointerId);
      this.#pointer = event.pointerId;
      this.#begin(place(event));
      this.#hand(false);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.#pointer) return;
      const start = performance.now();
      const seen = event.getCoalescedEvents?.() ?? [];
      for (const each of seen.length ? seen : [event]) this.#extend(place(each));
      this.#hand(false, start);
    });
    for (const kind of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"])) {
      canvas.addEventListener(kind, (event) => {
        if (event.pointerId !== this.#pointer) return;
        this.#pointer = null;
        this.#hand(true);
      });
    }
    canvas.addEventListener("keydown", (event) => {
      if (!isShortcut(event) && this.#press(event.key)) event.preventDefault();
    });
    canvas.addEventListener("focus", () => this.#redraw());
    canvas.addEventListener("blur", () => {
      this.#pen.down = false;
      this.#redraw();
    });
  }

  /** Whether the key means something here. @param {string} key */
  #press(key) {
    const pen = this.#pen;
    if (key in MOVES) {
      const [right, down] = MOVES[key];
      pen.x = clamp(pen.x + right * STEP, PEN / 2, 1 - PEN / 2);
      pen.y = clamp(pen.y + down * STEP, PEN / 2, 1 - PEN / 2);
      if (pen.down) {
        this.#extend([pen.x, pen.y]);
        this.#hand(true);
      } else this.#redraw();
    } else if (key === " ") {
      pen.down = !pen.down;
      this.#said.textContent = pen.down ? "Pen down." : "Pen up.";
      if (pen.down) this.#begin([pen.x, pen.y]);
      this.#hand(true);
    } else if (key === "Backspace") this.undo();
    else if (key === "Escape") this.clear();
    else return false;
    return true;
  }
}
