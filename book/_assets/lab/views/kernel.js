// A 3 x 3 kernel that the reader edits, sliding over the digit: nine products, one sum, one pixel of the output.
(() => {
  const { element, slider, menu, NAMES, networks, SIZE } = lab;
  const PRESETS = {
    "edges: left to right": [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    "edges: top to bottom": [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    "outline": [-1, -1, -1, -1, 8, -1, -1, -1, -1],
    "blur": [0.11, 0.11, 0.11, 0.11, 0.12, 0.11, 0.11, 0.11, 0.11],
    "shift to the right": [0, 0, 0, 1, 0, 0, 0, 0, 0],
    "nothing": [0, 0, 0, 0, 1, 0, 0, 0, 0],
  };
  let kernel = PRESETS["edges: left to right"].slice();
  let place = 0; // which output pixel, in reading order
  let timer = null;
  const inputs = [];
  const products = [];
  const from = lab.picture("your digit");
  const to = lab.picture("the output so far");
  const sum = element("output", { class: "lab-words" });
  let preset, position, play, relu;

  function build(panel) {
    const own = networks.flatMap((name) =>
      Array.from({ length: 32 }, (_, at) => [`${name} ${at}`, `${NAMES[name]} network, filter ${at + 1}`]));
    preset = menu("kernel", [...Object.keys(PRESETS).map((name) => [name, name]), ["own", "your own"], ...own], choose);
    const cells = kernel.map((value, at) => {
      inputs[at] = element("input", { type: "number", step: 0.1, value, "aria-label": `weight in row ${Math.floor(at / 3) + 1}, column ${(at % 3) + 1}`,
        oninput: () => edit(at) });
      return inputs[at];
    });
    for (let at = 0; at < 9; at++) products[at] = element("span", {});
    position = slider("position", { min: 0, max: SIZE * SIZE - 1, step: 1, value: 0,
      text: (at) => `row ${Math.floor(at / SIZE) + 1}, column ${(at % SIZE) + 1}`, change: (at) => { stop(); move(at); } });
    play = element("button", { type: "button", onclick: () => (timer ? stop() : start()) }, "Slide");
    relu = element("input", { type: "checkbox", onchange: () => draw() });
    panel.append(
      element("div", { class: "lab-controls" }, preset.element,
        element("label", { class: "lab-check" }, relu, element("span", {}, "cut off below zero (ReLU)"))),
      element("div", { class: "lab-pictures lab-sliding" }, from.figure,
        element("div", { class: "lab-kernel" },
          element("p", { class: "lab-label" }, "kernel: edit me"), element("div", { class: "lab-nine", role: "group", "aria-label": "kernel" }, ...cells),
          element("p", { class: "lab-label" }, "pixel × weight"), element("div", { class: "lab-nine lab-products" }, ...products)),
        to.figure),
      sum, element("div", { class: "lab-controls" }, play, position.element),
      lab.scale("signed", "negative", "positive", "the output's scale is below it"));
  }

  function choose(name) {
    if (name in PRESETS) kernel = PRESETS[name].slice();
    else if (name !== "own") {
      const [network, at] = name.split(" ");
      kernel = [...lab.kernels[network].slice(9 * at, 9 * at + 9)].map((weight) => Number(weight.toFixed(2)));
    }
    inputs.forEach((input, at) => { input.value = kernel[at]; });
    draw();
  }

  function edit(at) {
    kernel[at] = inputs[at].valueAsNumber || 0;
    preset.select.value = "own";
    draw();
  }

  /** The nine pixels under the kernel at an output pixel; 0 outside the image. */
  function under(at) {
    const [row, column] = [Math.floor(at / SIZE), at % SIZE];
    return [-1, 0, 1].flatMap((down) => [-1, 0, 1].map((right) => {
      const [y, x] = [row + down, column + right];
      return y >= 0 && y < SIZE && x >= 0 && x < SIZE ? lab.digit[y * SIZE + x] : 0;
    }));
  }

  const digits = (value) => value.toFixed(2).replace(/^-0.00$/, "0.00");
  const weighted = (at) => under(at).reduce((total, pixel, nth) => total + pixel * kernel[nth], 0);

  function draw() {
    const [done, cut] = [place, relu.checked];
    const values = Float32Array.from({ length: SIZE * SIZE }, (_, at) => (cut ? Math.max(weighted(at), 0) : weighted(at)));
    const limit = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
    from.show(lab.digit, {}, "your digit");
    to.show(values.map((value, at) => (timer && at > done ? NaN : value)), { kind: "signed", limit }, `output, ± ${limit.toPrecision(2)}`);
    move(place);
  }

  function move(at) {
    place = at;
    const [row, column] = [Math.floor(at / SIZE), at % SIZE];
    position.show(at);
    from.mark(row - 1, column - 1, 3, 3);
    to.mark(row, column, 1, 1);
    under(at).forEach((pixel, nth) => { products[nth].textContent = digits(pixel * kernel[nth]); });
    sum.textContent = `Sum of the nine products, the output in row ${row + 1}, column ${column + 1}: ${digits(weighted(at))}`;
  }

  function start() {
    if (place >= SIZE * SIZE - 1) place = 0;
    play.textContent = "Stop";
    timer = setInterval(() => {
      if (place >= SIZE * SIZE - 1 || lab.shown !== "kernel") return stop();
      place++;
      draw();
    }, 30);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Slide";
    draw();
  }

  lab.view({ name: "kernel", title: "Slide a kernel", build, update: () => {
    if (!place) place = brightest();
    draw();
  }, live: true });

  /** Somewhere on the digit, to begin with. */
  function brightest() {
    return lab.digit.indexOf(Math.max(...lab.digit));
  }
})();
