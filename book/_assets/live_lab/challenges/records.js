// The best that a reader has reached for each goal, kept in the browser.
import { GOALS } from "./goals.js";

/** @import {Goal} from "./goals.js" */
/** @import {Measured} from "../types.js" */

const KEY = "live lab: challenges";

/** Whether one value is better than another, of which there may be none.
 *  @param {Goal} goal @param {number} value @param {number | undefined} other */
function better({ less }, value, other) {
  return other === undefined || (less ? value < other : value > other);
}

/** @param {Goal} goal @param {number | undefined} value */
export function reached({ less, enough }, value) {
  return value !== undefined && (less ? value <= enough : value >= enough);
}

/** Numbers for the goals that have one; what is none is left out. @param {Record<string, unknown>} pairs */
export function sensible(pairs) {
  /** @type {Record<string, number>} */
  const found = {};
  for (const { id } of GOALS) {
    const value = Number(pairs[id] ?? NaN);
    if (Number.isFinite(value) && pairs[id] !== "") found[id] = value;
  }
  return found;
}

export class Records {
  /** @param {Pick<Storage, "getItem" | "setItem"> | null} storage none where the browser refuses it */
  constructor(storage) {
    this.storage = storage;
    try {
      this.best = sensible(JSON.parse(storage?.getItem(KEY) ?? "{}"));
    } catch {
      /** @type {Record<string, number>} */
      this.best = {};
    }
  }

  /** Take note of what has happened: the goals of which it is the best so far. @param {Measured} found */
  note(found) {
    const news = GOALS.filter((goal) => {
      const value = goal.value(found);
      if (value === null || !better(goal, value, this.best[goal.id])) return false;
      const before = reached(goal, this.best[goal.id]);
      this.best[goal.id] = value;
      return !before && reached(goal, value);
    });
    this.#write();
    return news;
  }

  clear() {
    this.best = {};
    this.#write();
  }

  #write() {
    try {
      this.storage?.setItem(KEY, JSON.stringify(this.best));
    } catch {
      // full, or refused: the records last as long as the page
    }
  }
}

/** The browser's memory, or null where it refuses it. */
export function memory() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
