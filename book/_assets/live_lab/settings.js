// What a reader can set in a view, and how it stands in the page's address: #attack&digit=7&eps=0.15
import { slider } from "./dom.js";

/** One setting: where it begins, and which value a text from an address stands for (undefined for none).
 *  @typedef {{ initial: any, min?: number, max?: number, read(text: string): any }} Setting */

/** A number from `min` to `max`. @param {number} initial @param {{ min: number, max: number }} bounds */
export const number = (initial, { min, max }) => ({
  initial,
  min,
  max,
  read(/** @type {string} */ text) {
    const value = text.trim() === "" ? NaN : Number(text);
    return value >= min && value <= max ? value : undefined;
  },
});

/** One of some words or numbers. @param {string} initial @param {readonly string[]} allowed */
export const choice = (initial, allowed) => ({
  initial,
  read: (/** @type {string} */ text) => (allowed.includes(text) ? text : undefined),
});

/** The name of something, which may not be there. @param {string} [initial] */
export const word = (initial = "") => ({ initial, read: (/** @type {string} */ text) => text });

/** A fixed count of numbers, separated by commas. @param {number[]} initial */
export const numbers = (initial) => ({
  initial,
  read(/** @type {string} */ text) {
    const values = text.split(",").map((part) => (part.trim() === "" ? NaN : Number(part)));
    return values.length === initial.length && values.every(Number.isFinite) ? values : undefined;
  },
});

/** The values of one view's settings, with the controls that show them. */
export class Settings {
  /** @type {Record<string, any>} */
  #values;
  /** @type {Record<string, (value: any) => void>} */
  #shown = {};

  /** @param {Record<string, Setting>} known @param {() => void} changed */
  constructor(known, changed) {
    this.known = known;
    this.changed = changed;
    this.#values = Object.fromEntries(Object.entries(known).map(([name, { initial }]) => [name, initial]));
  }

  /** @param {string} name */
  get(name) {
    return this.#values[name];
  }

  /** Change a value as the reader does, who already sees it. @param {string} name @param {any} value */
  set(name, value) {
    this.#values[name] = value;
    this.changed();
  }

  /** Have a control show this setting, now and whenever an address changes it.
   *  @param {string} name @param {(value: any) => void} show */
  show(name, show) {
    this.#shown[name] = show;
    show(this.get(name));
  }

  /** Take over what an address says; what it does not mention, or cannot mean, goes back to where it began.
   *  @param {Record<string, string>} pairs */
  take(pairs) {
    for (const [name, { initial, read }] of Object.entries(this.known)) {
      this.#values[name] = (name in pairs ? read(pairs[name]) : undefined) ?? initial;
      this.#shown[name]?.(this.#values[name]);
    }
  }

  /** What differs from the beginning, as texts. @returns {Record<string, string>} */
  pairs() {
    const differing = Object.entries(this.known).filter(
      ([name, { initial }]) => String(this.get(name)) !== String(initial),
    );
    return Object.fromEntries(differing.map(([name]) => [name, String(this.get(name))]));
  }
}

/** A slider for one of these settings, which must be a number; `changed` hears of what the reader does with it.
 *  @param {Settings} settings @param {string} name
 *  @param {{ label?: string, step: number, text?: (value: number) => string, changed?: () => void }} options */
export function settingSlider(settings, name, { label = name, step, text, changed }) {
  const { min, max } = settings.known[name];
  if (min === undefined || max === undefined) throw new Error(`the setting ${name} is not a number`);
  const made = slider(label, {
    min,
    max,
    step,
    text,
    change: (value) => {
      settings.set(name, value);
      changed?.();
    },
  });
  settings.show(name, made.show);
  return made;
}

/** @param {string} hash such as "#attack&digit=7" @returns {{ view: string, pairs: Record<string, string> }} */
export function parseAddress(hash) {
  const [view, ...parts] = hash.replace(/^#/, "").split("&");
  const pairs = parts.map((part) => {
    const [name, ...value] = part.split("=");
    return [decoded(name), decoded(value.join("="))];
  });
  return { view: decoded(view), pairs: Object.fromEntries(pairs) };
}

/** @param {string} view @param {Record<string, string>} pairs */
export function formatAddress(view, pairs) {
  const escaped = (/** @type {string} */ text) =>
    encodeURIComponent(text).replaceAll("%2C", ",").replaceAll("%20", "+");
  return `#${[view, ...Object.entries(pairs).map(([name, value]) => `${name}=${escaped(value)}`)].join("&")}`;
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text; // a stray percent sign
  }
}
