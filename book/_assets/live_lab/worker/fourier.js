// Fourier transforms of images of any size, as torch.fft writes them: half of the frequencies say it all.

/** The transform of a line of n complex numbers, by the factors of n (Cooley and Tukey). */
class Line {
  /** @param {number} count */
  constructor(count) {
    this.count = count;
    this.factors = factors(count);
    this.cos = Float64Array.from({ length: count }, (_, at) => Math.cos((2 * Math.PI * at) / count));
    this.sin = Float64Array.from({ length: count }, (_, at) => Math.sin((2 * Math.PI * at) / count));
    this.real = new Float64Array(count);
    this.imaginary = new Float64Array(count);
    const most = Math.max(1, ...this.factors);
    this.partReal = new Float64Array(most);
    this.partImaginary = new Float64Array(most);
  }

  /** Sum over k of input[k] exp(sign 2 pi i j k / n), into `real` and `imaginary`.
   *  @param {Float64Array} real @param {Float64Array} imaginary @param {1 | -1} sign */
  run(real, imaginary, sign) {
    this.#part(real, imaginary, 0, 1, 0, this.count, 0, sign);
  }

  /** @param {Float64Array} real @param {Float64Array} imaginary @param {number} from @param {number} stride
   *  @param {number} to @param {number} count @param {number} depth @param {1 | -1} sign */
  #part(real, imaginary, from, stride, to, count, depth, sign) {
    const { real: outReal, imaginary: outImaginary, cos, sin, partReal, partImaginary } = this;
    if (count === 1) {
      [outReal[to], outImaginary[to]] = [real[from], imaginary[from]];
      return;
    }
    const radix = this.factors[depth];
    const size = count / radix;
    for (let nth = 0; nth < radix; nth++) {
      this.#part(real, imaginary, from + nth * stride, stride * radix, to + nth * size, size, depth + 1, sign);
    }
    for (let at = 0; at < size; at++) {
      for (let nth = 0; nth < radix; nth++) {
        const place = to + nth * size + at;
        const turn = nth * at * stride; // below the whole count
        const [c, s] = [cos[turn], sign * sin[turn]];
        partReal[nth] = outReal[place] * c - outImaginary[place] * s;
        partImaginary[nth] = outReal[place] * s + outImaginary[place] * c;
      }
      for (let out = 0; out < radix; out++) {
        let [sumReal, sumImaginary] = [0, 0];
        for (let nth = 0; nth < radix; nth++) {
          const turn = (((nth * out) % radix) * this.count) / radix;
          const [c, s] = [cos[turn], sign * sin[turn]];
          sumReal += partReal[nth] * c - partImaginary[nth] * s;
          sumImaginary += partReal[nth] * s + partImaginary[nth] * c;
        }
        outReal[to + out * size + at] = sumReal;
        outImaginary[to + out * size + at] = sumImaginary;
      }
    }
  }
}

/** @param {number} count */
function factors(count) {
  const found = [];
  for (let divisor = 2, left = count; left > 1; divisor++) {
    for (; left % divisor === 0; left /= divisor) found.push(divisor);
  }
  return found;
}

/** Transforms of images of one size, with the norm that makes them rotations. Amplitudes are pairs of a real and an
 *  imaginary part: `height` rows of width / 2 + 1. */
export class Fourier {
  /** @param {number} height @param {number} width */
  constructor(height, width) {
    this.height = height;
    this.width = width;
    this.half = Math.floor(width / 2) + 1;
    this.down = new Line(height);
    this.across = new Line(width);
    this.scale = 1 / Math.sqrt(height * width);
    this.real = new Float64Array(height * this.half);
    this.imaginary = new Float64Array(height * this.half);
  }

  /** The amplitudes of an image, as torch.fft.rfft2. @param {Float32Array} image @returns {Float32Array} */
  amplitudes(image) {
    const { height, width, half, across, scale } = this;
    const [real, nothing] = [new Float64Array(width), new Float64Array(width)];
    for (let row = 0; row < height; row++) {
      real.set(image.subarray(row * width, (row + 1) * width));
      across.run(real, nothing, -1);
      this.real.set(across.real.subarray(0, half), row * half);
      this.imaginary.set(across.imaginary.subarray(0, half), row * half);
    }
    this.#columns(-1);
    const found = new Float32Array(2 * height * half);
    for (let at = 0; at < height * half; at++) {
      found[2 * at] = scale * this.real[at];
      found[2 * at + 1] = scale * this.imaginary[at];
    }
    return found;
  }

  /** The image of these amplitudes, as torch.fft.irfft2. @param {Float32Array} amplitudes @returns {Float32Array} */
  image(amplitudes) {
    const { height, width, half, across, scale } = this;
    for (let at = 0; at < height * half; at++) {
      [this.real[at], this.imaginary[at]] = [amplitudes[2 * at], amplitudes[2 * at + 1]];
    }
    this.#columns(1);
    const [real, imaginary] = [new Float64Array(width), new Float64Array(width)];
    const found = new Float32Array(height * width);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < half; column++) {
        const own = column === 0 || 2 * column === width; // its own mirror image, which can only be real
        real[column] = this.real[row * half + column];
        imaginary[column] = own ? 0 : this.imaginary[row * half + column];
        if (own) continue;
        real[width - column] = real[column];
        imaginary[width - column] = -imaginary[column];
      }
      across.run(real, imaginary, 1);
      for (let column = 0; column < width; column++) found[row * width + column] = scale * across.real[column];
    }
    return found;
  }

  /** From the derivative with respect to the image, that with respect to its amplitudes.
   *  @param {Float32Array} gradient */
  backward(gradient) {
    const found = this.amplitudes(gradient);
    for (let at = 0; at < found.length / 2; at++) {
      const column = at % this.half;
      const twice = column === 0 || 2 * column === this.width ? 1 : 2; // most stand for two frequencies
      found[2 * at] *= twice;
      found[2 * at + 1] *= twice;
    }
    return found;
  }

  /** @param {1 | -1} sign */
  #columns(sign) {
    const { height, half, down } = this;
    const [real, imaginary] = [new Float64Array(height), new Float64Array(height)];
    for (let column = 0; column < half; column++) {
      for (let row = 0; row < height; row++) {
        real[row] = this.real[row * half + column];
        imaginary[row] = this.imaginary[row * half + column];
      }
      down.run(real, imaginary, sign);
      for (let row = 0; row < height; row++) {
        this.real[row * half + column] = down.real[row];
        this.imaginary[row * half + column] = down.imaginary[row];
      }
    }
  }
}
