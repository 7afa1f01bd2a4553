// The image that a network finds most like a digit, growing out of noise step by step in both networks at once.
import { DIGITS, element, keys, slider } from "../dom.js";
import { percent, probabilities } from "../numbers.js";
import { choice } from "../settings.js";

/** @import {View} from "../types.js" */
/** @typedef {{ image: Float32Array, logits: Float32Array }} Frame */

const STEPS = 80;

/** @type {View} */
export const ideal = {
  name: "ideal",
  title: "Ideal digits",
  settings: { grown: choice("3", DIGITS) },

  build(bench, settings) {
    /** @type {Record<string, Frame[]>} */
    let frames = {};
    let grown = ""; // which digit the frames are of, and in which state of the networks
    let follow = true; // show each new step as it comes
    const still = window.matchMedia("(prefers-reduced-motion: reduce)");
    const row = keys(
      "grow the ideal",
      DIGITS,
      (digit) => `grow the ideal ${digit}`,
      (digit) => {
        settings.set("grown", digit);
        row.show(digit);
        grow().catch(bench.failed);
      },
    );
    settings.show("grown", row.show);
    const step = slider("step", {
      min: 0,
      max: STEPS,
      step: 1,
      change: (value) => {
        follow = false;
        show(value);
      },
    });
    const pictures = Object.fromEntries(
      bench.names.map((name) => [name, bench.painter.picture(bench.heading(name), bench.size)]),
    );

    /** @param {number} at */
    function show(at) {
      const digit = Number(settings.get("grown"));
      for (const [name, picture] of Object.entries(pictures)) {
        const frame = frames[name]?.[at];
        if (!frame) continue;
        const share = percent(probabilities(frame.logits)[digit]);
        picture.show(
          frame.image,
          `${bench.facts(name).label}: ${digit}, ${share}, logit ${frame.logits[digit].toFixed(1)}`,
        );
      }
    }

    async function grow() {
      const digit = Number(settings.get("grown"));
      /** @type {Record<string, Frame[]>} */
      const mine = Object.fromEntries(bench.names.map((name) => [name, []]));
      [frames, follow, grown] = [mine, true, state()];
      step.show(0);
      const arrived = (/** @type {string} */ name) => (/** @type {Frame} */ frame) => {
        if (frames !== mine) return;
        mine[name].push(frame);
        const at = Math.min(...Object.values(mine).map(({ length }) => length)) - 1;
        const wanted = follow ? !still.matches || at === STEPS : step.input.valueAsNumber === at;
        if (at < 0 || !wanted) return;
        step.show(at);
        show(at);
      };
      try {
        await Promise.all(
          bench.names.map((name) => bench.ask("ideal digit", "ideal", name, { digit, steps: STEPS }, arrived(name))),
        );
      } catch (error) {
        grown = ""; // grow it anew when the view is shown again
        throw error;
      }
    }

    const state = () => `${settings.get("grown")} ${bench.version}`;

    async function update() {
      if (grown !== state()) await grow();
    }

    return {
      content: [
        element("div", { class: "lab-controls" }, row.element, step.element),
        element("div", { class: "lab-pictures lab-large" }, ...Object.values(pictures).map(({ figure }) => figure)),
      ],
      update,
    };
  },
};
