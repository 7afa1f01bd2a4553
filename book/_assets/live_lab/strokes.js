// Strokes of the pen, lists of [x, y] with both in 0..1, as a short text for an address: two characters a point, a dot
// between strokes, and points that are nearer to the last one than a pen's width left out.

/** @typedef {[x: number, y: number]} Point */

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
const LAST = LETTERS.length - 1;
const APART = 0.04;

/** @param {Point[][]} strokes */
export function writeStrokes(strokes) {
  return strokes.map((stroke) => thinned(stroke).flat().map(letter).join("")).join(".");
}

/** @param {string} text @returns {Point[][] | undefined} undefined for what is no drawing */
export function readStrokes(text) {
  if (!/^([\w-]{2})+(\.([\w-]{2})+)*$/.test(text)) return undefined;
  return text.split(".").map((part) => {
    const places = [...part].map((each) => LETTERS.indexOf(each) / LAST);
    return Array.from(
      { length: places.length / 2 },
      (_, at) => /** @type {Point} */ ([places[2 * at], places[2 * at + 1]]),
    );
  });
}

/** @param {number} share */
function letter(share) {
  return LETTERS[Math.max(0, Math.min(LAST, Math.round(share * LAST)))];
}

/** The first point, the last one, and as few as will do between them. @param {Point[]} stroke */
function thinned(stroke) {
  const kept = [stroke[0]];
  for (const point of stroke.slice(1, -1)) {
    const [x, y] = kept[kept.length - 1];
    if (Math.hypot(point[0] - x, point[1] - y) >= APART) kept.push(point);
  }
  if (stroke.length > 1) kept.push(stroke[stroke.length - 1]);
  return kept;
}
