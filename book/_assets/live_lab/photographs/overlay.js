// Maps laid over photos: how opaque they are is one slider for all of a view, and one scale.
import { level } from "../colours.js";
import { slider } from "../dom.js";
import { clamp, wholePercent } from "../numbers.js";
import { number } from "../settings.js";

/** @import {Painter} from "../colours.js" */
/** @import {Settings} from "../settings.js" */
/** @import {ColourPicture} from "./colour_picture.js" */

const FULL = 0.5;
export const opacity = number(0.8, { min: 0, max: 1 });

/** The slider; each picture's map follows it. @param {Settings} settings @param {ColourPicture[]} pictures */
export function opacitySlider(settings, pictures) {
  const apply = () => {
    for (const { over } of pictures) over.style.opacity = String(settings.get("opacity"));
  };
  const made = slider("map over photo", {
    min: 0,
    max: 1,
    step: 0.05,
    text: wholePercent,
    change: (value) => {
      settings.set("opacity", value);
      apply();
    },
  });
  settings.show("opacity", (value) => {
    made.show(value);
    apply();
  });
  return made.element;
}

/** Lay a map over a picture: clear where it is 0, and from FULL of the largest value on as opaque as the slider says.
 *  @param {Painter} painter @param {ColourPicture} picture @param {Float32Array} map
 *  @param {{ width: number, height: number }} size of the map @param {number} limit */
export function lay(painter, { over }, map, { width, height }, limit) {
  const image = new ImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  const most = Math.max(limit, 1e-12);
  map.forEach((value, at) => {
    if (Number.isNaN(value)) return;
    colours[at] = painter.colours.heat[level(value, most, false)];
    image.data[4 * at + 3] = 255 * clamp(value / most / FULL, 0, 1);
  });
  Object.assign(over, { width, height });
  over.getContext("2d")?.putImageData(image, 0, 0);
}
