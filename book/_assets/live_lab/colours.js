// Numbers to colours, in the maps of the book's figures: labkit.plot's own table.
import { lay } from "../../../labkit/widgets/browse.js";
import { element } from "./dom.js";

/** @import {Palette} from "./types.js" */
/** @import {Numbers} from "./numbers.js" */

/** The colours of a map, each as one number the way ImageData keeps it in memory (alpha, blue, green, red).
 *  @param {string} table six hexadecimal digits a colour */
export function packed(table) {
  return Uint32Array.from(split(table), (colour) => {
    const [red, green, blue] = [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

/** @param {string} table */
const split = (table) => table.match(/.{6}/g) ?? [];

/** Which colour of a map stands for a number: signed maps run from -limit to limit, others from 0 to limit.
 *  @param {number} value @param {number} limit @param {boolean} signed @param {number} count */
export function level(value, limit, signed, count = 256) {
  const share = signed ? (value / limit + 1) / 2 : value / limit;
  return Math.max(0, Math.min(count - 1, Math.round(share * (count - 1))));
}

/** @typedef {{ kind?: Palette, limit?: number }} Colouring */

/** Black to white, as a table like those of the other maps. */
const GREY = Array.from({ length: 256 }, (_, shade) => shade.toString(16).padStart(2, "0").repeat(3)).join("");

export class Painter {
  /** @param {{ heat: string, signed: string, series: string[] }} palette */
  constructor({ heat, signed, series }) {
    this.mark = series[5]; // marks something in a picture
    this.lifted = series[4]; // the pen
    this.tables = { grey: GREY, heat, signed };
    this.colours = { grey: packed(GREY), heat: packed(heat), signed: packed(signed) };
  }

  /** Paint rows of numbers onto a canvas, a pixel each; NaN stays clear.
   *  @param {HTMLCanvasElement} canvas @param {Numbers} values @param {number} width @param {number} height
   *  @param {Colouring} colouring */
  paint(canvas, values, width, height, { kind = "grey", limit = 1 } = {}) {
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let at = 0; at < pixels.length; at++) {
      if (!Number.isNaN(values[at])) pixels[at] = this.colours[kind][level(values[at], limit, kind === "signed")];
    }
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    canvas.getContext("2d")?.putImageData(image, 0, 0);
  }

  /** A legend: the colours from one end to the other, with what the ends stand for.
   *  @param {Palette} kind @param {string} low @param {string} high @param {string} name */
  scale(kind, low, high, name) {
    const stops = split(this.tables[kind])
      .filter((_, at) => at % 15 === 0)
      .map((colour) => `#${colour}`)
      .join(", ");
    const bar = element("span", { class: "lab-scale-bar", style: `background: linear-gradient(90deg, ${stops})` });
    return element("p", { class: "lab-scale" }, element("span", {}, low), bar, element("span", {}, high), name);
  }

  /** A framed map with a caption below it, in which a rectangle can be marked.
   *  @param {string} label @param {{ width: number, height: number, small?: boolean }} options */
  picture(label, { width, height, small = false }) {
    const canvas = element("canvas", { role: "img", "aria-label": label, width, height });
    const box = element("div", { class: "lab-box", hidden: true });
    const caption = element("figcaption", {}, label);
    const figure = element(
      "figure",
      { class: small ? "lab-picture lab-small" : "lab-picture" },
      element("div", { class: "lab-frame" }, canvas, box),
      caption,
    );
    return {
      figure,
      canvas,
      box,
      /** @param {Numbers} values @param {string} text @param {Colouring & { spoken?: string }} options */
      show: (values, text = label, options = {}) => {
        this.paint(canvas, values, width, height, options);
        caption.textContent = text;
        canvas.setAttribute("aria-label", options.spoken ?? text);
      },
      /** Mark rows top..top + tall - 1 and columns left..left + wide - 1.
       *  @param {number} top @param {number} left @param {number} tall @param {number} wide */
      mark: (top, left, tall, wide) => lay(box, { top, left, height: tall, width: wide }, [height, width]),
    };
  }
}

/** @typedef {ReturnType<Painter["picture"]>} Picture */
