// From strokes to the 28 x 28 pixels that the network knows: as in MNIST, the drawing is scaled to fit a box of 20 x 20
// pixels and its centre of mass is moved to the middle. The pen is always as thick as MNIST's, however large one draws.
(() => {
  const { SIZE } = lab;
  const BOX = 20;
  const PEN = 2.6; // pixels of the 28
  const FINE = 8; // drawn so many times larger, then averaged
  const DOT = 0.12; // smaller drawings are not blown up further
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE * FINE;
  const context = canvas.getContext("2d", { willReadFrequently: true });

  /** Draw strokes (lists of [x, y] in 0..1) so that x goes to scale * x + right, in pixels of the 28. */
  function rendered(strokes, scale, right, down) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "black";
    context.fillRect(0, 0, canvas.width, canvas.height);
    Object.assign(context, { strokeStyle: "white", lineWidth: PEN * FINE, lineCap: "round", lineJoin: "round" });
    for (const stroke of strokes) {
      const [x, y] = stroke.at(-1);
      context.beginPath();
      for (const [x, y] of stroke) context.lineTo((scale * x + right) * FINE, (scale * y + down) * FINE);
      context.lineTo((scale * x + right) * FINE + 0.01, (scale * y + down) * FINE); // so that a dot shows too
      context.stroke();
    }
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const image = new Float32Array(SIZE * SIZE);
    for (let at = 0; at < data.length / 4; at++) {
      const [row, column] = [Math.floor(at / canvas.width / FINE), Math.floor((at % canvas.width) / FINE)];
      image[row * SIZE + column] += data[4 * at] / 255 / FINE ** 2;
    }
    return image;
  }

  /** The image, and whether anything is on it. */
  lab.centred = (strokes) => {
    const points = strokes.flat();
    if (!points.length) return new Float32Array(SIZE * SIZE);
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const scale = (BOX - PEN) / Math.max(right - left, bottom - top, DOT);
    const across = SIZE / 2 - (scale * (left + right)) / 2;
    const down = SIZE / 2 - (scale * (top + bottom)) / 2;
    const image = rendered(strokes, scale, across, down);
    let [mass, x, y] = [0, 0, 0];
    image.forEach((ink, at) => {
      mass += ink;
      x += ink * ((at % SIZE) + 0.5);
      y += ink * (Math.floor(at / SIZE) + 0.5);
    });
    return rendered(strokes, scale, across + SIZE / 2 - x / mass, down + SIZE / 2 - y / mass);
  };
})();
