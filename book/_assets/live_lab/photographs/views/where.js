// Four answers to the same question, laid over the photo: which part of it speaks for a class? And the test of all of
// them: what is left of the class when the pixels that a map calls important are taken away.
import { element } from "../../dom.js";
import { wholePercent } from "../../numbers.js";
import { choice, number, word } from "../../settings.js";
import { oneHot } from "../../worker/arithmetic.js";
import { classMenu } from "../class_menu.js";
import { colourPicture } from "../colour_picture.js";
import { Covering } from "../covering.js";
import { Deleting } from "../deleting.js";
import { enlarged, importance, quantile } from "../maps.js";
import { lay, opacity, opacitySlider } from "../overlay.js";

/** @import {PhotographView} from "../../types.js" */

const [SAMPLES, NOISE, STEPS] = [15, 0.15, 25];
const BRIGHTEST = 0.995; // the scale of a gradient ends where so many pixels lie below

/** @type {PhotographView} */
export const where = {
  name: "where",
  title: "Where",
  settings: {
    class: word(),
    opacity,
    window: choice("32", ["32", "48", "64"]),
    samples: number(SAMPLES, { min: 1, max: 100 }),
  },

  build(bench, settings) {
    const { painter, size } = bench;
    const pixels = size.width * size.height;
    const last = bench.facts.layers[bench.facts.layers.length - 1];
    const pictures = {
      saliency: colourPicture("saliency", size),
      SmoothGrad: colourPicture("SmoothGrad", size),
      "integrated gradients": colourPicture("integrated gradients", size),
      "Grad-CAM": colourPicture("Grad-CAM", size),
    };
    /** @typedef {keyof typeof pictures} Method */
    const chosen = classMenu({
      label: "explain",
      names: bench.names,
      empty: "what it sees",
      change: (name) => {
        settings.set("class", name);
        start();
      },
    });
    settings.show("class", (name) => chosen.show(name));
    let turns = 0; // what was begun in an older one goes no further
    const stop = element("button", { type: "button", onclick: () => halt() }, "Stop");
    const status = element("output", { class: "lab-words" });
    /** The class that is explained. */
    const label = () =>
      bench.names.includes(settings.get("class")) ? bench.names.indexOf(settings.get("class")) : bench.label;
    /** One number a pixel for each method that is done. @type {Record<string, Float32Array>} */
    let maps = {};
    const covering = new Covering(bench, settings, { label, done: (map) => (maps.occlusion = map) });
    const deleting = new Deleting(bench, { label, maps: () => maps });
    const fade = opacitySlider(settings, [...Object.values(pictures), covering.map]);

    /** @param {Method} method @param {Float32Array} map of every pixel */
    function show(method, map) {
      lay(painter, pictures[method], map, size, method === "Grad-CAM" ? quantile(map, 1) : quantile(map, BRIGHTEST));
    }

    function start() {
      bench.stop().then(update).catch(bench.failed);
    }

    function halt() {
      turns += 1;
      stop.disabled = true;
      status.textContent = "Stopped. Change something, and it begins anew.";
      return bench.stop();
    }

    async function update() {
      turns += 1;
      const turn = turns;
      maps = {};
      covering.clear();
      deleting.clear();
      const { image } = bench;
      for (const [method, picture] of Object.entries(pictures)) {
        picture.show(image);
        lay(painter, picture, new Float32Array(pixels).fill(NaN), size, 1);
        picture.say(method);
      }
      const explained = label();
      const name = bench.names[explained];
      stop.disabled = false;
      /** @param {Method} method @param {Float32Array} gradient @param {string} [more] */
      const finished = (method, gradient, more = "") => {
        maps[method] = gradient.length === pixels ? gradient : importance(gradient, pixels);
        show(method, maps[method]);
        pictures[method].say(`${method}${more}`, `${method} for ${name}: ${place(maps[method], size)}${more}`);
      };
      /** @param {Method} method @param {string} of */
      const watching =
        (method, of) =>
        (/** @type {{ share: number, map: Float32Array }} */ { share, map }) => {
          if (turn !== turns) return; // stopped, and on its way already
          show(method, importance(map, pixels));
          status.textContent = `${method}: ${wholePercent(share)} of ${of} …`;
        };
      const question = { image, label: explained };
      const plain = await bench.ask("gradient", "run", {
        images: image,
        weights: oneHot(explained, bench.names.length),
      });
      if (!plain || turn !== turns) return;
      finished("saliency", plain.gradient);
      const cam = await bench.ask("Grad-CAM", "gradCam", { ...question, stage: last.name });
      if (!cam || turn !== turns) return;
      finished("Grad-CAM", enlarged(cam.map, cam.size, [size.height, size.width]));
      const samples = Math.round(settings.get("samples"));
      const smooth = await bench.ask(
        `SmoothGrad of ${samples}`,
        "smooth",
        { ...question, noise: NOISE, samples },
        watching("SmoothGrad", `${samples} noisy copies`),
      );
      if (!smooth || turn !== turns) return;
      finished("SmoothGrad", smooth.map, `, ${samples} copies`);
      const integrated = await bench.ask(
        `integrated gradients of ${STEPS}`,
        "integrated",
        { ...question, steps: STEPS },
        watching("integrated gradients", `${STEPS} steps from black`),
      );
      if (!integrated || turn !== turns) return;
      finished("integrated gradients", integrated.map, `, ${STEPS} steps from black`);
      stop.disabled = true;
      status.textContent = `All four explain the same: the logit of ${name}, ${bench.logits[explained].toFixed(1)}. Which one to trust is tested below.`;
      deleting.ready();
    }

    const scale = painter.scale(
      "heat",
      "0",
      "its largest",
      "each map has a scale of its own; of gradients, the brightest half percent of pixels is cut off",
    );
    return {
      content: [
        element("div", { class: "lab-controls" }, chosen.element, fade, stop),
        element("div", { class: "lab-pictures lab-two" }, ...Object.values(pictures).map(({ figure }) => figure)),
        status,
        scale,
        ...covering.content,
        ...deleting.content,
      ],
      update,
      hide: () => {
        turns += 1;
        bench.stop().catch(bench.failed);
      },
    };
  },
};

/** Where most of a map lies, in words. @param {Float32Array} map @param {{ width: number, height: number }} size */
function place(map, { width, height }) {
  let [mass, down, right] = [0, 0, 0];
  map.forEach((value, at) => {
    mass += value;
    down += value * (Math.floor(at / width) + 0.5);
    right += value * ((at % width) + 0.5);
  });
  if (!mass) return "empty";
  const third = (/** @type {number} */ part, /** @type {string[]} */ words) => words[Math.min(2, Math.floor(3 * part))];
  const row = third(down / mass / height, ["upper", "middle", "lower"]);
  const column = third(right / mass / width, ["left", "centre", "right"]);
  return `most of it lies in the ${row} ${column} of the photo`;
}
