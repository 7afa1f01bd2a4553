// What all parts of the live lab share: the reader's digit, the two networks behind a worker, and small helpers.
// Classic scripts, no modules: a browser refuses those to a page that is opened from disk.
const lab = (() => {
  const SIZE = 28;
  const NAMES = { mnist: "ordinary", "mnist-robust": "robust" };

  /** A DOM element with attributes (on... are listeners) and children. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /** A framed map with a caption below it, in which a rectangle can be marked. */
  function picture(label, { small = false } = {}) {
    const canvas = element("canvas", { role: "img", "aria-label": label, width: SIZE, height: SIZE });
    const box = element("div", { class: "lab-box", hidden: true });
    const caption = element("figcaption", {}, label);
    const frame = element("div", { class: "lab-frame" }, canvas, box);
    const figure = element("figure", { class: small ? "lab-picture lab-small" : "lab-picture" }, frame, caption);
    return {
      figure,
      canvas,
      frame,
      show(values, options = {}, text = label) {
        lab.paint(canvas, values, options.width ?? SIZE, options.height ?? SIZE, options);
        caption.textContent = text;
        canvas.setAttribute("aria-label", options.spoken ?? text);
      },
      /** Mark rows top..top + height - 1 and the same of columns, in pixels of the image. */
      mark(top, left, height, width) {
        box.hidden = top === undefined;
        const percent = (value) => `${(100 * value) / SIZE}%`;
        Object.assign(box.style, { top: percent(top), left: percent(left), height: percent(height), width: percent(width) });
      },
    };
  }

  /** A slider with its label and its value beside it. */
  function slider(label, { min, max, step, value, text = String, change }) {
    const shown = element("output", {}, text(value));
    const input = element("input", { type: "range", min, max, step, value, "aria-label": label, "aria-valuetext": text(value) });
    input.addEventListener("input", () => {
      show(input.valueAsNumber);
      change(input.valueAsNumber);
    });
    const made = element("label", { class: "lab-slider" }, element("span", {}, label), input, shown);
    /** Move it without having it tell. */
    const show = (to) => {
      input.value = to;
      shown.textContent = text(to);
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    return { element: made, input, show };
  }

  /** A menu with its label. Choices are [value, text] pairs. */
  function menu(label, choices, change) {
    const options = choices.map(([value, text]) => element("option", { value }, text));
    const select = element("select", { onchange: () => change(select.value) }, ...options);
    const made = element("label", { class: "lab-menu" }, element("span", {}, label), select);
    return { element: made, select };
  }

  function probabilities(logits) {
    const largest = Math.max(...logits);
    const weights = [...logits].map((logit) => Math.exp(logit - largest));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  }

  function verdict(logits) {
    const shares = probabilities(logits);
    const digit = shares.indexOf(Math.max(...shares));
    return { digit, share: shares[digit], text: `${digit}, ${percent(shares[digit])}` };
  }

  /** As the book's figures round: never 100% for what is not certain. */
  function percent(share) {
    if (share > 0.999) return "> 99.9%";
    return share < 0.001 ? "< 0.1%" : `${(100 * share).toFixed(1)}%`;
  }

  // How long things took, in milliseconds, the last 200 of each kind.
  const timings = {};
  window.labTimings = timings;
  function took(what, milliseconds) {
    (timings[what] ??= []).push(milliseconds);
    if (timings[what].length > 200) timings[what].shift();
    lab.onTiming?.();
  }

  // The worker answers every question by its number. A question may be overtaken by a newer one of the same kind about
  // the same network; its answer is then null, and whoever asked has nothing to show.
  let worker;
  let asked = 0;
  const open = new Map();
  function ask(task, values, progress) {
    const id = ++asked;
    worker.postMessage({ id, task, ...values });
    return new Promise((resolve, reject) => open.set(id, { resolve, reject, progress }));
  }

  /** As `ask`, and note under this name how long the answer took. */
  async function timed(name, task, values, progress) {
    const start = performance.now();
    const answer = await ask(task, values, progress);
    if (answer) took(name, performance.now() - start);
    return answer;
  }

  function hear({ data: { id, result, partial, error } }) {
    const question = open.get(id);
    if (partial) return question?.progress?.(partial);
    open.delete(id);
    return error ? question?.reject(new Error(error)) : question?.resolve(result);
  }

  /** Start the worker with the runtime's own script in front of ours, both from memory. */
  function startWorker(runtime) {
    const source = new Blob([runtime, `\n(${labWorker})();`], { type: "text/javascript" });
    worker = new Worker(URL.createObjectURL(source));
    worker.onmessage = hear;
    worker.onerror = (event) => open.forEach(({ reject }) => reject(new Error(event.message)));
  }

  /** Logits and gradient (of the logits weighted so) for n images of 784 pixels; for tests and for the console. */
  const run = (network, images, weights) =>
    ask("run", { network, images: Float32Array.from(images), weights: Float32Array.from(weights) });

  return {
    SIZE, NAMES, networks: Object.keys(NAMES), views: [], facts: {}, kernels: {},
    digit: new Float32Array(SIZE * SIZE), latest: {},
    element, picture, slider, menu, probabilities, verdict, percent, took, timed, ask, run, startWorker, timings,
    /** Register a view: {name, title, build(panel), update(), live}. */
    view(made) { lab.views.push(made); },
  };
})();
window.lab = lab;
