// The search page: prose before the API, each find with an excerpt. What is searched is a script
// (tools/website/search.py), so that it can be read in a page opened from disk.
import { element } from "../live_lab/dom.js";

/** @typedef {[address: string, title: string, page: string, text: string, api: boolean]} Entry */
const MOST = 60;
const AROUND = 110; // characters before what was found, and half of those after it

/** Lower case, without accents. @param {string} text */
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** Each word of a query begins a word of the text; a plural finds the singular too. @param {string} query */
function patternsOf(query) {
  const words = plain(query)
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);
  return words.map((word) => new RegExp(`(?<![\\p{L}\\p{N}])${word.replace(/(?<=...)s$/, "s?")}`, "gu"));
}

/** How well an entry fits; 0 where a word is missing. @param {Entry} entry @param {RegExp[]} patterns @param {string} query */
function fit([, title, page, text, api], patterns, query) {
  const [heading, whole] = [plain(title), plain(`${title} ${page} ${text}`)];
  let sum = whole.includes(plain(query)) ? 2 : 0;
  for (const pattern of patterns) {
    const times = whole.match(pattern)?.length ?? 0;
    if (!times) return 0;
    sum += Math.min(times, 8) / (3 + text.length / 1500) + (heading.match(pattern) ? 4 : 0);
  }
  return api ? sum / 1000 : sum;
}

/** A text with what was found marked. @param {string} text @param {RegExp[]} patterns */
function marked(text, patterns) {
  const folded = plain(text);
  if (folded.length !== text.length) return [text];
  const found = patterns.flatMap((pattern) => [...folded.matchAll(pattern)]).sort((a, b) => a.index - b.index);
  /** @type {(string | HTMLElement)[]} */
  const parts = [];
  let at = 0;
  for (const { index, 0: word } of found) {
    if (index < at) continue;
    parts.push(text.slice(at, index), element("mark", {}, text.slice(index, index + word.length)));
    at = index + word.length;
  }
  return [...parts, text.slice(at)];
}

/** The part of a text around what was found first. @param {string} text @param {RegExp} pattern */
function excerpt(text, pattern) {
  const at = Math.max(0, plain(text).search(pattern));
  const from = at > AROUND ? text.indexOf(" ", at - AROUND) + 1 : 0;
  const to = at + 2 * AROUND < text.length ? text.lastIndexOf(" ", at + 2 * AROUND) : text.length;
  return `${from ? "… " : ""}${text.slice(from, to)}${to < text.length ? " …" : ""}`;
}

/** @param {string} query @param {Entry[]} entries */
function results(query, entries) {
  const patterns = patternsOf(query);
  const finds = entries
    .map((entry) => ({ entry, fits: fit(entry, patterns, query) }))
    .filter(({ fits }) => fits > 0)
    .sort((a, b) => b.fits - a.fits);
  const root = document.documentElement.dataset.content_root ?? "./";
  const items = finds.slice(0, MOST).map(({ entry: [address, title, page, text] }) => {
    const link = element("a", { href: root + address }, ...marked(title, patterns));
    const words = element("p", {}, ...marked(excerpt(text, patterns[0]), patterns));
    return element("li", {}, link, page ? ` in ${page}` : "", words);
  });
  const best = finds.length > MOST ? `; the best ${MOST} are shown` : "";
  const places = finds.length === 1 ? "1 place" : `${finds.length} places`;
  const count = finds.length ? `“${query}” was found in ${places}${best}.` : `“${query}” was not found.`;
  return [element("p", { role: "status" }, count), element("ol", { class: "course-finds" }, ...items)];
}

document.addEventListener("DOMContentLoaded", () => {
  const query = new URLSearchParams(location.search).get("q")?.trim() ?? "";
  const fields = /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("main input[name=q]"));
  for (const field of fields) {
    field.value = query;
    if (!query) field.focus();
  }
  const entries = /** @type {{ courseSearch?: Entry[] }} */ (globalThis).courseSearch ?? [];
  if (patternsOf(query).length) document.querySelector("#search-results")?.replaceChildren(...results(query, entries));
});
