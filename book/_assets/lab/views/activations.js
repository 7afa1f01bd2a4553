// Every map of both convolutions. Point at a unit, or move to one with the arrow keys: the part of the digit that it sees.
(() => {
  const { element, menu, NAMES, networks } = lab;
  const LAYERS = [
    { name: "relu1", title: "first convolution, 32 maps of 28 × 28", size: 28 },
    { name: "relu2", title: "second convolution, 32 maps of 14 × 14", size: 14 },
  ];
  const COLUMNS = 8;
  const MAPS = 32;
  const GAP = 1;
  let network = networks[0];
  let unit = null; // {layer, map, row, column}
  let maps = {}; // of each layer
  const digit = lab.picture("your digit, and the part that the unit sees");
  const words = element("output", { class: "lab-words" }, "Point at a map.");
  const sheets = {};

  function build(panel) {
    const choice = menu("network", networks.map((name) => [name, NAMES[name]]), (name) => {
      network = name;
      update();
    });
    const side = element("div", { class: "lab-side" }, choice.element, digit.figure, words);
    const body = element("div", { class: "lab-maps" });
    for (const layer of LAYERS) {
      const label = `${layer.title}. Arrow keys move from unit to unit, Page Up and Page Down from map to map.`;
      const canvas = element("canvas", { class: "lab-sheet", role: "application", "aria-label": label, tabindex: 0 });
      const mark = element("div", { class: "lab-box", hidden: true });
      sheets[layer.name] = { ...layer, canvas, mark };
      canvas.addEventListener("pointermove", (event) => point(layer, event));
      canvas.addEventListener("pointerdown", (event) => point(layer, event));
      canvas.addEventListener("keydown", (event) => walk(layer, event));
      canvas.addEventListener("focus", () => {
        if (canvas.matches(":focus-visible") && unit?.layer !== layer.name) {
          select({ layer: layer.name, map: 0, row: layer.size >> 1, column: layer.size >> 1 });
        }
      });
      body.append(element("h4", {}, layer.title), element("div", { class: "lab-frame" }, canvas, mark));
    }
    body.append(lab.scale("heat", "0", "each layer's largest", ""));
    panel.append(element("div", { class: "lab-split" }, side, body));
  }

  const cell = (size) => size + GAP;

  function point({ name, size }, event) {
    const { canvas } = sheets[name];
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * canvas.width;
    const y = ((event.clientY - top) / height) * canvas.height;
    const [column, row] = [Math.floor(x % cell(size)), Math.floor(y % cell(size))];
    const map = Math.floor(y / cell(size)) * COLUMNS + Math.floor(x / cell(size));
    if (column < size && row < size && map >= 0 && map < MAPS) select({ layer: name, map, row, column });
  }

  function walk({ name, size }, event) {
    if (unit?.layer !== name) unit = { layer: name, map: 0, row: size >> 1, column: size >> 1 };
    const to = { ...unit };
    const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);
    if (event.key === "ArrowLeft") to.column = inside(to.column - 1, size);
    else if (event.key === "ArrowRight") to.column = inside(to.column + 1, size);
    else if (event.key === "ArrowUp") to.row = inside(to.row - 1, size);
    else if (event.key === "ArrowDown") to.row = inside(to.row + 1, size);
    else if (event.key === "PageUp") to.map = inside(to.map - 1, MAPS);
    else if (event.key === "PageDown") to.map = inside(to.map + 1, MAPS);
    else return;
    event.preventDefault();
    select(to);
  }

  function select(to) {
    unit = to;
    const { layer, map, row, column } = unit;
    const { size, canvas } = sheets[layer];
    for (const sheet of Object.values(sheets)) sheet.mark.hidden = sheet.name !== layer;
    const left = (map % COLUMNS) * cell(size) + column;
    const top = Math.floor(map / COLUMNS) * cell(size) + row;
    Object.assign(sheets[layer].mark.style, {
      left: `${(100 * left) / canvas.width}%`, top: `${(100 * top) / canvas.height}%`,
      width: `${100 / canvas.width}%`, height: `${100 / canvas.height}%`,
    });
    const [[firstRow, lastRow], [firstColumn, lastColumn]] = [lab.facts.fields[layer][row], lab.facts.fields[layer][column]];
    digit.mark(firstRow, firstColumn, lastRow - firstRow + 1, lastColumn - firstColumn + 1);
    const value = maps[layer]?.[(map * size + row) * size + column] ?? 0;
    words.textContent =
      `Map ${map + 1}, row ${row + 1}, column ${column + 1}: activation ${value.toFixed(2)}. ` +
      `It sees ${lastRow - firstRow + 1} × ${lastColumn - firstColumn + 1} pixels.`;
  }

  async function update() {
    digit.show(lab.digit, {}, "your digit, and the part that the unit sees");
    const found = await lab.timed("activations", "look", { network, image: lab.digit });
    if (!found) return;
    maps = found;
    for (const { name, size, canvas } of Object.values(sheets)) {
      const values = maps[name];
      const [width, height] = [COLUMNS * cell(size) - GAP, (MAPS / COLUMNS) * cell(size) - GAP];
      const sheet = new Float32Array(width * height).fill(NaN); // the gaps show the page
      for (let at = 0; at < values.length; at++) {
        const [map, row, column] = [Math.floor(at / size ** 2), Math.floor(at / size) % size, at % size];
        const top = Math.floor(map / COLUMNS) * cell(size) + row;
        sheet[top * width + (map % COLUMNS) * cell(size) + column] = values[at];
      }
      const limit = values.reduce((most, value) => Math.max(most, value), 1e-9);
      lab.paint(canvas, sheet, width, height, { kind: "heat", limit });
    }
    if (unit) select(unit);
  }

  lab.view({ name: "activations", title: "Look inside", build, update, live: true });
})();
