// From strokes to the 28 x 28 pixels that the network knows: as in MNIST, the drawing is scaled to fit a box of 20 x 20
// pixels and its centre of mass is moved to the middle. The pen is always as thick as MNIST's, however large one draws.

/** @import {Point} from "./strokes.js" */

export const CORNER = 4; // rows and columns of the white corner that can be put on a digit
export const SIZE = 28;
const BOX = 20;
const PEN = 2.6; // pixels of the 28
const FINE = 8; // drawn so many times larger, then averaged
const DOT = 0.12; // smaller drawings are not blown up further

/** How to place a drawing so that it fills the box: x goes to scale * x + right, y to scale * y + down.
 *  @param {Point[]} points in 0..1 */
export function fitted(points) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = (BOX - PEN) / Math.max(right - left, bottom - top, DOT);
  return { scale, right: SIZE / 2 - (scale * (left + right)) / 2, down: SIZE / 2 - (scale * (top + bottom)) / 2 };
}

/** The centre of mass, in pixels; the middle of the first pixel is at 0.5. @param {Float32Array} image */
export function centreOfMass(image) {
  let [mass, x, y] = [0, 0, 0];
  image.forEach((ink, at) => {
    mass += ink;
    x += ink * ((at % SIZE) + 0.5);
    y += ink * (Math.floor(at / SIZE) + 0.5);
  });
  return mass ? { x: x / mass, y: y / mass } : { x: SIZE / 2, y: SIZE / 2 };
}

/** The image with the white corner. @param {Float32Array} image */
export function marked(image) {
  return image.map((value, at) => (at % SIZE < CORNER && at < CORNER * SIZE ? 1 : value));
}

/** Mean of each block of FINE x FINE pixels of a larger image, of whose pixels every fourth byte counts.
 *  @param {Uint8ClampedArray} bytes */
export function averaged(bytes) {
  const wide = SIZE * FINE;
  const image = new Float32Array(SIZE * SIZE);
  for (let at = 0; at < bytes.length / 4; at++) {
    const [row, column] = [Math.floor(at / wide / FINE), Math.floor((at % wide) / FINE)];
    image[row * SIZE + column] += bytes[4 * at] / 255 / FINE ** 2;
  }
  return image;
}

/** Draw strokes as lines with round ends. @param {CanvasRenderingContext2D} context @param {Point[][]} strokes
 *  @param {number} width of the pen @param {(point: Point) => Point} place */
export function trace(context, strokes, width, place) {
  Object.assign(context, { strokeStyle: "white", lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    for (const point of stroke) context.lineTo(...place(point));
    const [x, y] = place(stroke[stroke.length - 1]);
    context.lineTo(x + 0.01, y); // so that a dot shows too
    context.stroke();
  }
}

/** @type {CanvasRenderingContext2D | null} */
let context = null;

/** @param {Point[][]} strokes @param {{ scale: number, right: number, down: number }} placement */
function rendered(strokes, { scale, right, down }) {
  if (!context) {
    const canvas = Object.assign(document.createElement("canvas"), { width: SIZE * FINE, height: SIZE * FINE });
    context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  }
  context.fillStyle = "black";
  context.fillRect(0, 0, SIZE * FINE, SIZE * FINE);
  trace(context, strokes, PEN * FINE, ([x, y]) => [(scale * x + right) * FINE, (scale * y + down) * FINE]);
  return averaged(context.getImageData(0, 0, SIZE * FINE, SIZE * FINE).data);
}

/** The image of a drawing. @param {Point[][]} strokes */
export function centred(strokes) {
  if (!strokes.length) return new Float32Array(SIZE * SIZE);
  const placement = fitted(strokes.flat());
  const { x, y } = centreOfMass(rendered(strokes, placement));
  return rendered(strokes, {
    ...placement,
    right: placement.right + SIZE / 2 - x,
    down: placement.down + SIZE / 2 - y,
  });
}
