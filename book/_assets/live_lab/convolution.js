// A 3 x 3 kernel on an image with a border of zeros, as in chapter 1.

/** @import {Numbers} from "./numbers.js" */

/** The nine pixels under the kernel at an output pixel, counted in reading order; 0 outside the image.
 *  @param {Numbers} image @param {number} width @param {number} at */
export function under(image, width, at) {
  const height = image.length / width;
  const [row, column] = [Math.floor(at / width), at % width];
  return [-1, 0, 1].flatMap((down) =>
    [-1, 0, 1].map((right) => {
      const [y, x] = [row + down, column + right];
      return y >= 0 && y < height && x >= 0 && x < width ? image[y * width + x] : 0;
    }),
  );
}

/** One pixel of the output: the sum of nine products. @param {Numbers} image @param {number} width
 *  @param {Numbers} kernel @param {number} at */
export function weighted(image, width, kernel, at) {
  return under(image, width, at).reduce((total, pixel, nth) => total + pixel * kernel[nth], 0);
}
