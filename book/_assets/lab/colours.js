// Numbers to colours: the same maps as in the book's figures (grey, viridis, and red to blue with white at zero).
(() => {
  const table = (stops) => stops.split(" ").map((stop) => [0, 2, 4].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const tables = {
    grey: table("000000 ffffff"),
    heat: table(
      "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
    ),
    signed: table(
      "053061 175290 2a71b2 3f8ec0 6bacd1 9bc9e0 c2ddec e0ecf3 ffffff fbe5d8 fbccb4 f5aa89 e48066 d05548 ba2832 930e26 67001f",
    ),
  };

  /** 256 colours, each as one number the way ImageData keeps it in memory (alpha, blue, green, red). */
  function shades(stops) {
    return Uint32Array.from({ length: 256 }, (_, at) => {
      const place = (at / 255) * (stops.length - 1);
      const below = Math.min(Math.floor(place), stops.length - 2);
      const [red, green, blue] = stops[below].map((start, channel) =>
        Math.round(start + (place - below) * (stops[below + 1][channel] - start)));
      return (255 << 24) | (blue << 16) | (green << 8) | red;
    });
  }
  const palettes = Object.fromEntries(Object.entries(tables).map(([kind, stops]) => [kind, shades(stops)]));

  /** Paint rows of numbers onto a canvas, a pixel each; NaN stays clear. Signed maps run from -limit to limit, others
   *  from 0 to limit. */
  function paint(canvas, values, width, height, { kind = "grey", limit = 1 } = {}) {
    const palette = palettes[kind];
    const [scale, middle] = kind === "signed" ? [127.5 / limit, 127.5] : [255 / limit, 0];
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let at = 0; at < pixels.length; at++) {
      const place = middle + scale * values[at];
      if (place === place) pixels[at] = palette[Math.max(0, Math.min(255, Math.round(place)))];
    }
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  /** A legend: the colours from one end to the other, with what the ends stand for. */
  function scale(kind, low, high, name) {
    const stops = tables[kind].map((stop) => `rgb(${stop})`).join(", ");
    const bar = lab.element("span", { class: "lab-scale-bar", style: `background: linear-gradient(90deg, ${stops})` });
    return lab.element("p", { class: "lab-scale" }, lab.element("span", {}, low), bar, lab.element("span", {}, high), name);
  }

  Object.assign(lab, { paint, scale });
})();
