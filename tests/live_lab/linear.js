// A network that computes nothing but logits = W x, so that every answer is known.

/** @param {number[][]} rows of W, one a class @param {[number, number, number]} shape */
export function linear(rows, shape) {
  const pixels = shape[0] * shape[1] * shape[2];
  const classes = rows.length;
  /** @param {Float32Array} images */
  const logits = async (images) => {
    const found = new Float32Array((images.length / pixels) * classes);
    found.forEach((_, at) => {
      const [image, digit] = [Math.floor(at / classes), at % classes];
      for (let pixel = 0; pixel < pixels; pixel++) found[at] += rows[digit][pixel] * images[image * pixels + pixel];
    });
    return found;
  };
  return {
    shape,
    pixels,
    classes,
    logits,
    /** @param {Float32Array} images @param {string[]} names */
    outputs: async (images, names) => Object.fromEntries(names.map((name) => [name, images])),
    /** @param {Float32Array} images @param {Float32Array} weights */
    backward: async (images, weights) => ({
      logits: await logits(images),
      gradient: Float32Array.from(images, (_, at) => {
        const [image, pixel] = [Math.floor(at / pixels), at % pixels];
        return rows.reduce((sum, row, digit) => sum + weights[image * classes + digit] * row[pixel], 0);
      }),
    }),
  };
}

/** A turn that goes on `most` times and keeps what it is told. @param {number} most */
export function turn(most = Infinity) {
  /** @type {any[]} */
  const told = [];
  return { told, tell: (/** @type {object} */ part) => void told.push(part), pause: async () => most-- > 0 };
}
