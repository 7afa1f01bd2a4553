// Part of a picture in another size, as Pillow does it with its bicubic filter (and labkit.data.picture with Pillow), so
// that the network sees the same pixels in the page as in Python: enlarged smoothly, made smaller without aliasing.

/** @typedef {{ width: number, height: number, data: Uint8ClampedArray }} Pixels four bytes each: red, green, blue, alpha */
/** @typedef {{ left: number, top: number, width: number, height: number }} Box in whole pixels */

const A = -0.5; // of the bicubic filter

/** @param {number} x */
function bicubic(x) {
  const distance = Math.abs(x);
  if (distance < 1) return ((A + 2) * distance - (A + 3)) * distance * distance + 1;
  return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * A : 0;
}

/** For each new pixel of a line, where in the old one it begins and with what weights.
 *  @param {number} size @param {number} wanted */
function mixing(size, wanted) {
  const scale = size / wanted;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: wanted }, (_, at) => {
    const centre = (at + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - 2 * stretch + 0.5));
    const last = Math.min(size, Math.trunc(centre + 2 * stretch + 0.5));
    const weights = Array.from({ length: last - first }, (__, nth) => bicubic((first + nth - centre + 0.5) / stretch));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: Float64Array.from(weights, (weight) => weight / sum) };
  });
}

/** Red, green and blue of a box of the picture, in its new size: the rows of each colour one after the other, in [0, 1].
 *  @param {Pixels} picture @param {Box} box @param {number} width @param {number} height */
export function resized({ data, width: whole }, box, width, height) {
  const [across, down] = [mixing(box.width, width), mixing(box.height, height)];
  const lines = new Uint8ClampedArray(3 * box.height * width); // rounded in between, as Pillow does
  for (let row = 0; row < box.height; row++) {
    const start = 4 * ((box.top + row) * whole + box.left);
    for (let column = 0; column < width; column++) {
      const { first, weights } = across[column];
      let [red, green, blue] = [0, 0, 0];
      for (let nth = 0, at = start + 4 * first; nth < weights.length; nth++, at += 4) {
        red += weights[nth] * data[at];
        green += weights[nth] * data[at + 1];
        blue += weights[nth] * data[at + 2];
      }
      const place = 3 * (row * width + column);
      lines[place] = red; // rounded by the array
      lines[place + 1] = green;
      lines[place + 2] = blue;
    }
  }
  const found = new Uint8ClampedArray(3 * height * width);
  for (let row = 0; row < height; row++) {
    const { first, weights } = down[row];
    for (let column = 0; column < width; column++) {
      for (let colour = 0; colour < 3; colour++) {
        let sum = 0;
        for (let nth = 0, at = 3 * (first * width + column) + colour; nth < weights.length; nth++, at += 3 * width) {
          sum += weights[nth] * lines[at];
        }
        found[(colour * height + row) * width + column] = sum;
      }
    }
  }
  return Float32Array.from(found, (value) => value / 255);
}

/** The largest square in the middle. @param {{ width: number, height: number }} picture @returns {Box} */
export function centralSquare({ width, height }) {
  const side = Math.min(width, height);
  return { left: Math.floor((width - side) / 2), top: Math.floor((height - side) / 2), width: side, height: side };
}
