// A grey window at every position: how far ahead the digit still is. Point at the map to see the covered digit.
(() => {
  const { element, slider, NAMES, networks, SIZE } = lab;
  let size = 6;
  const results = {};
  const rows = {};
  let place = null; // [row, column] of the window's corner

  function build(panel) {
    const window = slider("window", { min: 3, max: 12, step: 1, value: size, text: (v) => `${v} × ${v}`,
      change: (value) => { size = value; place = null; update(); } });
    panel.append(element("div", { class: "lab-controls" }, window.element));
    for (const name of networks) {
      const row = { map: lab.picture("lead"), covered: lab.picture("covered"), words: element("output", { class: "lab-words" }) };
      rows[name] = row;
      const { canvas } = row.map;
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "application");
      for (const kind of ["pointermove", "pointerdown"]) canvas.addEventListener(kind, point);
      canvas.addEventListener("keydown", walk);
      panel.append(
        element("h4", { class: `lab-heading lab-${NAMES[name]}` }, `${NAMES[name]} network`),
        element("div", { class: "lab-pictures" }, row.map.figure, row.covered.figure, row.words));
    }
    panel.append(lab.scale("heat", "0", "its most", "lead in logits with the window centred here; at 0 another digit takes over"));
  }

  const last = () => SIZE - size;
  const inside = (value) => Math.min(Math.max(value, 0), last());

  function point(event) {
    const { left, top, width, height } = event.target.getBoundingClientRect();
    const corner = (share) => inside(Math.floor(share * SIZE) - (size >> 1));
    cover([corner((event.clientY - top) / height), corner((event.clientX - left) / width)]);
  }

  function walk(event) {
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [down, right] = moves[event.key];
    const [row, column] = place ?? [last() >> 1, last() >> 1];
    cover([inside(row + down), inside(column + right)]);
  }

  /** Show the digit with the window there, and what each network makes of it. */
  function cover(to) {
    place = to;
    const [row, column] = place;
    const image = lab.digit.slice();
    for (let down = 0; down < size; down++) image.fill(0.5, (row + down) * SIZE + column, (row + down) * SIZE + column + size);
    for (const network of networks) {
      const { result } = results[network] ?? {};
      if (!result) continue;
      const at = (row * result.across + column) * 10;
      const { text } = lab.verdict(result.logits.slice(at, at + 10));
      rows[network].covered.show(image, {}, text);
      rows[network].map.mark(row, column, size, size);
      rows[network].words.textContent = `Window at row ${row + 1}, column ${column + 1}: ${text}.`;
    }
  }

  async function update() {
    for (const network of networks) {
      const [row, image, window] = [rows[network], lab.digit, size];
      const { digit } = lab.verdict(lab.latest[network].logits);
      const progress = ({ share }) => { row.words.textContent = `${Math.round(100 * share)}% of the positions`; };
      const result = await lab.timed("occlusion map", "occlusion", { network, image, window }, progress);
      if (!result) return;
      results[network] = { result, digit };
      draw(network);
    }
    if (!place) cover(lowest());
    else cover(place.map(inside));
  }

  /** How far the digit's logit is above the largest other one, for each position. */
  function leads(network) {
    const { result, digit } = results[network];
    return Array.from({ length: result.across ** 2 }, (_, at) => {
      const logits = result.logits.subarray(10 * at, 10 * at + 10);
      return logits[digit] - Math.max(...logits.filter((_, other) => other !== digit));
    });
  }

  /** Where the ordinary network is hurt most. */
  function lowest() {
    const { across } = results[networks[0]].result;
    const values = leads(networks[0]);
    const at = values.indexOf(Math.min(...values));
    return [Math.floor(at / across), at % across];
  }

  function draw(network) {
    const { result, digit } = results[network];
    const values = leads(network);
    const map = new Float32Array(SIZE * SIZE).fill(NaN);
    const margin = size >> 1;
    values.forEach((value, at) => {
      map[(Math.floor(at / result.across) + margin) * SIZE + (at % result.across) + margin] = value;
    });
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const text = `lead of ${digit}: ${least.toFixed(1)} to ${most.toFixed(1)}`;
    rows[network].map.show(map, { kind: "heat", limit: Math.max(most, 1e-9), spoken: `${text}. Arrow keys move the window.` }, text);
  }

  lab.view({ name: "occlusion", title: "Cover it", build, update });
})();
