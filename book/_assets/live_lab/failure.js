// Whatever goes wrong is said in one sentence that also says what to do.

/** A failure whose message is a whole sentence for the reader. */
export class Failure extends Error {}

/** The worker is gone; the next question starts it again. */
export class Stopped extends Error {}

const MEMORY = /memory|alloc|out of bounds|overflow/i; // as browsers and the runtime put it

/** @param {unknown} error @param {string} next what the reader can do */
export function sentence(error, next) {
  if (error instanceof Failure) return error.message;
  const reason = (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
  if (error instanceof Stopped)
    return `The networks stopped (${reason}). Nothing is lost, and they start anew. ${next}`;
  if (MEMORY.test(reason)) return `There is not enough memory here for that. Close other tabs. ${next}`;
  return `That failed: ${reason}. ${next}`;
}

/** A function that does its work for the newest value only, one at a time; its promise is kept when nothing is left to do.
 *  Whatever fails is handed to `failed`, and the next value has its turn all the same.
 *  @template T @param {(value: T) => Promise<void>} work @param {(error: unknown) => void} failed
 *  @returns {(value: T) => Promise<void>} */
export function newest(work, failed) {
  /** @type {{ value: T } | undefined} */
  let waiting;
  /** @type {Promise<void> | undefined} */
  let running;
  const run = async () => {
    while (waiting) {
      const { value } = waiting;
      waiting = undefined;
      try {
        await work(value);
      } catch (error) {
        failed(error);
      }
    }
    running = undefined;
  };
  return (value) => {
    waiting = { value };
    running ??= run();
    return running;
  };
}
