// Units of a layer, drawn as a sheet of maps, that tell which pixels they see: what labkit.widgets.browse shows, and the
// live lab. Maps, rows and columns count from 0. browse puts this file into its output as a module of its own.

/** @typedef {{ map: number, row: number, column: number }} Unit */
/** @typedef {[first: number, last: number][]} Spans which pixels each row, or each column, of units sees */

/** Where the units of a layer lie on a sheet: `across` maps a row, and a line of one pixel between two maps. */
export class Units {
  /** @param {{ count: number, across: number, rows: Spans, columns: Spans }} layer */
  constructor({ count, across, rows, columns }) {
    this.count = count;
    this.across = across;
    this.rows = rows;
    this.columns = columns;
    this.height = rows.length; // of a map
    this.width = columns.length;
    this.size = [Math.ceil(count / across) * (this.height + 1) - 1, across * (this.width + 1) - 1]; // of the sheet
  }

  /** @param {Unit} unit */
  has({ map, row, column }) {
    const inside = (/** @type {number} */ value, /** @type {number} */ count) => value >= 0 && value < count;
    return inside(map, this.count) && inside(row, this.height) && inside(column, this.width);
  }

  /** Row and column of a unit on the sheet. @param {Unit} unit */
  place({ map, row, column }) {
    return [Math.floor(map / this.across) * (this.height + 1) + row, (map % this.across) * (this.width + 1) + column];
  }

  /** The unit at a row and column of the sheet, null between the maps. @param {number} y @param {number} x */
  at(y, x) {
    const [tall, wide] = [this.height + 1, this.width + 1];
    if (x < 0 || x >= this.size[1]) return null;
    const unit = { map: Math.floor(y / tall) * this.across + Math.floor(x / wide), row: y % tall, column: x % wide };
    return this.has(unit) ? unit : null;
  }

  /** The unit that a key leads to; beyond the edge of a map lies the next one on the sheet. Null for other keys.
   *  @param {Unit} unit @param {string} key */
  step(unit, key) {
    const moves = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
    });
    if (key === "Home") return { map: 0, row: 0, column: 0 };
    if (key === "End") return { map: this.count - 1, row: this.height - 1, column: this.width - 1 };
    if (key === "PageUp") return { ...unit, map: Math.max(0, unit.map - 1) };
    if (key === "PageDown") return { ...unit, map: Math.min(this.count - 1, unit.map + 1) };
    if (!(key in moves)) return null;
    const [down, right] = moves[key];
    const [row, column] = [unit.row + down, unit.column + right];
    const map = unit.map + (row in this.rows ? 0 : down * this.across) + (column in this.columns ? 0 : right);
    const next = { map, row: (row + this.height) % this.height, column: (column + this.width) % this.width };
    return this.has(next) ? next : unit;
  }

  /** The pixels that a unit sees; none where it sees padding only. @param {Unit} unit */
  sees({ row, column }) {
    const [[top, bottom], [left, right]] = [this.rows[row], this.columns[column]];
    return { top, left, height: Math.max(0, bottom - top + 1), width: Math.max(0, right - left + 1) };
  }

  /** A unit in words. @param {string} layer @param {Unit} unit @param {string} value */
  describe(layer, unit, value) {
    const { top, left, height, width } = this.sees(unit);
    const name =
      this.height * this.width > 1 ? `map ${unit.map}, row ${unit.row}, column ${unit.column}` : `unit ${unit.map}`;
    const last = `rows ${top}–${top + height - 1}, columns ${left}–${left + width - 1}`;
    const field = height && width ? `${height} × ${width} pixels, ${last}` : "padding only";
    return `${layer}, ${name}:${value} It sees ${field}.`;
  }
}

/** For fingers, which are wider than a unit: point roughly, then go on unit by unit. */
const STEPS = [
  ["ArrowLeft", "←", "one unit to the left"],
  ["ArrowUp", "↑", "one unit up"],
  ["ArrowDown", "↓", "one unit down"],
  ["ArrowRight", "→", "one unit to the right"],
  ["PageUp", "−", "previous map"],
  ["PageDown", "+", "next map"],
];

/** Lets the reader choose units on a sheet, with the mouse, a finger or the keyboard, and marks the one that is chosen.
 *  `stage` takes the keys, `sheet` is what is pointed at, `mark` is laid over the sheet; `steps`, buttons that do what
 *  the keys do, is for the caller to place. */
export class UnitBrowser {
  /** @type {Unit} */
  unit = { map: 0, row: 0, column: 0 };

  /** @param {{ stage: HTMLElement, sheet: HTMLElement, mark: HTMLElement, units: Units,
   *            chosen: (unit: Unit) => void }} parts */
  constructor({ stage, sheet, mark, units, chosen }) {
    this.sheet = sheet;
    this.mark = mark;
    this.units = units;
    this.chosen = chosen;
    this.steps = Object.assign(document.createElement("div"), { className: "labkit-steps" });
    for (const [key, text, label] of STEPS) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      button.setAttribute("aria-label", label);
      button.addEventListener("click", () => this.#go(key));
      this.steps.append(button);
    }
    stage.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !this.#go(event.key)) return;
      event.preventDefault();
      event.stopPropagation(); // a notebook would go to another cell
    });
    for (const kind of /** @type {const} */ (["pointermove", "pointerdown"])) {
      stage.addEventListener(kind, (event) => this.#point(event));
    }
  }

  /** Whether the key leads anywhere. @param {string} key */
  #go(key) {
    const next = this.units.step(this.unit, key);
    if (next) this.select(next);
    return Boolean(next);
  }

  /** Show another layer, and the same unit of it if there is one. @param {Units} units */
  show(units) {
    this.units = units;
    this.select(units.has(this.unit) ? this.unit : { map: 0, row: 0, column: 0 });
  }

  /** @param {Unit} unit */
  select(unit) {
    this.unit = unit;
    const [top, left] = this.units.place(unit);
    lay(this.mark, { top, left, height: 1, width: 1 }, this.units.size);
    this.chosen(unit);
  }

  /** @param {PointerEvent} event */
  #point({ clientX, clientY }) {
    const { left, top, width, height } = this.sheet.getBoundingClientRect();
    const [rows, columns] = this.units.size;
    const unit = this.units.at(
      Math.floor(((clientY - top) / height) * rows),
      Math.floor(((clientX - left) / width) * columns),
    );
    if (unit) this.select(unit);
  }
}

/** Lay a frame over part of a picture of `rows` x `columns` pixels; no frame around nothing.
 *  @param {HTMLElement} frame @param {{ top: number, left: number, height: number, width: number }} part
 *  @param {number[]} size */
export function lay(frame, { top, left, height, width }, [rows, columns]) {
  const percent = (/** @type {number} */ value, /** @type {number} */ whole) => `${(100 * value) / whole}%`;
  frame.hidden = !height || !width;
  Object.assign(frame.style, { top: percent(top, rows), height: percent(height, rows) });
  Object.assign(frame.style, { left: percent(left, columns), width: percent(width, columns) });
}

/** @typedef {{ name: string, sheets: string[], scale: number, low: number, high: number,
 *              count: number, across: number, rows: Spans, columns: Spans }} Layer */

/** Two menus, an image, and the maps of a layer. @param {HTMLElement} root */
function start(root) {
  const data = root.querySelector("script[type='application/json']")?.textContent ?? "";
  const { images, layers, palettes } = /** @type {{ images: { pictures: string[], size: number[] }, layers: Layer[],
    palettes: number[][][] }} */ (JSON.parse(data));
  const [imageMenu, layerMenu] = root.querySelectorAll("select");
  const [image, sheet] = root.querySelectorAll("img");
  const [seen, mark] = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".labkit-box"));
  const stage = /** @type {HTMLElement} */ (root.querySelector("[tabindex]"));
  const text = /** @type {HTMLOutputElement} */ (root.querySelector("output"));
  // A sheet's pixels are colours of a palette: look up the number that each stands for.
  const scales = palettes.map((palette) => new Map(palette.map((colour, index) => [colour.join(), index / 254])));

  let layer = layers[0];
  /** @type {ImageData | undefined} */
  let pixels; // of its sheet, once they are decoded
  const browser = new UnitBrowser({ stage, sheet, mark, units: new Units(layer), chosen });

  text.before(browser.steps);

  /** The number that a unit's colour stands for. @param {Unit} unit */
  function value(unit) {
    if (!pixels) return "";
    const [y, x] = browser.units.place(unit);
    const colour = pixels.data
      .slice(4 * (y * pixels.width + x))
      .slice(0, 3)
      .join();
    const share = scales[layer.scale].get(colour);
    if (share === undefined) return "";
    const number = (layer.low + share * (layer.high - layer.low)).toFixed(2);
    return ` ${number} (colours from ${layer.low.toFixed(2)} to ${layer.high.toFixed(2)}).`;
  }

  /** @param {Unit} unit */
  function chosen(unit) {
    lay(seen, browser.units.sees(unit), images.size);
    text.value = browser.units.describe(layer.name, unit, value(unit));
  }

  async function show() {
    layer = layers[layerMenu.selectedIndex];
    pixels = undefined;
    image.src = images.pictures[imageMenu.selectedIndex];
    image.alt = `The image: ${imageMenu.value}`;
    sheet.src = layer.sheets[imageMenu.selectedIndex];
    sheet.alt = `${layer.count} maps of ${layer.name}, ${layer.rows.length} × ${layer.columns.length} each`;
    browser.show(new Units(layer));
    const picture = new Image();
    picture.src = sheet.src;
    await picture.decode();
    if (picture.src !== sheet.src) return; // another one was chosen in the meantime
    const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight);
    const context = canvas.getContext("2d");
    context?.drawImage(picture, 0, 0);
    pixels = context?.getImageData(0, 0, canvas.width, canvas.height);
    chosen(browser.unit);
  }

  for (const menu of [imageMenu, layerMenu]) menu.addEventListener("change", () => show().catch(console.error));
  show().catch(console.error);
}

if (typeof document !== "undefined") {
  for (const root of /** @type {NodeListOf<HTMLElement>} */ (
    document.querySelectorAll(".labkit-browse:not([data-started])")
  )) {
    root.dataset.started = "";
    start(root);
  }
}
