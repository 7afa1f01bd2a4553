// All the computing, beside the page, so that the page never waits. The function below is turned into text and runs as a
// worker, behind onnxruntime-web in the same script; it sees nothing of the page.
function labWorker() {
  const PIXELS = 784;
  const SIZE = 28;
  const CLASSES = 10;
  const sessions = {};
  const newest = {}; // the number of the last question of each kind about each network

  const inflate = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };

  // Lets a newer question in between two steps of a long answer.
  const breathe = () => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => { port1.close(); resolve(); };
    port2.postMessage(0);
  });

  let turn = Promise.resolve(); // one run at a time
  function execute(session, inputs, outputs) {
    const result = turn.then(() => session.run(inputs, outputs));
    turn = result.catch(() => {});
    return result;
  }

  const batch = (images) => new ort.Tensor("float32", images, [images.length / PIXELS, 1, SIZE, SIZE]);

  async function forward(network, images, outputs = ["logits"]) {
    const result = await execute(sessions[network].forward, { images: batch(images) }, outputs);
    return Object.fromEntries(outputs.map((name) => [name, result[name].data]));
  }

  /** Logits, and the gradient of sum(weights * logits) with respect to the images. */
  async function backward(network, images, weights) {
    const inputs = { images: batch(images), weights: new ort.Tensor("float32", weights, [weights.length / CLASSES, CLASSES]) };
    const result = await execute(sessions[network].gradient, inputs);
    return { logits: result.logits.data, gradient: result.gradient.data };
  }

  /** Weights that pick out one class for each of n images. */
  function oneHot(digit, n = 1) {
    const weights = new Float32Array(CLASSES * n);
    for (let image = 0; image < n; image++) weights[CLASSES * image + digit] = 1;
    return weights;
  }

  /** The derivative of the log-odds against a class, with respect to the logits: what attacks climb (chapter 15). */
  function oddsAgainst(logits, digit) {
    const largest = Math.max(...logits.filter((_, at) => at !== digit));
    const others = Float32Array.from(logits, (logit, at) => (at === digit ? 0 : Math.exp(logit - largest)));
    const sum = others.reduce((total, value) => total + value, 0);
    return others.map((value, at) => (at === digit ? -1 : value / sum));
  }

  const clip = (value) => Math.min(Math.max(value, 0), 1);
  const best = (logits) => logits.indexOf(Math.max(...logits));

  /** Numbers between 0 and 1, the same ones for the same seed. */
  function random(seed) {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  /** Normal numbers, by Box and Muller. */
  function normal(seed) {
    const uniform = random(seed);
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  /** How much of the weights is in a safetensors file, by name: here only the kernels of the first layer. */
  function readKernels(file) {
    const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
    const [start, end] = header["conv1.weight"].data_offsets;
    return new Float32Array(file.slice(8 + length + start, 8 + length + end).buffer);
  }

  const tasks = {
    async load({ files, networks }) {
      const wasm = await inflate(files["ort-wasm-simd-threaded.wasm"]);
      const glue = await inflate(files["ort-wasm-simd-threaded.mjs"]);
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmBinary = wasm;
      ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([glue], { type: "text/javascript" })) };
      const kernels = {};
      for (const name of networks) {
        const data = await inflate(files[`${name}.safetensors`]);
        const options = { externalData: [{ path: `${name}.safetensors`, data }] };
        const create = async (file) => ort.InferenceSession.create(await inflate(files[file]), options);
        sessions[name] = { forward: await create(`${name}.onnx`), gradient: await create(`${name}-gradient.onnx`) };
        kernels[name] = readKernels(data);
        await backward(name, new Float32Array(PIXELS), oneHot(0)); // the first run is slow: have it behind us
      }
      return { kernels };
    },

    run: ({ network, images, weights }) => backward(network, images, weights),

    predict: ({ network, image }) => forward(network, image),

    /** The activations of both convolutions. */
    look: ({ network, image }) => forward(network, image, ["relu1", "relu2"]),

    saliency: ({ network, image, digit }) => backward(network, image, oneHot(digit)),

    /** The mean gradient over noisy copies, all of them in one batch (chapter 9). */
    async smoothgrad({ network, image, digit, noise, samples }) {
      const draw = normal(0);
      const copies = new Float32Array(samples * PIXELS).map((_, at) => image[at % PIXELS] + noise * draw());
      const { gradient } = await backward(network, copies, oneHot(digit, samples));
      const mean = new Float32Array(PIXELS);
      gradient.forEach((value, at) => { mean[at % PIXELS] += value / samples; });
      return { gradient: mean };
    },

    /** The logits with a grey window at every position, two rows of positions at a time (chapter 8). */
    async occlusion({ network, image, window }, { outdated, tell }) {
      const across = SIZE - window + 1;
      const logits = new Float32Array(across * across * CLASSES);
      for (let top = 0; top < across; top += 2) {
        const rows = Math.min(2, across - top);
        const covered = new Float32Array(rows * across * PIXELS);
        for (let at = 0; at < rows * across; at++) {
          covered.set(image, at * PIXELS);
          const corner = at * PIXELS + (top + Math.floor(at / across)) * SIZE + (at % across);
          for (let row = 0; row < window; row++) covered.fill(0.5, corner + row * SIZE, corner + row * SIZE + window);
        }
        logits.set((await forward(network, covered)).logits, top * across * CLASSES);
        await breathe();
        if (outdated()) return null;
        tell({ share: (top + rows) / across });
      }
      return { logits, across };
    },

    /** One step of FGSM away from what the network sees, or many small ones towards a digit (chapters 15 and 16). */
    async attack({ network, image, eps, target, steps }, { outdated }) {
      const before = (await forward(network, image)).logits;
      const towards = target !== null;
      const digit = towards ? target : best(before);
      const count = towards ? steps : 1;
      const size = (towards ? -2.5 / steps : 1) * eps;
      let pushed = image.slice();
      let { logits } = { logits: before };
      for (let step = 0; step < count; step++) {
        const { gradient } = await backward(network, pushed, oddsAgainst(logits, digit));
        pushed = pushed.map((value, at) => {
          const moved = value + size * Math.sign(gradient[at]);
          return clip(Math.min(Math.max(moved, image[at] - eps), image[at] + eps));
        });
        logits = (await forward(network, pushed)).logits;
        if (towards) await breathe();
        if (outdated()) return null;
      }
      return { image: pushed, before, logits };
    },

    /** Climb a class's logit from noise; each step tells the image so far. Averaged over four shifts, and blurred a
     *  little, or the grid of the pooling layer shows. */
    async ideal({ network, digit, steps }, { outdated, tell }) {
      const uniform = random(1);
      let image = new Float32Array(PIXELS).map(uniform);
      for (let step = 0; step <= steps; step++) {
        tell({ step, image, logits: (await forward(network, image)).logits });
        const shifted = new Float32Array(4 * PIXELS);
        const source = (shift, at) => {
          const row = (Math.floor(at / SIZE) + (shift >> 1)) % SIZE;
          return row * SIZE + ((at % SIZE) + (shift & 1)) % SIZE;
        };
        for (let at = 0; at < 4 * PIXELS; at++) shifted[at] = image[source(Math.floor(at / PIXELS), at % PIXELS)];
        const { gradient } = await backward(network, shifted, oneHot(digit, 4));
        const mean = new Float32Array(PIXELS);
        gradient.forEach((value, at) => { mean[source(Math.floor(at / PIXELS), at % PIXELS)] += value; });
        const length = Math.hypot(...mean) || 1;
        image = blurred(image.map((value, at) => 0.97 * value + mean[at] / length)).map(clip);
        await breathe();
        if (outdated()) return null;
      }
      return { image };
    },
  };

  /** A fifth of each pixel spread over its neighbours. */
  function blurred(image) {
    const at = (row, column) =>
      image[Math.min(Math.max(row, 0), SIZE - 1) * SIZE + Math.min(Math.max(column, 0), SIZE - 1)];
    return image.map((value, place) => {
      const [row, column] = [Math.floor(place / SIZE), place % SIZE];
      let sum = 0;
      for (const down of [-1, 0, 1]) {
        for (const right of [-1, 0, 1]) sum += ((2 - Math.abs(down)) * (2 - Math.abs(right)) * at(row + down, column + right)) / 16;
      }
      return 0.8 * value + 0.2 * sum;
    });
  }

  onmessage = async ({ data }) => {
    const { id, task, network } = data;
    const kind = `${task} ${network}`;
    newest[kind] = id;
    const outdated = () => newest[kind] !== id;
    try {
      const result = await tasks[task](data, { outdated, tell: (partial) => postMessage({ id, partial }) });
      postMessage({ id, result });
    } catch (error) {
      postMessage({ id, error: String(error?.message ?? error) });
    }
  };
}
