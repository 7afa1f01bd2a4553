// A grey window at every position: how far ahead the digit still is. Point at the map to see the occluded digit.
import { element, isShortcut } from "../dom.js";
import { best, clamp, margin, verdict, wholePercent } from "../numbers.js";
import { occluded } from "../photographs/maps.js";
import { number, settingSlider } from "../settings.js";

/** @import {View} from "../types.js" */
/** @typedef {{ logits: Float32Array, across: number, digit: number, margins: Float32Array }} Result */

const GREY = 0.5;
/** @type {Record<string, [down: number, right: number]>} */
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** @type {View} */
export const occlusion = {
  name: "occlusion",
  title: "Cover it",
  settings: { window: number(6, { min: 3, max: 12 }) },

  build(bench, settings) {
    const { width, height } = bench.size;
    const size = settingSlider(settings, "window", {
      step: 1,
      text: (value) => `${value} × ${value}`,
      changed: () => {
        place = null;
        update().catch(bench.failed);
      },
    });
    /** @type {Record<string, Result>} */
    const results = {};
    /** The window's upper left corner. @type {[row: number, column: number] | null} */
    let place = null;
    const { parts, words, content } = bench.rows(
      () => ({
        map: bench.painter.picture("margin", bench.size),
        occluded: bench.painter.picture("occluded", bench.size),
      }),
      { words: "beside" },
    );
    for (const {
      map: { canvas },
    } of Object.values(parts)) {
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "application");
      for (const kind of /** @type {const} */ (["pointermove", "pointerdown"])) {
        canvas.addEventListener(kind, (event) => point(canvas, event));
      }
      canvas.addEventListener("keydown", walk);
    }

    const inside = (/** @type {number} */ row, /** @type {number} */ column) =>
      /** @type {[number, number]} */ ([
        clamp(row, 0, height - settings.get("window")),
        clamp(column, 0, width - settings.get("window")),
      ]);

    /** @param {HTMLCanvasElement} canvas @param {PointerEvent} event */
    function point(canvas, event) {
      const box = canvas.getBoundingClientRect();
      const half = settings.get("window") >> 1;
      occlude(
        inside(
          Math.floor(((event.clientY - box.top) / box.height) * height) - half,
          Math.floor(((event.clientX - box.left) / box.width) * width) - half,
        ),
      );
    }

    /** @param {KeyboardEvent} event */
    function walk(event) {
      if (!(event.key in MOVES) || isShortcut(event)) return;
      event.preventDefault();
      const [down, right] = MOVES[event.key];
      const [row, column] = place ?? [0, 0];
      occlude(inside(row + down, column + right));
    }

    /** Show the digit with the window there, and what each network makes of it. @param {[number, number]} to */
    function occlude(to) {
      place = to;
      const [row, column] = place;
      const side = settings.get("window");
      const image = occluded(bench.digit, bench.size, { top: row, left: column, window: side, fill: GREY });
      for (const [network, { logits, across }] of Object.entries(results)) {
        const at = (row * across + column) * bench.classes;
        const { text } = verdict(logits.subarray(at, at + bench.classes));
        parts[network].occluded.show(image, text);
        parts[network].map.mark(row, column, side, side);
        words[network].textContent = `Window at row ${row}, column ${column}: ${text}.`;
      }
    }

    async function update() {
      for (const network of bench.names) {
        const { digit } = verdict(bench.logits[network]);
        const progress = (/** @type {{ share: number }} */ { share }) => {
          words[network].textContent = `${wholePercent(share)} of the positions`;
        };
        const { label } = bench.pad;
        const values = { image: bench.digit, window: settings.get("window") };
        const found = await bench.ask("occlusion map", "occlusion", network, values, progress);
        if (!found) return;
        const { logits, across } = found;
        const margins = new Float32Array(logits.length / bench.classes);
        for (let at = 0; at < margins.length; at++) {
          margins[at] = margin(logits.subarray(at * bench.classes, (at + 1) * bench.classes), digit);
        }
        results[network] = { logits, across, digit, margins };
        const { window } = values;
        bench.engine.measured({ what: "occlusion", network, label, window, margin: Math.min(...margins) });
        draw(network);
      }
      occlude(place ? inside(...place) : lowest());
    }

    /** Where the first network is hurt most. @returns {[number, number]} */
    function lowest() {
      const { across, margins } = results[bench.names[0]];
      const at = best(margins.map((value) => -value));
      return [Math.floor(at / across), at % across];
    }

    /** @param {string} network */
    function draw(network) {
      const { across, digit, margins } = results[network];
      const map = new Float32Array(width * height).fill(NaN);
      const half = settings.get("window") >> 1;
      margins.forEach((value, at) => {
        map[(Math.floor(at / across) + half) * width + (at % across) + half] = value;
      });
      const [least, most] = [Math.min(...margins), Math.max(...margins)];
      const text = `margin of ${digit}: ${least.toFixed(1)} to ${most.toFixed(1)}`;
      parts[network].map.show(map, text, {
        kind: "heat",
        limit: Math.max(most, 1e-9),
        spoken: `${text}. Arrow keys move the window.`,
      });
    }

    const legend = bench.painter.scale(
      "heat",
      "0",
      "its largest",
      "margin in logits with the window centred here; at 0 another digit takes over",
    );
    return { content: [element("div", { class: "lab-controls" }, size.element), ...content, legend], update };
  },
};
