// Curves that grow: a small chart as SVG, whose words say the newest values to those who do not see it.

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [320, 170, 42, 34, 10, 12];
/** @typedef {{ name: string, style: string, points: [x: number, y: number][], dashed?: boolean }} Curve */

/** @param {string} tag @param {Record<string, string | number>} attributes @param {(Node | string)[]} children */
function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** @param {{ title: string, across: string, bounds: [number, number], ticks: number[], text: (value: number) => string,
 *            far?: (value: number) => string }} options `bounds` of the upright axis; `text` of a number on it, `far` of
 *            one on the other */
export function chart({ title, across, bounds: [low, high], ticks, text, far = String }) {
  const label = svg("title", {}, title);
  const frame = svg("g", { class: "lab-axes" });
  const lines = svg("g", {});
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" }, label, frame, lines);
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const legend = document.createElement("span");
  caption.append(title, " ", legend);
  figure.className = "lab-chart";
  figure.append(caption, picture);
  const down = (/** @type {number} */ value) =>
    TOP + (1 - (Math.min(Math.max(value, low), high) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);

  /** @param {Curve[]} curves @param {number} end of the axis */
  function show(curves, end) {
    const right = (/** @type {number} */ value) => LEFT + (value / (end || 1)) * (WIDTH - LEFT - RIGHT);
    frame.replaceChildren(
      ...ticks.flatMap((tick) => [
        svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: down(tick), y2: down(tick) }),
        svg("text", { x: LEFT - 5, y: down(tick) + 4, "text-anchor": "end" }, text(tick)),
      ]),
      svg("text", { x: LEFT, y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, far(0)),
      svg("text", { x: WIDTH - RIGHT, y: HEIGHT - BOTTOM + 15, "text-anchor": "end" }, far(end)),
      svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, across),
    );
    const seen = curves.filter(({ points }) => points.length);
    lines.replaceChildren(
      ...seen.flatMap(({ points, style, dashed }) => {
        const finite = points.filter(([, y]) => Number.isFinite(y));
        const way = finite.map(([x, y]) => `${right(x).toFixed(1)},${down(y).toFixed(1)}`).join(" ");
        const [x, y] = finite[finite.length - 1] ?? [0, low];
        return [
          svg("polyline", { points: way, class: `lab-curve ${style}`, "stroke-dasharray": dashed ? "4 3" : "none" }),
          svg("circle", { cx: right(x), cy: down(y), r: 3, class: `lab-dot ${style}` }),
        ];
      }),
    );
    legend.replaceChildren(
      ...seen.map(({ name, style, dashed }) => {
        const key = document.createElement("span");
        key.className = `lab-key ${style}${dashed ? " lab-dashed" : ""}`;
        key.textContent = name;
        return key;
      }),
    );
    const newest = seen.map(({ name, points }) => `${name} ${text(points[points.length - 1][1])}`);
    label.textContent = newest.length ? `${title}: ${newest.join(", ")}` : `${title}: nothing yet`;
  }
  show([], 1);
  return { figure, show };
}
