// A 3 x 3 kernel that the reader edits, sliding over the digit: nine products, one sum, one pixel of the output. An
// edited kernel can take the place of one of a network's own filters, and every view then shows that network.
import { under, weighted } from "../convolution.js";
import { element, menu, slider } from "../dom.js";
import { best, extent } from "../numbers.js";
import { numbers, word } from "../settings.js";

/** @import {NetworkFacts, View} from "../types.js" */

/** The signs are those of chapter 1: ink at the left of the window counts for a vertical edge, ink at its right against.
 *  @type {Record<string, number[]>} */
const PRESETS = {
  "vertical edges": [1, 0, -1, 1, 0, -1, 1, 0, -1],
  "horizontal edges": [1, 1, 1, 0, 0, 0, -1, -1, -1],
  outline: [-1, -1, -1, -1, 8, -1, -1, -1, -1],
  blur: [0.11, 0.11, 0.11, 0.11, 0.12, 0.11, 0.11, 0.11, 0.11],
  "shift to the right": [0, 0, 0, 1, 0, 0, 0, 0, 0],
  "the image itself": [0, 0, 0, 0, 1, 0, 0, 0, 0],
};
const PACE = 30; // milliseconds a pixel

/** How many filters of the network's first layer can be edited here. @param {NetworkFacts} facts */
const editable = ({ kernels }) => (String(kernels?.size) === "3,3" ? (kernels?.count ?? 0) : 0);

/** @type {View} */
export const kernel = {
  name: "kernel",
  title: "Slide a kernel",
  settings: {
    kernel: numbers(PRESETS["vertical edges"]),
    filter: word(),
  },

  build(bench, settings) {
    const { engine, painter, size } = bench;
    const pixels = size.width * size.height;
    const last = pixels - 1;
    let place = -1; // which output pixel, in reading order; none yet
    /** @type {ReturnType<typeof setInterval> | undefined} */
    let timer;
    const from = painter.picture("your digit", size);
    const to = painter.picture("the output so far", size);
    const sum = element("output", { class: "lab-words" });
    const status = element("output", { class: "lab-words" });
    const products = Array.from({ length: 9 }, () => element("span"));
    const inputs = Array.from({ length: 9 }, (_, at) =>
      element("input", {
        type: "number",
        step: 0.1,
        "aria-label": `weight in row ${Math.floor(at / 3)}, column ${at % 3}`,
        oninput: edit,
      }),
    );
    const filters = bench.names.flatMap((name) =>
      Array.from(
        { length: editable(bench.facts(name)) },
        (_, at) => /** @type {[string, string]} */ ([`${name}.${at}`, `${bench.heading(name)}, filter ${at}`]),
      ),
    );
    const presets = Object.keys(PRESETS).map((name) => /** @type {[string, string]} */ ([name, name]));
    const preset = menu("kernel", [...presets, ["own", "your own"]], (name) => {
      if (name in PRESETS) setKernel(PRESETS[name]);
    });
    const filter = menu("filter of a network", filters, (name) => {
      settings.set("filter", name);
      say();
    });
    const put = element(
      "button",
      { type: "button", onclick: () => patch(settings.get("kernel")) },
      "Put this kernel into it",
    );
    const restore = element("button", { type: "button", onclick: () => patch(null) }, "Restore its own weights");
    const copy = element("button", { type: "button", onclick: readFilter }, "Show its weights");
    const relu = element("input", { type: "checkbox", onchange: draw });
    const play = element(
      "button",
      { type: "button", onclick: () => (timer === undefined ? slide() : stop()) },
      "Slide",
    );
    const position = slider("position", {
      min: 0,
      max: last,
      step: 1,
      change: (at) => {
        stop();
        move(at);
      },
      text: (at) => `row ${Math.floor(at / size.width)}, column ${at % size.width}`,
    });
    settings.show("kernel", showKernel);
    settings.show("filter", () => filter.show(chosen().key));

    /** @param {number[]} values */
    function showKernel(values) {
      inputs.forEach((input, at) => {
        input.value = String(values[at]);
      });
      const known = Object.keys(PRESETS).find((name) => String(PRESETS[name]) === String(values));
      preset.show(known ?? "own");
    }

    /** @param {number[]} values */
    function setKernel(values) {
      settings.set("kernel", [...values]);
      showKernel(values);
      draw();
    }

    function edit() {
      const values = inputs.map((input) => input.valueAsNumber || 0);
      settings.set("kernel", values);
      preset.show(Object.keys(PRESETS).find((name) => String(PRESETS[name]) === String(values)) ?? "own");
      draw();
    }

    function chosen() {
      const known = filters.map(([key]) => key);
      const key = known.includes(settings.get("filter")) ? settings.get("filter") : (known[0] ?? "");
      const [network, at] = key.split(".");
      return { key, network, at: Number(at), name: network && `filter ${at} of ${bench.facts(network).title}` };
    }

    /** Show the weights of the chosen filter, as the network has them now. */
    function readFilter() {
      const { network, at } = chosen();
      setKernel([...engine.kernels[network].slice(9 * at, 9 * at + 9)].map((weight) => Number(weight.toFixed(2))));
      say();
    }

    function say() {
      const { network, at, name } = chosen();
      if (!network) return;
      const changed = engine.patched(network).includes(at);
      restore.disabled = !changed;
      status.textContent = changed
        ? `Your kernel is now ${name}: every view shows what that network makes of your digit.`
        : "";
    }

    /** @param {number[] | null} weights */
    async function patch(weights) {
      const { network, at } = chosen();
      try {
        await engine.patch(network, at, weights);
        if (!weights) readFilter();
        say();
      } catch (error) {
        bench.failed(error);
      }
    }

    const digits = (/** @type {number} */ value) => value.toFixed(2).replace(/^-0.00$/, "0.00");
    const output = (/** @type {number} */ at) => weighted(bench.digit, size.width, settings.get("kernel"), at);

    function draw() {
      const values = Float32Array.from({ length: pixels }, (_, at) =>
        relu.checked ? Math.max(output(at), 0) : output(at),
      );
      const limit = extent(values);
      from.show(bench.digit, "your digit");
      const sofar = timer === undefined ? values : values.map((value, at) => (at > place ? NaN : value));
      to.show(sofar, `output, ± ${limit.toPrecision(2)}`, { kind: "signed", limit });
      move(place);
    }

    /** @param {number} at */
    function move(at) {
      place = at;
      const [row, column] = [Math.floor(at / size.width), at % size.width];
      position.show(at);
      from.mark(row - 1, column - 1, 3, 3);
      to.mark(row, column, 1, 1);
      under(bench.digit, size.width, at).forEach((pixel, nth) => {
        products[nth].textContent = digits(pixel * settings.get("kernel")[nth]);
      });
      const found = output(at);
      const where = `in row ${row}, column ${column}: `;
      sum.textContent = relu.checked
        ? `Sum of the nine products ${where}${digits(found)}; the output, cut off below zero: ${digits(Math.max(found, 0))}`
        : `Sum of the nine products, the output ${where}${digits(found)}`;
    }

    function slide() {
      if (place >= last) place = 0;
      play.textContent = "Stop";
      sum.setAttribute("aria-live", "off"); // nobody can listen to so many
      timer = setInterval(() => {
        if (place >= last) return stop();
        place += 1;
        draw();
      }, PACE);
    }

    function stop() {
      clearInterval(timer);
      timer = undefined;
      play.textContent = "Slide";
      sum.setAttribute("aria-live", "polite");
      draw();
    }

    return {
      content: [
        element(
          "div",
          { class: "lab-controls" },
          preset.element,
          element("label", { class: "lab-check" }, relu, element("span", {}, "cut off below zero (ReLU)")),
        ),
        element(
          "div",
          { class: "lab-pictures lab-sliding" },
          from.figure,
          element(
            "div",
            { class: "lab-kernel" },
            element("p", { class: "lab-label" }, "kernel: edit me"),
            element("div", { class: "lab-nine", role: "group", "aria-label": "weights of the kernel" }, ...inputs),
            element("p", { class: "lab-label" }, "pixel × weight"),
            element("div", { class: "lab-nine lab-products" }, ...products),
          ),
          to.figure,
        ),
        sum,
        element("div", { class: "lab-controls" }, play, position.element),
        painter.scale("signed", "negative", "positive", "the output's scale is below it"),
        ...(filters.length
          ? [
              element("h3", {}, "Into the network"),
              element("div", { class: "lab-controls" }, filter.element, copy, put, restore),
              status,
            ]
          : []),
      ],
      live: true,
      hide: () => {
        if (timer !== undefined) stop();
      },
      update() {
        if (place < 0) place = best(bench.digit); // somewhere on the digit, to begin with
        say();
        draw();
      },
    };
  },
};
