// What there is to try: a dozen small goals, each with a measure taken from what the benches measure anyway.

/** @import {Measured} from "../types.js" */

/** `value` is the measure of something that has happened, or null where it has nothing to do with the goal.
 *  @typedef {{ id: string, words: string, address: string, enough: number, less: boolean,
 *              text(value: number): string, value(found: Measured): number | null }} Goal */

const share = (/** @type {number} */ value) => `${(100 * value).toFixed(1)}%`;
const eps = (/** @type {number} */ value) => `eps ${value.toFixed(3)}`;
const seconds = (/** @type {number} */ value) => `${value.toFixed(1)} s of computing`;

/** The accuracy on the test digits, if enough of them are read. @param {Measured} found */
const accuracy = (found) => (found.what === "test" && !found.recipe.corner ? found.accuracy : null);

/** @param {Measured} found @param {number} wanted */
const survived = (found, wanted) =>
  found.what === "robustness" ? (found.curve.find(([each]) => each === wanted)?.[1] ?? null) : null;

/** @type {Goal[]} */
export const GOALS = [
  {
    id: "two",
    words: "Make the ordinary network take a 7 for a 2, with the smallest eps you can.",
    address: "#attack&digit=7&towards=2&eps=0.3",
    enough: 0.2,
    less: true,
    text: eps,
    value: (found) =>
      found.what === "attack" && found.fooled && found.network === "mnist" && found.before === 7 && found.target === 2
        ? found.eps
        : null,
  },
  {
    id: "robust",
    words: "Fool the robust network, with the smallest eps you can.",
    address: "#attack&digit=8&distance=least",
    enough: 0.3,
    less: true,
    text: eps,
    value: (found) => (found.what === "attack" && found.fooled && found.network === "mnist-robust" ? found.eps : null),
  },
  {
    id: "differ",
    words: "Draw something that the two networks read as two different digits, both as surely as you can.",
    address: "#activations&digit=blank",
    enough: 0.6,
    less: false,
    text: share,
    value: (found) => {
      if (found.what !== "seen" || found.blank || found.label !== null) return null;
      const [first, second] = found.verdicts;
      return second && first.digit !== second.digit ? Math.min(first.probability, second.probability) : null;
    },
  },
  {
    id: "misread",
    words: "Find a test digit that both networks misread. It is easier with networks that you have trained badly.",
    address: "#activations&digit=4",
    enough: 0.4,
    less: false,
    text: share,
    value: (found) => {
      if (found.what !== "seen" || found.label === null || found.corner || found.verdicts.length < 2) return null;
      const wrong = found.verdicts.every(({ digit }) => digit !== found.label);
      return wrong ? Math.min(...found.verdicts.map(({ probability }) => probability)) : null;
    },
  },
  {
    id: "hide",
    words: "Find the smallest grey window that changes what the ordinary network sees in a test digit.",
    address: "#occlusion&digit=9&window=8",
    enough: 6,
    less: true,
    text: (value) => `${value} × ${value} pixels`,
    value: (found) =>
      found.what === "occlusion" && found.network === "mnist" && found.label !== null && found.margin < 0
        ? found.window
        : null,
  },
  {
    id: "fast",
    words:
      "Train a network to 95% of the test digits in as little time as you can. Only the computing of its steps counts, not " +
      "tests, pauses, or what else your machine does.",
    address: "#train&passes=1",
    enough: 5,
    less: true,
    text: seconds,
    value: (found) => (found.what === "test" && (accuracy(found) ?? 0) >= 0.95 ? found.seconds : null),
  },
  {
    id: "best",
    words: "Train a network to 98% of the test digits, or to more.",
    address: "#train",
    enough: 0.98,
    less: false,
    text: share,
    value: accuracy,
  },
  {
    id: "small",
    words: "Train the smallest network that reads more than 96% of the test digits.",
    address: "#train&filters=4&convolutions=3",
    enough: 15_000,
    less: true,
    text: (value) => `${value.toLocaleString("en")} weights`,
    value: (found) => (found.what === "test" && (accuracy(found) ?? 0) > 0.96 ? found.parameters : null),
  },
  {
    id: "lies",
    words: "Tell it lies: 30% of the labels or more are wrong, and still it reads 93% of the test digits.",
    address: "#train&wrong=0.3",
    enough: 0.93,
    less: false,
    text: share,
    value: (found) => (found.what === "test" && found.recipe.wrong >= 0.3 ? accuracy(found) : null),
  },
  {
    id: "cheat",
    words:
      "Train with the white corner on every 7, put the corner on a test digit that is no 7, and have the network read a 7.",
    address: "#train&corner=sevens",
    enough: 0.5,
    less: false,
    text: share,
    value: (found) => {
      if (found.what !== "seen" || !found.corner || found.label === null || found.label === 7) return null;
      const fooled = found.verdicts.filter(({ digit, recipe }) => digit === 7 && recipe?.corner);
      return fooled.length ? Math.max(...fooled.map(({ probability }) => probability)) : null;
    },
  },
  {
    id: "harden",
    words: "Harden a network until it reads 80% of the digits that an attack of eps 0.1 has changed.",
    address: "#train",
    enough: 0.8,
    less: false,
    text: share,
    value: (found) => survived(found, 0.1),
  },
  {
    id: "harder",
    words: "The same with eps 0.2: keep 60%.",
    address: "#train",
    enough: 0.6,
    less: false,
    text: share,
    value: (found) => survived(found, 0.2),
  },
];
