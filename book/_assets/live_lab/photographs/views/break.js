// The reader's photo, attacked: pushed away from what the network sees, or into any class; and what undoes it.
import { chart } from "../../chart.js";
import { element } from "../../dom.js";
import { newest } from "../../failure.js";
import { best, percent, probabilities, wholePercent } from "../../numbers.js";
import { number, settingSlider, word } from "../../settings.js";
import { shifted } from "../../worker/making_tasks.js";
import { classMenu } from "../class_menu.js";
import { colourPicture } from "../colour_picture.js";
import { asJpeg, differing } from "../cures.js";
import { UNSURE } from "../says.js";

/** @import {PhotographView} from "../../types.js" */
/** @typedef {{ image: Float32Array, logits: Float32Array }} Made */

const STEPS = 20; // towards a class; away from one, a single step does it
const LEVELS = 255;
const LOUD = 0.4; // of the range of colours, to which the largest change is enlarged

/** @type {PhotographView} */
export const breakIt = {
  name: "break",
  title: "Break",
  settings: {
    towards: word(),
    eps: number(2, { min: 0, max: 16 }),
    quality: number(60, { min: 5, max: 100 }),
    shift: number(8, { min: 0, max: 40 }),
  },

  build(bench, settings) {
    /** @type {Made | null} */
    let pushed = null;
    let seen = 0; // the class of the photo when it was attacked
    let turns = 0; // of attacks: an older one says nothing any more
    const changed = () => attack().catch(bench.failed);
    const goal = classMenu({
      label: "push it into",
      names: bench.names,
      empty: "anything else",
      change: (name) => {
        settings.set("towards", name);
        changed();
      },
    });
    settings.show("towards", goal.show);
    const strength = settingSlider(settings, "eps", {
      step: 0.5,
      text: (value) => `${value} / ${LEVELS}`,
      changed,
    });
    const stop = element("button", { type: "button", disabled: true, onclick: () => bench.stop() }, "Stop");
    const pictures = {
      photo: colourPicture("the photo", bench.size),
      change: colourPicture("the change", bench.size),
      pushed: colourPicture("what it sees now", bench.size),
      random: colourPicture("the same push at random", bench.size),
    };
    const words = element("output", { class: "lab-words" });
    const curve = chart({
      title: "probability, step by step",
      across: "step",
      bounds: [0, 1],
      ticks: [0, 0.25, 0.5, 0.75, 1],
      text: wholePercent,
    });
    const table = cureTable();
    const again = () => cure(undefined);
    const quality = settingSlider(settings, "quality", { label: "JPEG quality", step: 5, changed: again });
    const shift = settingSlider(settings, "shift", { step: 1, text: (value) => `${value} pixels`, changed: again });

    /** A class and how likely it is. @param {Float32Array} logits */
    const says = (logits) => {
      const label = best(logits);
      return `${bench.names[label]}, ${percent(probabilities(logits)[label])}`;
    };

    /** The class to reach; null for away. */
    const target = () => {
      const at = bench.names.indexOf(settings.get("towards"));
      return at < 0 ? null : at;
    };

    async function attack() {
      turns += 1;
      const turn = turns;
      const { image } = bench;
      const [wanted, eps] = [target(), settings.get("eps") / LEVELS];
      [pushed, seen] = [null, bench.label];
      pictures.photo.show(image);
      pictures.photo.say(says(bench.logits));
      table.clear();
      /** @type {{ image: Float32Array, logits: Float32Array }[]} */
      const steps = [{ image, logits: bench.logits }];
      const each = (/** @type {Made} */ found) => {
        if (turn !== turns) return;
        steps.push(found);
        draw(steps, wanted);
      };
      draw(steps, wanted);
      stop.disabled = false;
      try {
        const values = { image, label: seen, target: wanted, eps, steps: wanted === null ? 1 : STEPS };
        const found = await bench.ask("an attack", "push", values, each);
        if (!found || turn !== turns) return;
        pushed = found;
        pictures.random.show(found.random.image);
        pictures.random.say(`signs drawn at random: ${says(found.random.logits)}`);
        words.textContent = summary(found, wanted);
        await cure(undefined);
      } finally {
        if (turn === turns) stop.disabled = true;
      }
    }

    /** @param {Made[]} steps @param {number | null} wanted */
    function draw(steps, wanted) {
      const { image, logits } = steps[steps.length - 1];
      pictures.pushed.show(image);
      pictures.pushed.say(says(logits));
      pictures.pushed.figure.classList.toggle("lab-fooled", best(logits) !== seen);
      const { change, gain } = differing(image, bench.image, LOUD);
      pictures.change.show(change);
      pictures.change.say(gain ? `the change, enlarged ${gain.toFixed(0)} times around grey` : "no change");
      const line = (/** @type {number} */ label) =>
        steps.map((each, step) => /** @type {[number, number]} */ ([step, probabilities(each.logits)[label]]));
      const curves = [{ name: bench.names[seen], style: "lab-ordinary", points: line(seen) }];
      const other = wanted ?? best(logits);
      if (other !== seen) curves.push({ name: bench.names[other], style: "lab-robust", points: line(other) });
      curve.show(curves, wanted === null ? 1 : STEPS);
      words.textContent = steps.length > 1 ? `Step ${steps.length - 1}.` : "Computing the first step …";
    }

    /** @param {Made & { random: Made }} found @param {number | null} wanted */
    function summary(found, wanted) {
      const now = best(found.logits);
      const name = bench.names[now];
      if (wanted === seen) return `It sees ${name} already: choose another class.`;
      const eps = `No colour of a pixel changed by more than ${settings.get("eps")} of 255 steps`;
      const random = best(found.random.logits) === seen ? "does not change what it sees" : "changes what it sees, too";
      const chance = `The same push with signs drawn at random ${random}.`;
      if (now === seen) return `Not fooled: it still sees ${name}. ${eps}. Try a larger eps.`;
      if (wanted !== null && now !== wanted) return `Not there yet: it sees ${name}. ${eps}. ${chance}`;
      const before = probabilities(bench.logits)[seen];
      const unsure = before < UNSURE ? " It was unsure before: that takes little." : "";
      return `Fooled: it sees ${name}. ${eps}. ${chance}${unsure}`;
    }

    const cure = newest(async () => {
      if (!pushed) return;
      const [size, by, attacked] = [bench.size, settings.get("shift"), pushed];
      const pair = [bench.image, attacked.image];
      const treated = [
        ...pair,
        ...(await Promise.all(pair.map((image) => asJpeg(image, size, settings.get("quality") / 100)))),
        ...pair.map((image) => shifted(image, [3, size.height, size.width], 0, by)),
      ];
      const images = new Float32Array(treated.length * bench.image.length);
      treated.forEach((image, at) => images.set(image, at * bench.image.length));
      const { logits } = await bench.ask("a look", "predict", { image: images });
      if (attacked !== pushed) return;
      const classes = bench.names.length;
      const found = treated.map((_, at) => logits.subarray(at * classes, (at + 1) * classes));
      table.show(
        [
          "as they are",
          `saved as JPEG, quality ${settings.get("quality")}`,
          `shifted by ${by} pixels to the right`,
        ].map((name, row) => ({ name, cells: [found[2 * row], found[2 * row + 1]].map(says) })),
      );
      table.say(cured(best(found[3]), best(found[5])));
    }, bench.failed);

    /** @param {number} saved @param {number} moved what is seen in the attacked photo after each */
    function cured(saved, moved) {
      if (!pushed || best(pushed.logits) === seen) return "There is nothing to undo: the network is not fooled.";
      const reached = best(pushed.logits);
      const outcome = (/** @type {number} */ label) =>
        label === seen
          ? "undoes it"
          : `does not undo it: the network ${label === reached ? "still" : "then"} sees ${bench.names[label]}`;
      const defence = "That is no defence: an attacker who expects it can push through it.";
      return `The JPEG file ${outcome(saved)}. The shift ${outcome(moved)}.${[saved, moved].includes(seen) ? ` ${defence}` : ""}`;
    }

    return {
      content: [
        element("div", { class: "lab-controls" }, goal.element, strength.element, stop),
        element("div", { class: "lab-pictures lab-two" }, ...Object.values(pictures).map(({ figure }) => figure)),
        words,
        element("div", { class: "lab-charts" }, curve.figure),
        element("h3", {}, "Can it be undone?"),
        element("div", { class: "lab-controls" }, quality.element, shift.element),
        ...table.content,
      ],
      update: attack,
    };
  },
};

/** What is seen in the photo and in the attacked one, after each treatment. */
function cureTable() {
  const rows = element("tbody");
  const words = element("output", { class: "lab-words" });
  const head = ["what is done", "the photo", "the attacked photo"].map((name) => element("th", { scope: "col" }, name));
  const table = element("table", { class: "lab-cures" }, element("thead", {}, element("tr", {}, ...head)), rows);
  return {
    content: [table, words],
    clear() {
      rows.replaceChildren();
      words.textContent = "";
    },
    /** @param {{ name: string, cells: string[] }[]} found */
    show(found) {
      rows.replaceChildren(
        ...found.map(({ name, cells }) =>
          element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((text) => element("td", {}, text))),
        ),
      );
    },
    /** @param {string} text */
    say(text) {
      words.textContent = text;
    },
  };
}
