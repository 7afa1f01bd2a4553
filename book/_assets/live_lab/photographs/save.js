// The pictures of a view, with their captions and the words below them, as one file on the reader's machine.
import { download } from "../dom.js";

const [SIDE, GAP, LINE, FONT] = [336, 24, 22, 16]; // pixels

/** @param {HTMLElement} panel whose figures are drawn @param {string} address that leads back to it @param {string} name */
export async function savePictures(panel, address, name) {
  const figures = [...panel.querySelectorAll("figure.lab-picture")].filter((each) => each.checkVisibility());
  if (!figures.length) return false;
  const canvas = document.createElement("canvas");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const across = Math.min(figures.length, figures.length === 4 ? 2 : 3);
  canvas.width = across * (SIDE + GAP) + GAP;
  const lines = (/** @type {string} */ text, /** @type {number} */ width) => wrapped(context, text, width);
  context.font = `${FONT}px sans-serif`;
  const captions = figures.map((each) => lines(each.querySelector("figcaption")?.textContent ?? "", SIDE));
  const said = [...panel.querySelectorAll("output.lab-words")].map((each) => each.textContent ?? "").filter(Boolean);
  const below = [...said, `Made in the live lab, on the reader's machine: ${address}`].flatMap((text) =>
    lines(text, canvas.width - 2 * GAP),
  );
  const tall = SIDE + GAP / 2 + LINE * Math.max(...captions.map(({ length }) => length)) + GAP;
  canvas.height = GAP + tall * Math.ceil(figures.length / across) + LINE * below.length + GAP;
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.font = `${FONT}px sans-serif`; // a new size has reset it
  figures.forEach((figure, at) => {
    const [left, top] = [GAP + (at % across) * (SIDE + GAP), GAP + Math.floor(at / across) * tall];
    for (const layer of figure.querySelectorAll("canvas")) {
      if (!layer.width || getComputedStyle(layer).display === "none") continue;
      context.globalAlpha = Number(getComputedStyle(layer).opacity);
      context.imageSmoothingEnabled = layer.width >= 64;
      context.drawImage(layer, left, top, SIDE, (SIDE * layer.height) / layer.width);
    }
    context.globalAlpha = 1;
    write(context, captions[at], left, top + SIDE + GAP / 2);
  });
  write(context, below, GAP, canvas.height - GAP - LINE * below.length);
  /** @type {Blob | null} */
  const file = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!file) throw new Error("no picture was written");
  download(`${name}.png`, file);
  return true;
}

/** @param {CanvasRenderingContext2D} context @param {string[]} lines @param {number} left @param {number} top */
function write(context, lines, left, top) {
  context.fillStyle = "black";
  context.textBaseline = "top";
  lines.forEach((line, at) => context.fillText(line, left, top + at * LINE));
}

/** Lines of a text, broken at spaces and, for addresses, behind slashes and what separates settings.
 *  @param {Pick<CanvasRenderingContext2D, "measureText">} context @param {string} text @param {number} width */
export function wrapped(context, text, width) {
  const lines = [""];
  for (const part of text.split(/(?<=[\s/#&])/)) {
    const longer = lines[lines.length - 1] + part;
    if (lines[lines.length - 1] && context.measureText(longer.trimEnd()).width > width) lines.push(part);
    else lines[lines.length - 1] = longer;
  }
  return lines.map((line) => line.trim()).filter(Boolean);
}
