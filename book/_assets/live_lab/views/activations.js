// Every map of both convolutions. Point at a unit, or move to one with the arrow keys: the part of the digit that it sees.
import { lay, UnitBrowser, Units } from "../../../../labkit/widgets/browse.js";
import { element, menu } from "../dom.js";
import { extent } from "../numbers.js";
import { word } from "../settings.js";

/** @import {LayerFacts, View} from "../types.js" */
/** @import {Unit} from "../../../../labkit/widgets/browse.js" */

const ACROSS = 8;
const CAPTION = "your digit, and the part that the unit sees";

/** @type {View} */
export const activations = {
  name: "activations",
  title: "Look inside",
  settings: { network: word() },

  build(bench, settings) {
    const { painter } = bench;
    const labels = bench.names.map((name) => /** @type {[string, string]} */ ([name, bench.facts(name).label]));
    const choose = menu("network", labels, (name) => {
      settings.set("network", name);
      update().catch(bench.failed);
    });
    const network = () => bench.network(settings.get("network"));
    settings.show("network", () => choose.show(network()));
    const digit = painter.picture(CAPTION, bench.size);
    const words = element("output", { class: "lab-words" }, "Point at a map.");
    /** The layers of each network that has been looked at. @type {Record<string, ReturnType<typeof sheet>[]>} */
    const sheets = {};
    /** @type {ReturnType<typeof sheet>[]} */
    let layers = [];
    /** @type {Record<string, Float32Array>} */
    let maps = {}; // of each layer
    /** @type {{ layer: string, unit: Unit } | null} */
    let chosen = null;

    /** @param {LayerFacts} layer */
    function sheet(layer) {
      const units = new Units({ ...layer, across: ACROSS });
      const label = `${layer.title}. Arrow keys move from unit to unit, Page Up and Page Down from map to map.`;
      const canvas = element("canvas", { class: "lab-sheet", role: "application", "aria-label": label, tabindex: 0 });
      const mark = element("div", { class: "lab-box", hidden: true });
      const browser = new UnitBrowser({
        stage: canvas,
        sheet: canvas,
        mark,
        units,
        chosen: (unit) => select(layer.name, unit),
      });
      browser.unit = { map: 0, row: units.height >> 1, column: units.width >> 1 };
      canvas.addEventListener("focus", () => {
        if (canvas.matches(":focus-visible") && chosen?.layer !== layer.name) browser.select(browser.unit);
      });
      const nodes = [
        element("h3", {}, layer.title),
        element("div", { class: "lab-frame" }, canvas, mark),
        browser.steps,
      ];
      return { name: layer.name, units, canvas, mark, nodes };
    }

    /** @param {string} name @param {Unit} unit */
    function select(name, unit) {
      chosen = { layer: name, unit };
      for (const layer of layers) if (layer.name !== name) layer.mark.hidden = true;
      const { units } = layers.find((layer) => layer.name === name) ?? layers[0];
      lay(digit.box, units.sees(unit), [bench.size.height, bench.size.width]);
      const value = maps[name]?.[(unit.map * units.height + unit.row) * units.width + unit.column];
      words.textContent = units.describe(name, unit, value === undefined ? "" : ` ${value.toFixed(2)}.`);
    }

    /** Lay out the sheets of the chosen network. */
    function arrange() {
      const wanted = (sheets[network()] ??= bench.facts(network()).layers.map(sheet));
      if (wanted === layers) return;
      layers = wanted;
      chosen = null;
      maps = {};
      body.replaceChildren(...layers.flatMap(({ nodes }) => nodes), scale);
    }

    async function update() {
      arrange();
      digit.show(bench.digit, CAPTION);
      const shown = layers;
      const values = { image: bench.digit, layers: layers.map(({ name }) => name) };
      const found = await bench.ask("activations", "look", network(), values);
      if (!found || shown !== layers) return;
      maps = found;
      for (const { name, units, canvas } of layers) {
        const [height, width] = units.size;
        const pixels = new Float32Array(height * width).fill(NaN); // the gaps show the page
        maps[name].forEach((value, at) => {
          const [map, place] = [Math.floor(at / (units.height * units.width)), at % (units.height * units.width)];
          const [top, left] = units.place({ map, row: Math.floor(place / units.width), column: place % units.width });
          pixels[top * width + left] = value;
        });
        painter.paint(canvas, pixels, width, height, { kind: "heat", limit: extent(maps[name]) });
      }
      if (chosen) select(chosen.layer, chosen.unit);
    }

    const scale = painter.scale("heat", "0", "each layer's largest", "");
    const body = element("div", { class: "lab-maps" });
    arrange();
    const side = element("div", { class: "lab-side" }, choose.element, digit.figure, words);
    return { content: [element("div", { class: "lab-split" }, side, body)], update, live: true };
  },
};
