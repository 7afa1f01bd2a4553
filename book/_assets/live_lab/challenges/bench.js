// The list of challenges: what to try, the best so far, and a link that shows it to somebody else.
import { element } from "../dom.js";
import { formatAddress } from "../settings.js";
import { GOALS } from "./goals.js";
import { reached, sensible } from "./records.js";

/** @import {Goal} from "./goals.js" */
/** @import {Records} from "./records.js" */

export class Challenges {
  /** What somebody else has reached, from a link. @type {Record<string, number>} */
  #theirs = {};
  #list = element("ol", { class: "lab-goals" });
  #count = element("p", { role: "status" });
  #copied = element("span", { role: "status" });

  /** @param {{ records: Records, moved: (address: string) => void }} options */
  constructor({ records, moved }) {
    this.records = records;
    this.moved = moved;
    const button = (/** @type {string} */ text, /** @type {() => unknown} */ act) =>
      element("button", { type: "button", onclick: () => act() }, text);
    this.content = [
      element(
        "p",
        {},
        "Goals to try. The lab notices by itself when you reach one, wherever in it you are. What you have reached stays in " +
          "this browser; nothing is sent anywhere.",
      ),
      this.#count,
      this.#list,
      element(
        "div",
        { class: "lab-controls" },
        button("Copy a link that shows what you have reached", () => this.#copy()),
        button("Forget all of it", () => {
          this.records.clear();
          this.show();
        }),
        this.#copied,
      ),
    ];
  }

  address() {
    const { best } = this.records;
    return formatAddress(
      "challenges",
      Object.fromEntries(Object.entries(best).map(([id, value]) => [id, String(Number(value.toPrecision(4)))])),
    );
  }

  /** @param {{ pairs: Record<string, string> }} address */
  take({ pairs }) {
    this.#theirs = sensible(pairs);
    this.show();
  }

  /** Whether a challenge has been reached. @param {string} id */
  has(id) {
    return GOALS.some((goal) => goal.id === id && reached(goal, this.records.best[id]));
  }

  show() {
    const done = GOALS.filter(({ id }) => this.has(id)).length;
    this.#count.textContent = `${done} of ${GOALS.length} reached.`;
    this.#list.replaceChildren(...GOALS.map((goal) => this.#item(goal)));
    this.#copied.textContent = "";
  }

  /** @param {Goal} goal */
  #item(goal) {
    const { id, words, address, enough, less, text } = goal;
    const [own, theirs] = [this.records.best[id], this.#theirs[id]];
    const done = this.has(id);
    const parts = [
      `wanted: ${less ? "at most" : "at least"} ${text(enough)}`,
      own === undefined ? "yours: not yet" : `yours: ${text(own)}${done ? ", reached" : ""}`,
      ...(theirs === undefined ? [] : [`in the link: ${text(theirs)}`]),
    ];
    return element(
      "li",
      { class: done ? "lab-done" : "" },
      element("span", {}, words),
      element("small", {}, parts.join(" · ")),
      element("a", { href: address }, "Go there"),
    );
  }

  async #copy() {
    const link = `${location.href.split("#")[0]}${this.address()}`;
    this.moved(this.address());
    try {
      await navigator.clipboard.writeText(link);
      this.#copied.textContent = "Copied.";
    } catch {
      this.#copied.textContent = "Your browser does not let a page copy: the link is in the address bar now.";
    }
  }
}
