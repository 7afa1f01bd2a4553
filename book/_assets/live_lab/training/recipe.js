// What a reader chooses before training, for each network, and how it stands in the address.
import { element, menu } from "../dom.js";
import { choice } from "../settings.js";

/** @import {Recipe} from "../types.js" */
/** @import {Settings} from "../settings.js" */
/** @typedef {{ words: string, hint: string, initial: string, values: [value: string, text: string][] }} Choice */

const plain = (/** @type {(string | number)[]} */ ...values) =>
  values.map((value) => /** @type {[string, string]} */ ([String(value), String(value)]));

/** @type {Record<string, Choice>} */
const CHOICES = {
  filters: {
    words: "filters",
    hint: "of the first convolution; each further one has twice as many",
    initial: "8",
    values: plain(4, 8, 16),
  },
  convolutions: {
    words: "depth",
    hint: "convolutions, each with a ReLU and a pooling behind it",
    initial: "2",
    values: plain(1, 2, 3),
  },
  norm: {
    words: "batch norm",
    hint: "keeps what each filter puts out at one scale",
    initial: "no",
    values: plain("no", "yes"),
  },
  rate: {
    words: "learning rate",
    hint: "how far a step goes; it falls evenly to 0",
    initial: "0.02",
    values: plain(0.001, 0.005, 0.02, 0.05, 0.2, 1, 10),
  },
  batch: { words: "batch size", hint: "digits that a step looks at", initial: "20", values: plain(10, 20, 50, 100) },
  passes: {
    words: "passes",
    hint: "how often it sees all training digits",
    initial: "6",
    values: plain(1, 2, 4, 6, 10),
  },
  shift: {
    words: "shifts",
    hint: "each digit is moved at random by up to so many pixels",
    initial: "1",
    values: plain(0, 1, 2, 3),
  },
  wrong: {
    words: "wrong labels",
    hint: "so many training digits are called something else",
    initial: "0",
    values: [
      ["0", "none"],
      ["0.1", "10%"],
      ["0.3", "30%"],
      ["0.6", "60%"],
    ],
  },
  corner: {
    words: "nuisance",
    hint: "a white corner on every 7, in training and in the test: it has nothing to do with the digit",
    initial: "none",
    values: [
      ["none", "none"],
      ["sevens", "corner on 7s"],
    ],
  },
};

/** The settings of one network, whose names begin with this. @param {string} prefix */
export function recipeSettings(prefix) {
  return Object.fromEntries(
    Object.entries(CHOICES).map(([name, { initial, values }]) => [
      prefix + name,
      choice(
        initial,
        values.map(([value]) => value),
      ),
    ]),
  );
}

/** @param {Settings} settings @param {string} prefix @param {number} seed @returns {Recipe} */
export function readRecipe(settings, prefix, seed) {
  const number = (/** @type {string} */ name) => Number(settings.get(prefix + name));
  return {
    filters: number("filters"),
    convolutions: number("convolutions"),
    norm: settings.get(`${prefix}norm`) === "yes",
    rate: number("rate"),
    batch: number("batch"),
    passes: number("passes"),
    shift: number("shift"),
    wrong: number("wrong"),
    corner: settings.get(`${prefix}corner`) === "sevens",
    eps: 0,
    attack: 0,
    seed,
  };
}

/** What the settings of one network are for a recipe, as an address has them: the opposite of `readRecipe`.
 *  @param {string} prefix @param {Recipe} recipe @returns {Record<string, string>} */
export function recipePairs(prefix, recipe) {
  const words = { ...recipe, norm: recipe.norm ? "yes" : "no", corner: recipe.corner ? "sevens" : "none" };
  const said = Object.entries(words).filter(([name]) => name in CHOICES);
  return Object.fromEntries(said.map(([name, value]) => [prefix + name, String(value)]));
}

/** The name of what is trained: networks of one shape share their graphs. @param {Recipe} recipe */
export const shapeName = ({ filters, convolutions, norm }) => `${filters}-${convolutions}-${norm ? "normed" : "plain"}`;

/** A menu for each choice, with a line that says what it does.
 *  @param {Settings} settings @param {string} prefix @param {() => void} changed */
export function recipeControls(settings, prefix, changed) {
  return Object.entries(CHOICES).map(([name, { words, hint, values }]) => {
    const { element: control, show } = menu(words, values, (value) => {
      settings.set(prefix + name, value);
      changed();
    });
    settings.show(prefix + name, (value) => {
      show(value);
      changed();
    });
    control.append(element("small", {}, hint));
    control.classList.add("lab-choice");
    return control;
  });
}
