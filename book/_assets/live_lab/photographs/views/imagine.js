// A class that is grown: from noise, or out of the reader's photo, with what a picture must be like as sliders.
import { chart } from "../../chart.js";
import { element, menu, slider } from "../../dom.js";
import { best, clamp, percent, probabilities, wholePercent } from "../../numbers.js";
import { choice, number, settingSlider, word } from "../../settings.js";
import { normal } from "../../worker/arithmetic.js";
import { classMenu } from "../class_menu.js";
import { colourPicture } from "../colour_picture.js";

/** @import {PhotographView} from "../../types.js" */
/** @typedef {{ step: number, image: Float32Array, logits: Float32Array }} Frame */
/** @typedef {{ pixels: Uint8Array, share: number, logit: number, first: number }} Kept */

const STEPS = 128;
const NOISE = 0.1;
/** Each penalty: its words, the largest weight, and what the slider says. */
const PENALTIES = {
  smooth: {
    label: "smoothness",
    most: 120,
    step: 5,
    words: "total variation: a penalty on differences between neighbouring pixels",
  },
  near: { label: "likeness", most: 1000, step: 20, words: "a penalty on the distance from where it began" },
  jitter: { label: "movement", most: 0.12, step: 0.01, words: "the network sees it shifted, another way in each step" },
};

/** Mid-grey with a little noise, the same each time. @param {number} count */
function noise(count) {
  const draw = normal(0);
  return Float32Array.from({ length: count }, () => clamp(0.5 + NOISE * draw(), 0, 1));
}

/** @type {PhotographView} */
export const imagine = {
  name: "imagine",
  title: "Imagine",
  settings: {
    grow: word(),
    from: choice("noise", ["noise", "photo"]),
    way: choice("waves", ["waves", "pixels"]),
    smooth: number(30, { min: 0, max: PENALTIES.smooth.most }),
    near: number(0, { min: 0, max: PENALTIES.near.most }),
    jitter: number(0.06, { min: 0, max: PENALTIES.jitter.most }),
  },

  build(bench, settings) {
    /** @type {Kept[]} */
    let frames = [];
    let follow = true; // show each new step as it comes
    let label = 0; // of the class that is grown
    const still = window.matchMedia("(prefers-reduced-motion: reduce)");
    const goal = classMenu({
      label: "grow",
      names: bench.names,
      empty: "what it sees",
      change: (name) => settings.set("grow", name),
    });
    settings.show("grow", goal.show);
    const from = menu(
      "out of",
      [
        ["noise", "noise"],
        ["photo", "the photo"],
      ],
      (value) => {
        settings.set("from", value);
        showBegun();
      },
    );
    settings.show("from", from.show);
    const way = menu(
      "by changing",
      [
        ["waves", "waves (Fourier)"],
        ["pixels", "pixels"],
      ],
      (value) => settings.set("way", value),
    );
    settings.show("way", way.show);
    const penalties = Object.entries(PENALTIES).map(([name, { label: text, step, words: title }]) => {
      const made = settingSlider(settings, name, { label: text, step });
      return element("div", { class: "lab-penalty" }, made.element, element("small", { class: "lab-label" }, title));
    });
    const start = element(
      "button",
      { type: "button", class: "lab-main", onclick: () => grow().catch(bench.failed) },
      "Grow it",
    );
    const stop = element("button", { type: "button", disabled: true, onclick: () => bench.stop() }, "Stop");
    const begun = colourPicture("where it begins", bench.size);
    const picture = colourPicture("nothing has been grown yet", bench.size);
    const words = element("output", { class: "lab-words" });
    const step = slider("step", {
      min: 1,
      max: STEPS,
      step: 1,
      change: (value) => {
        follow = false;
        show(value);
      },
    });
    const curve = chart({
      title: "probability, step by step",
      across: "step",
      bounds: [0, 1],
      ticks: [0, 0.25, 0.5, 0.75, 1],
      text: wholePercent,
    });

    function showBegun() {
      const photo = settings.get("from") === "photo";
      begun.show(photo ? bench.image : noise(bench.image.length));
      begun.say(photo ? "the photo" : "noise around grey");
    }

    /** @param {number} at */
    function show(at) {
      const nth = Math.min(at, frames.length);
      const frame = frames[nth - 1];
      if (!frame) return;
      picture.show(Float32Array.from(frame.pixels, (value) => value / 255));
      const name = bench.names[label];
      const first = frame.first === label ? "" : `; it sees ${bench.names[frame.first]} first`;
      picture.say(`step ${nth}: ${name}, ${percent(frame.share)}, logit ${frame.logit.toFixed(1)}${first}`);
    }

    /** @param {Frame} frame */
    function keep({ image, logits }) {
      frames.push({
        pixels: Uint8Array.from(image, (value) => Math.round(255 * value)),
        share: probabilities(logits)[label],
        logit: logits[label],
        first: best(logits),
      });
    }

    async function grow() {
      const named = bench.names.indexOf(settings.get("grow"));
      label = named < 0 ? bench.label : named;
      [frames, follow] = [[], true];
      const arrived = (/** @type {Frame} */ frame) => {
        keep(frame);
        const at = frames.length;
        words.textContent = `Growing ${bench.names[label]}: step ${at} of ${STEPS}.`;
        curve.show(
          [
            {
              name: bench.names[label],
              style: "lab-ordinary",
              points: frames.map(({ share }, nth) => [nth + 1, share]),
            },
          ],
          STEPS,
        );
        if (!follow || (still.matches && at < STEPS)) return;
        step.show(at);
        show(at);
      };
      const photo = settings.get("from") === "photo";
      showBegun();
      const image = photo ? bench.image : noise(bench.image.length);
      const chosen = Object.fromEntries(["way", "smooth", "near", "jitter"].map((name) => [name, settings.get(name)]));
      const values = { label, image, grey: !photo, steps: STEPS, ...chosen };
      [start.disabled, stop.disabled] = [true, false];
      try {
        const found = await bench.ask("a grown class", "grow", values, arrived);
        if (found) arrived(found);
        words.textContent = found ? verdict(photo) : "Stopped. The slider goes back through the steps so far.";
      } finally {
        [start.disabled, stop.disabled] = [false, true];
      }
    }

    /** @param {boolean} photo */
    function verdict(photo) {
      const { share } = frames[frames.length - 1];
      const name = bench.names[label];
      const sure = `The network gives ${name} ${percent(share)}.`;
      if (share < 0.5) return `${sure} The penalties cost more than the class gains: try smaller ones.`;
      return photo
        ? `${sure} Compare it with your photo: what was added is what it looks for.`
        : `${sure} Do you see one, too? What you recognise is part of what the network looks for.`;
    }

    function update() {
      showBegun();
      if (!frames.length) picture.show(bench.image.map(() => 0.5));
    }

    return {
      content: [
        element("div", { class: "lab-controls" }, goal.element, from.element, way.element),
        element("div", { class: "lab-controls" }, ...penalties),
        element("div", { class: "lab-controls" }, start, stop, step.element),
        element("div", { class: "lab-pictures lab-two" }, begun.figure, picture.figure),
        words,
        element("div", { class: "lab-charts" }, curve.figure),
      ],
      update,
      hide: () => bench.stop(),
    };
  },
};
