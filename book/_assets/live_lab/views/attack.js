// The reader's digit, attacked: every pixel may move by eps, and each network gets the change that was made against it.
import { DIGITS, element, menu } from "../dom.js";
import { verdict } from "../numbers.js";
import { choice, number, settingSlider } from "../settings.js";

/** @import {View} from "../types.js" */
/** @typedef {{ image: Float32Array, before: Float32Array, logits: Float32Array, eps?: number | null }} Found */

const STEPS = 20;
const TOLERANCE = 0.02; // of eps, where the search for the smallest one ends
const MOST = 0.5; // of the slider, and of the legend

/** @type {View} */
export const attack = {
  name: "attack",
  title: "Attack it",
  settings: {
    towards: choice("away", ["away", ...DIGITS]),
    distance: choice("eps", ["eps", "least"]),
    eps: number(0.1, { min: 0, max: MOST }),
  },

  build(bench, settings) {
    /** The smallest eps so far that changed what a network sees. @type {Record<string, number>} */
    const records = {};
    let recorded = ""; // for which digit and goal
    const changed = () => {
      update().catch(bench.failed);
    };
    const goals = DIGITS.map(
      (digit) => /** @type {[string, string]} */ ([digit, `towards ${digit} (PGD, ${STEPS} steps)`]),
    );
    const goal = menu("push", [["away", "away from what it sees (FGSM)"], ...goals], (value) => {
      settings.set("towards", value);
      changed();
    });
    const reach = menu(
      "how far",
      [
        ["eps", "by eps"],
        ["least", "as little as will do (minimum norm)"],
      ],
      (value) => {
        settings.set("distance", value);
        showDistance(value);
        changed();
      },
    );
    const strength = settingSlider(settings, "eps", { step: 0.01, text: (value) => value.toFixed(2), changed });
    const showDistance = (/** @type {string} */ value) => {
      reach.show(value);
      strength.element.hidden = value === "least";
    };
    settings.show("towards", goal.show);
    settings.show("distance", showDistance);
    const picture = (/** @type {string} */ label) => bench.painter.picture(label, bench.size);
    const { parts, words, content } = bench.rows(
      () => ({ before: picture("your digit"), change: picture("the change"), after: picture("what it sees now") }),
      { words: "below" },
    );

    async function update() {
      const least = settings.get("distance") === "least";
      for (const network of bench.names) {
        const image = bench.digit;
        const target = settings.get("towards") === "away" ? null : Number(settings.get("towards"));
        if (least) words[network].textContent = "Searching for the smallest change …";
        const values = { image, target, steps: STEPS };
        const found = least
          ? await bench.ask("minimum-norm attack", "minimumNorm", network, { ...values, tolerance: TOLERANCE })
          : await bench.ask("attack", "attack", network, { ...values, eps: settings.get("eps") });
        if (!found) return;
        draw(network, image, target, found);
      }
    }

    /** @param {string} network @param {Float32Array} image @param {number | null} target @param {Found} found */
    function draw(network, image, target, found) {
      const row = parts[network];
      const [before, after] = [verdict(found.before), verdict(found.logits)];
      const change = found.image.map((value, at) => value - image[at]);
      const eps = found.eps === undefined ? settings.get("eps") : found.eps;
      row.before.show(image, before.text);
      row.change.show(
        change,
        eps === null ? "no change" : `change, at most ${eps.toFixed(found.eps === undefined ? 2 : 3)}`,
        { kind: "signed", limit: MOST },
      );
      row.after.show(found.image, after.text);
      const fooled = after.digit !== before.digit && (target === null || after.digit === target);
      if (eps !== null) {
        bench.engine.measured({ what: "attack", network, before: before.digit, target, fooled, eps });
      }
      row.after.figure.classList.toggle("lab-fooled", fooled);
      words[network].textContent = summary(network, { before: before.digit, after: after.digit, fooled, target, eps });
    }

    /** @param {string} network
     *  @param {{ before: number, after: number, fooled: boolean, target: number | null, eps: number | null }} found */
    function summary(network, { before, after, fooled, target, eps }) {
      const key = `${target} ${bench.digit.reduce((sum, value, at) => sum + value * (at + 1), 0)}`;
      if (key !== recorded) for (const name of bench.names) delete records[name];
      recorded = key;
      if (before === target) return `It sees a ${target} already: choose another digit to push it to.`;
      if (eps === null) return `Not fooled: no change was found that does it. It still sees a ${after}.`;
      if (fooled) records[network] = Math.min(records[network] ?? 1, eps);
      const record =
        network in records ? ` Smallest eps so far that did it: ${records[network].toFixed(3).replace(/0$/, "")}.` : "";
      return fooled ? `Fooled: it now sees a ${after}.${record}` : `Not fooled: it still sees a ${after}.${record}`;
    }

    const legend = bench.painter.scale("signed", `− ${MOST}`, `+ ${MOST}`, "change of a pixel; black is 0, white is 1");
    const controls = element("div", { class: "lab-controls" }, goal.element, reach.element, strength.element);
    return { content: [controls, ...content, legend], update };
  },
};
