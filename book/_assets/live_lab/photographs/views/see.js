// The maps of a stage, those that answer most strongly to this photo first; and for one of them, where in the photo it
// answers and which pixels drive it.
import { lay as layFrame } from "../../../../../labkit/widgets/browse.js";
import { element, menu } from "../../dom.js";
import { best, clamp, wholePercent } from "../../numbers.js";
import { number, word } from "../../settings.js";
import { colourPicture } from "../colour_picture.js";
import { enlarged, importance, quantile } from "../maps.js";
import { lay, opacity, opacitySlider } from "../overlay.js";

/** @import {LayerFacts, PhotographView} from "../../types.js" */

const SHOWN = 24; // maps of a stage
const WHOLE = 0.9; // of the picture; a frame would mark nothing
const BRIGHTEST = 0.995; // the scale of a gradient ends where so many pixels lie below

/** @type {PhotographView} */
export const see = {
  name: "see",
  title: "See",
  settings: {
    stage: word("block5"),
    channel: number(-1, { min: -1, max: 9999 }), // -1 is the strongest
    opacity,
  },

  build(bench, settings) {
    const { painter, size } = bench;
    const pixels = size.width * size.height;
    const stages = bench.facts.layers;
    const layer = () => stages.find(({ name }) => name === settings.get("stage")) ?? stages[stages.length >> 1];
    const title = (/** @type {LayerFacts} */ { name, count, rows }, /** @type {number} */ nth) =>
      `stage ${nth}, ${name}: ${count} maps of ${rows.length} × ${rows.length}`;
    const choices = stages.map((each, nth) => /** @type {[string, string]} */ ([each.name, title(each, nth)]));
    const which = menu("stage", choices, (name) => {
      settings.set("channel", -1);
      settings.set("stage", name);
      update().catch(bench.failed);
    });
    settings.show("stage", () => which.show(layer().name));
    const fires = colourPicture("where it answers", size);
    const driven = colourPicture("which pixels drive it", size);
    const words = element("output", { class: "lab-words" });
    const fade = opacitySlider(settings, [fires, driven]);
    const tiles = Array.from({ length: SHOWN }, (_, nth) => {
      const canvas = element("canvas", { "aria-hidden": "true" });
      const text = element("span");
      const button = element(
        "button",
        { type: "button", "aria-pressed": "false", hidden: true, onclick: () => choose(shown[nth]) },
        canvas,
        text,
      );
      return { button, canvas, text };
    });
    const sheet = element(
      "div",
      { class: "lab-tiles", role: "group", "aria-label": "maps of this stage" },
      ...tiles.map(({ button }) => button),
    );
    const heading = element("h3", {}, "The maps that answer most strongly");
    const field = element("input", { type: "number", min: 0, step: 1, size: 5, "aria-label": "number of a map" });
    field.addEventListener("change", () => {
      const { count } = layer();
      if (Number.isInteger(field.valueAsNumber)) choose(clamp(field.valueAsNumber, 0, count - 1));
    });
    /** The maps of the stage. */
    let maps = new Float32Array();
    /** The channels on the tiles. @type {number[]} */
    let shown = [];

    const map = (/** @type {number} */ channel) => {
      const places = layer().rows.length * layer().columns.length;
      return maps.subarray(channel * places, (channel + 1) * places);
    };

    /** @param {number} channel */
    function choose(channel) {
      settings.set("channel", channel);
      tell().catch(bench.failed);
    }

    async function update() {
      const { name, count } = layer();
      fires.show(bench.image);
      driven.show(bench.image);
      const found = await bench.ask("maps of a stage", "look", { image: bench.image, layers: [name] });
      if (!found || name !== layer().name) return;
      maps = found[name];
      const peaks = Array.from({ length: count }, (_, channel) => Math.max(...map(channel)));
      shown = peaks
        .map((_, channel) => channel)
        .sort((one, other) => peaks[other] - peaks[one])
        .slice(0, SHOWN);
      const limit = peaks[shown[0]];
      const [height, width] = [layer().rows.length, layer().columns.length];
      tiles.forEach(({ button, canvas, text }, nth) => {
        button.hidden = nth >= shown.length;
        if (button.hidden) return;
        painter.paint(canvas, map(shown[nth]), width, height, { kind: "heat", limit });
        text.textContent = String(shown[nth]);
        button.setAttribute("aria-label", `map ${shown[nth]}, at most ${peaks[shown[nth]].toFixed(1)}`);
      });
      heading.textContent = `The ${shown.length} of ${count} maps that answer most strongly, from ${limit.toFixed(1)} down`;
      field.max = String(count - 1);
      await tell();
    }

    /** Show where the chosen map answers, and what drives it. */
    async function tell() {
      const { name, count, rows, columns } = layer();
      const asked = settings.get("channel");
      const channel = asked >= 0 && asked < count ? asked : shown[0];
      field.value = String(channel);
      tiles.forEach(({ button }, nth) => button.setAttribute("aria-pressed", String(shown[nth] === channel)));
      const [height, width] = [rows.length, columns.length];
      const values = map(channel);
      const at = best(values);
      const [row, column] = [Math.floor(at / width), at % width];
      lay(painter, fires, enlarged(values, [height, width], [size.height, size.width]), size, values[at]);
      fires.say(`where map ${channel} answers, from 0 to ${values[at].toFixed(2)}`);
      if (values[at] <= 0) {
        lay(painter, driven, new Float32Array(pixels), size, 1);
        driven.box.hidden = true;
        driven.say("nothing drives it here");
        words.textContent = `Map ${channel} of ${name} finds nothing in this photo: it is 0 or below everywhere.`;
        return;
      }
      const question = { image: bench.image, stage: name, channel, place: [row, column] };
      const found = await bench.ask("what drives a map", "drive", question);
      if (!found || name !== layer().name) return;
      const strength = importance(found.gradient, pixels);
      lay(painter, driven, strength, size, quantile(strength, BRIGHTEST));
      driven.say("which pixels drive its strongest unit");
      const [[top, bottom], [left, right]] = [rows[row], columns[column]];
      const part = { top, left, height: bottom - top + 1, width: right - left + 1 };
      const reach = (part.height * part.width) / pixels;
      layFrame(driven.box, part, [size.height, size.width]);
      driven.box.hidden = reach >= WHOLE;
      const most = half(strength) / pixels;
      words.textContent =
        `Map ${channel} of ${name} answers most in row ${row}, column ${column}. ` +
        `That unit can see ${reach < WHOLE ? `the framed ${share(reach)} of the picture` : "(nearly) the whole picture"}; ` +
        `half of what moves it lies in ${share(most)} of the pixels.`;
    }

    const scale = painter.scale(
      "heat",
      "0",
      "the largest",
      "of this stage (small maps), of this map (left), of this gradient (right)",
    );
    return {
      content: [
        element(
          "div",
          { class: "lab-controls" },
          which.element,
          element("label", { class: "lab-menu" }, element("span", {}, "map"), field),
          fade,
        ),
        element("div", { class: "lab-pictures lab-large" }, fires.figure, driven.figure),
        words,
        heading,
        sheet,
        scale,
      ],
      update,
    };
  },
};

/** How many of the largest numbers make half of the sum. @param {Float32Array} values */
function half(values) {
  const sorted = Float32Array.from(values).sort().reverse();
  const sum = sorted.reduce((total, value) => total + value, 0);
  let seen = 0;
  return sorted.findIndex((value) => (seen += value) >= sum / 2) + 1;
}

/** @param {number} part */
const share = (part) => (part < 0.01 ? "less than 1%" : wholePercent(part));
