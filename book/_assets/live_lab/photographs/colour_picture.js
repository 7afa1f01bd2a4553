// Colour images of 3 x height x width numbers in [0, 1] on a canvas, and maps of numbers laid over them.
import { element } from "../dom.js";

/** @typedef {{ width: number, height: number }} Size */

/** @param {HTMLCanvasElement} canvas @param {Float32Array} image @param {Size} size */
export function paintColours(canvas, image, { width, height }) {
  const made = new ImageData(width, height);
  const count = width * height;
  for (let at = 0; at < count; at++) {
    for (let colour = 0; colour < 3; colour++) made.data[4 * at + colour] = 255 * image[colour * count + at];
    made.data[4 * at + 3] = 255;
  }
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d")?.putImageData(made, 0, 0);
}

/** A photo with a map over it, as a figure with a caption. @param {string} label @param {Size} size */
export function colourPicture(label, size) {
  const photo = element("canvas", { role: "img", "aria-label": label, ...size });
  const over = element("canvas", { class: "lab-over", "aria-hidden": "true", ...size });
  const box = element("div", { class: "lab-box", hidden: true });
  const frame = element("div", { class: "lab-frame" }, photo, over, box);
  const caption = element("figcaption", {}, label);
  const figure = element("figure", { class: "lab-picture lab-photo" }, frame, caption);
  return {
    figure,
    frame,
    over,
    box,
    /** @param {Float32Array} image */
    show: (image) => paintColours(photo, image, size),
    /** @param {string} text @param {string} [spoken] */
    say(text, spoken = text) {
      caption.textContent = text;
      photo.setAttribute("aria-label", spoken);
    },
  };
}

/** @typedef {ReturnType<typeof colourPicture>} ColourPicture */
