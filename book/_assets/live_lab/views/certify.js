// A network that comes with a proof: no change of at most eps can alter what it reads, beside an attack on the ordinary one.
import { element } from "../dom.js";
import { verdict } from "../numbers.js";
import { offerButton } from "../offer.js";
import { number, settingSlider } from "../settings.js";

/** @import {View} from "../types.js" */

const CERTIFIED = "mnist-certified";
const ORDINARY = "mnist";
const [STEPS, MOST] = [20, 0.4];

/** @type {View} */
export const certify = {
  name: "certify",
  title: "Prove it",
  settings: { eps: number(0.1, { min: 0, max: MOST }) },

  build(bench, settings) {
    const { engine, painter, size } = bench;
    const picture = (/** @type {string} */ label) => painter.picture(label, size);
    const row = { digit: picture("your digit"), low: picture("the darkest"), high: picture("the lightest") };
    const attack = { before: picture("your digit"), change: picture("the change"), after: picture("what it sees now") };
    const words = {
      proof: element("output", { class: "lab-words" }),
      attack: element("output", { class: "lab-words" }),
    };
    const strength = settingSlider(settings, "eps", {
      step: 0.01,
      text: (value) => value.toFixed(2),
      changed: () => update().catch(bench.failed),
    });
    const offer = element("div");
    offerButton(offer, "Open the certified network", engine.certified?.contents.bytes ?? 0, async (report) => {
      await engine.loadCertified(report);
      await update().catch(bench.failed);
      return strength.input;
    });
    const pictures = (/** @type {Record<string, import("../colours.js").Picture>} */ parts) =>
      element("div", { class: "lab-pictures" }, ...Object.values(parts).map(({ figure }) => figure));
    const body = element(
      "div",
      { hidden: true },
      element("div", { class: "lab-controls" }, strength.element),
      element("h3", { class: "lab-heading lab-certified" }, "certified network: a proof"),
      pictures(row),
      words.proof,
      element("h3", { class: "lab-heading lab-ordinary" }, "ordinary network: an attack"),
      pictures(attack),
      words.attack,
    );

    /** The largest eps that has been proved, and for which digit. @type {{ image: Float32Array, most: number } | null} */
    let proved = null;

    async function update() {
      const ready = engine.names.includes(CERTIFIED);
      [offer.hidden, body.hidden] = [ready, !ready];
      if (!ready) return;
      const eps = settings.get("eps");
      const image = bench.digit;
      const same = proved?.image === image;
      const values = { image, eps, known: same ? proved?.most : null };
      const found = await bench.ask("proof", "certify", CERTIFIED, values);
      if (!found) return;
      proved = { image, most: found.most };
      const { digit } = verdict(found.logits);
      row.digit.show(image, verdict(found.logits).text);
      row.low.show(
        image.map((value) => Math.max(value - eps, 0)),
        "the darkest it may become",
      );
      row.high.show(
        image.map((value) => Math.min(value + eps, 1)),
        "the lightest",
      );
      const [other, least] = closest(found.margins);
      const far = `The ${digit} is proved for every eps up to ${found.most.toFixed(3)}.`;
      words.proof.textContent =
        least > 0
          ? `Proved: whatever happens to the pixels, none of them changing by more than ${eps.toFixed(2)}, this network ` +
            `reads a ${digit}. The ${other} comes closest, and stays at least ${least.toFixed(1)} logits behind. ${far}`
          : `Not proved at this eps: the bound lets a ${other} overtake the ${digit} by ${(-least).toFixed(1)} logits. ` +
            `That is no attack; there may be no such change. ${far}`;
      if (same) return; // and so is the attack
      const tried = await bench.ask("attack", "minimumNorm", ORDINARY, {
        image,
        target: null,
        steps: STEPS,
        tolerance: 0.02,
      });
      if (tried) show(tried);
    }

    /** @param {{ image: Float32Array, before: Float32Array, logits: Float32Array, eps: number | null }} tried */
    function show({ image, before, logits, eps }) {
      attack.before.show(bench.digit, verdict(before).text);
      const change = image.map((value, at) => value - bench.digit[at]);
      attack.change.show(change, "the smallest change found", { kind: "signed", limit: 0.5 });
      attack.after.show(image, verdict(logits).text);
      attack.after.figure.classList.toggle("lab-fooled", eps !== null);
      words.attack.textContent =
        eps === null
          ? "No change was found that fools the ordinary network; that proves nothing."
          : `An attack needs no more than eps ${eps.toFixed(3)} to make the ordinary network read a ${verdict(logits).digit}.`;
    }

    return { content: [offer, body], update };
  },
};

/** The digit with the lowest bound, and the bound. @param {Float64Array} margins @returns {[number, number]} */
function closest(margins) {
  let place = 0;
  margins.forEach((value, at) => {
    if (value < margins[place]) place = at;
  });
  return [place, margins[place]];
}
