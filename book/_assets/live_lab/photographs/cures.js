// What is done to an attacked photo to undo the attack, and how a small change is made visible.
import { drawn } from "./open.js";
import { paintColours } from "./colour_picture.js";

/** @typedef {{ height: number, width: number }} Size */

/** The image after it has been saved as a JPEG file and opened again.
 *  @param {Float32Array} image @param {Size} size @param {number} quality from 0 to 1 */
export async function asJpeg(image, size, quality) {
  const canvas = document.createElement("canvas");
  paintColours(canvas, image, size);
  /** @type {Blob} */
  const file = await new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no JPEG was written"))), "image/jpeg", quality),
  );
  const bitmap = await createImageBitmap(file);
  const { data } = drawn(bitmap, size);
  bitmap.close();
  const count = size.height * size.width;
  return Float32Array.from(image, (_, at) => data[4 * (at % count) + Math.floor(at / count)] / 255);
}

/** A change around mid-grey, enlarged until its largest number is `loud` away from it.
 *  @param {Float32Array} image @param {Float32Array} before @param {number} loud */
export function differing(image, before, loud) {
  let most = 0;
  for (let at = 0; at < image.length; at++) most = Math.max(most, Math.abs(image[at] - before[at]));
  const gain = most > 1e-6 ? loud / most : 0;
  return { gain, change: image.map((value, at) => 0.5 + gain * (value - before[at])) };
}
