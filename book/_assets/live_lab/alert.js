// The place where a bench says what went wrong, with a button that tries again.
import { element } from "./dom.js";
import { sentence } from "./failure.js";

/** @param {string} next what the reader can do @param {() => unknown} retry */
export function alertBox(next, retry) {
  const box = element("p", { class: "lab-alert", role: "alert", hidden: true });
  return {
    element: box,
    hide: () => {
      box.hidden = true;
    },
    /** @param {unknown} error @param {string} [more] what else there is to say */
    show: (error, more = "") => {
      console.error(error);
      const again = element("button", { type: "button", onclick: () => retry() }, "Try again");
      box.replaceChildren(sentence(error, next), more && ` ${more}`, " ", again);
      box.hidden = false;
    },
  };
}
