// A button that loads something large, and says how large.
import { element } from "./dom.js";
import { sentence } from "./failure.js";

/** Put a button into a place, which goes away once what it loads is there. Whoever pressed it goes on where `start` says.
 *  @param {HTMLElement} place @param {string} words @param {number} bytes none where the page holds everything itself
 *  @param {(report: (text: string) => void) => Promise<HTMLElement>} start
 *  @param {string} [promise] what there is to expect */
export function offerButton(place, words, bytes, start, promise = "") {
  const note = element("p", { class: "lab-note", role: "status" });
  const button = element(
    "button",
    { type: "button", class: "lab-load" },
    bytes ? `${words} (loads ${(bytes / 1e6).toFixed(1)}\u00a0MB)` : words,
  );
  const offered = element("div", { class: "lab-offer" }, ...(promise ? [element("p", {}, promise)] : []), button, note);
  const report = (/** @type {string} */ text) => {
    note.textContent = text;
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const next = await start(report);
      const waiting = [button, document.body].includes(/** @type {any} */ (document.activeElement));
      offered.remove();
      if (waiting) next.focus({ preventScroll: true });
    } catch (error) {
      console.error(error);
      button.disabled = false;
      report(sentence(error, "Press the button to try again."));
    }
  });
  place.append(offered);
}
