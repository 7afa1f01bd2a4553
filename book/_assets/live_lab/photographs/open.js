// A picture from wherever the reader has it: a file, dropped, pasted, from the camera, or one of the bundled ones. What
// comes out is upright, has its transparent parts over white, is the first frame of an animation, and has at most
// MOST pixels; what is no picture is said in a sentence.
import { Failure } from "../failure.js";

/** @import {Pixels} from "./resize.js" */

const MOST = 2_000_000; // pixels; larger pictures are made smaller by the browser while it reads them

/** @param {Blob} file @returns {Promise<Pixels & { original: [width: number, height: number] }>} */
export async function openPicture(file) {
  const name = file instanceof File && file.name ? `“${file.name}”` : "This";
  const bitmap = await decoded(file, name);
  const { width, height } = bitmap;
  if (!width || !height) throw new Failure(`${name} is a picture without pixels. Choose another one.`);
  const scale = Math.min(1, Math.sqrt(MOST / (width * height)));
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const pixels = drawn(bitmap, size);
  bitmap.close();
  return { ...pixels, original: [width, height] };
}

/** Upright: the browser turns it as its EXIF data say. @param {Blob} file @param {string} name */
async function decoded(file, name) {
  if (!file.size) throw new Failure(`${name} is an empty file. Choose another one.`);
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch (error) {
    const kind = file.type && !file.type.startsWith("image/") ? ` It seems to be ${file.type}.` : "";
    console.info(error);
    const formats = "JPEG, PNG, WebP, GIF and AVIF work everywhere; HEIC, as some phones save it, often does not.";
    throw new Failure(`${name} is not a picture that this browser can read.${kind} ${formats}`);
  }
}

/** A picture's pixels, in this size, over white.
 *  @param {CanvasImageSource} picture @param {{ width: number, height: number }} size @returns {Pixels} */
export function drawn(picture, { width, height }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Failure(`There is not enough memory for a picture of ${width} × ${height} pixels here.`);
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return { width, height, data };
}

/** The picture in what has been dropped or pasted. @param {DataTransfer | null} transfer @returns {Blob} */
export function pictureIn(transfer) {
  const files = [...(transfer?.files ?? [])];
  const file = files.find(({ type }) => type.startsWith("image/")) ?? files[0];
  if (file) return file;
  const text = transfer?.types.includes("text/uri-list") || transfer?.types.includes("text/html");
  throw new Failure(
    text
      ? "That is the address of a picture, and this page loads nothing from elsewhere: save the picture and choose the file, or copy the picture itself."
      : "There is no picture in that. Copy a picture, or choose a file.",
  );
}
