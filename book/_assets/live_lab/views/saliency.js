// The gradient of a digit's logit, and its mean over noisy copies, for both networks.
import { DIGITS, element, menu } from "../dom.js";
import { extent, verdict } from "../numbers.js";
import { choice, number, settingSlider } from "../settings.js";

/** @import {Picture} from "../colours.js" */
/** @import {View} from "../types.js" */

const SAMPLES = 25;

/** @type {View} */
export const saliency = {
  name: "saliency",
  title: "Which pixels?",
  settings: { logit: choice("seen", ["seen", ...DIGITS]), noise: number(0.15, { min: 0, max: 0.5 }) },

  build(bench, settings) {
    const changed = () => {
      update().catch(bench.failed);
    };
    const which = menu(
      "explain the logit of",
      [["seen", "what it sees"], ...DIGITS.map((digit) => /** @type {[string, string]} */ ([digit, digit]))],
      (value) => {
        settings.set("logit", value);
        changed();
      },
    );
    const amount = settingSlider(settings, "noise", {
      label: "noise of SmoothGrad",
      step: 0.05,
      text: (value) => value.toFixed(2),
      changed,
    });
    settings.show("logit", which.show);
    const picture = (/** @type {string} */ label) => bench.painter.picture(label, bench.size);
    const { parts, content } = bench.rows(() => ({
      digit: picture("your digit"),
      plain: picture("gradient"),
      smooth: picture("SmoothGrad"),
    }));

    async function update() {
      for (const [network, row] of Object.entries(parts)) {
        const image = bench.digit;
        const asked = settings.get("logit");
        const digit = asked === "seen" ? verdict(bench.logits[network]).digit : Number(asked);
        row.digit.show(image, `the logit of ${digit}`);
        const plain = await bench.ask("gradient", "saliency", network, { image, digit });
        if (!plain) return;
        draw(row.plain, plain.gradient, "gradient");
        const values = { image, digit, noise: settings.get("noise"), samples: SAMPLES };
        const smooth = await bench.ask(`SmoothGrad of ${SAMPLES}`, "smoothgrad", network, values);
        if (!smooth) return;
        draw(row.smooth, smooth.gradient, "SmoothGrad");
      }
    }

    /** @param {Picture} map @param {Float32Array} gradient @param {string} name */
    function draw(map, gradient, name) {
      const limit = extent(gradient);
      const at = gradient.findIndex((value) => Math.abs(value) === limit);
      const text = `${name}, ± ${limit.toPrecision(2)}`;
      const [row, column] = [Math.floor(at / bench.size.width), at % bench.size.width];
      const spoken =
        at < 0 ? `${text}; it is zero everywhere` : `${text}; the strongest pixel is in row ${row}, column ${column}`;
      map.show(gradient, text, { kind: "signed", limit, spoken });
    }

    const legend = bench.painter.scale(
      "signed",
      "less ink",
      "more ink",
      "would raise the logit; each map's scale is below it",
    );
    return {
      content: [element("div", { class: "lab-controls" }, which.element, amount.element), ...content, legend],
      update,
    };
  },
};
