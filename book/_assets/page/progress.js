// What a reader has done, kept in this browser: read, predicted, answered, exercised. Ticks in the sidebar and in the
// map of chapters (tools/website/course_map.py); questions.js keeps the answers here.
import { download, element } from "../live_lab/dom.js";

/**
 * @typedef {{ guess?: number, skipped?: true }} Guess  of a prediction: the place of a choice, or a number
 * @typedef {{ right: boolean }} Answer  to a quiz: whether the right choice was found
 * @typedef {{ read?: true, exercise?: boolean, predict: Record<string, Guess>, quiz: Record<string, Answer>,
 *   asks?: { predict: number, quiz: number } }} Page  `asks`: how many predictions and quizzes it holds
 */
const KEY = "course-progress";
const KINDS = /** @type {const} */ (["read", "predicted", "quiz", "exercise"]);
const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href).href;

/** The name of a page of this book. @param {string} address */
const named = (address) =>
  address
    .replace(/[?#].*/, "")
    .replace(root, "")
    .replace(/\.html$/, "");
const here = named(location.href);

/** @type {Record<string, Page>} */
let memory = {}; // as long as the page is open, where the browser keeps nothing
let refused = false; // what was written last, such as by a browser whose storage is full

function load() {
  try {
    if (!refused) memory = JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    // see above
  }
  return memory;
}

/** @param {Record<string, Page>} all */
function save(all) {
  memory = all;
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
    refused = false;
  } catch {
    refused = true;
  }
  document.dispatchEvent(new CustomEvent("course-progress"));
}

/** What is kept of a page, by default of this one. @returns {Page} */
export const kept = (page = here) => load()[page] ?? { predict: {}, quiz: {} };

/**
 * Change what is kept of this page. A page that was only opened writes nothing: right after a reload the browser may not
 * have handed on what was written last, and to write then would lose it.
 * @param {(page: Page) => void} change
 */
export function keep(change) {
  const own = kept();
  change(own);
  own.asks = asked();
  save({ ...load(), [here]: own });
}

/** How many predictions and quizzes this page holds. */
function asked() {
  const count = (/** @type {string} */ kind) => document.querySelectorAll(`.course-${kind}`).length;
  return { predict: count("predict"), quiz: count("quiz") };
}

/** Which kinds of things are done on a page. @param {string} page */
function done(page) {
  const { read, predict, quiz, exercise, asks } = kept(page);
  const guessed = Object.values(predict).filter(({ guess }) => guess !== undefined).length;
  const right = Object.values(quiz).filter((answer) => answer.right).length;
  const enough = {
    read,
    predicted: asks?.predict && guessed >= asks.predict,
    quiz: asks?.quiz && right >= asks.quiz,
    exercise,
  };
  return KINDS.filter((kind) => enough[kind]);
}

/** The end of a chapter: what is done in it, and a box for the exercise, of which the page knows nothing. */
function closeChapter() {
  const end = document.querySelector(".prev-next-footer");
  if (!asked().predict || !end) return;
  const solved = element("input", {
    type: "checkbox",
    onchange: () => keep((page) => (page.exercise = solved.checked)),
  });
  const told = element("p", { class: "course-own" });
  // A chapter's first lines link to the exercise, or to the reason why there is none.
  const link = document.querySelector('article a[href="#try-it-yourself"]');
  const words = link?.textContent === "exercise" ? "I have solved the exercise" : "I have tried it myself";
  end.before(element("div", { class: "course-progress" }, told, element("label", {}, solved, words)));
  whenChanged(() => {
    const found = done(here);
    const kinds = KINDS.slice(0, asked().quiz ? 3 : 2).map((kind) => `${kind} ${found.includes(kind) ? "✓" : "–"}`);
    told.textContent = `Your progress on this page: ${kinds.join(", ")}.`;
    solved.checked = found.includes("exercise");
  });
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting) || window.scrollY < window.innerHeight) return;
    observer.disconnect();
    if (!kept().read) keep((page) => (page.read = true));
  }).observe(end);
}

/** Below the map of chapters: what to do with what is kept. */
function manage() {
  const map = document.querySelector(".course-map");
  if (!map) return;
  const told = element("p", { role: "status" });
  const file = element("input", { type: "file", accept: "application/json", hidden: true, onchange: read });
  const button = (/** @type {string} */ text, /** @type {() => void} */ action) =>
    element("button", { type: "button", class: "course-quiet", onclick: action }, text);

  function write() {
    download("course-progress.json", new Blob([JSON.stringify(load(), null, 1)], { type: "application/json" }));
    told.textContent = "Saved as course-progress.json.";
  }
  async function read() {
    try {
      const all = JSON.parse((await file.files?.[0]?.text()) ?? "");
      const pages = /** @type {Page[]} */ (Object.values(all));
      if (all.constructor !== Object || !pages.every(({ predict, quiz }) => predict && quiz)) throw new Error();
      save(all);
      told.textContent = "Your progress is here again.";
    } catch {
      told.textContent = "This is not a file that “Export” has written.";
    }
    file.value = "";
  }
  function reset() {
    if (!confirm("Forget all guesses, answers and ticks of this book?")) return;
    save({});
    told.textContent = "Forgotten.";
  }
  const buttons = [button("Export", write), button("Import", () => file.click()), button("Reset", reset), file];
  map.after(element("div", { class: "course-buttons" }, "Your progress, kept in this browser:", ...buttons), told);
}

/** Ticks beside the links to chapters, in the sidebar and in the map. */
function tick() {
  const links = "#pst-primary-sidebar nav a.reference.internal, .course-map td:nth-child(2) a";
  for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll(links))) {
    const found = done(named(link.href));
    link.querySelector(".course-ticks")?.remove();
    if (!found.length) continue;
    const spoken = element("span", { class: "course-unseen" }, ` ${found.join(", ")}`);
    const ticks = element("span", { "aria-hidden": "true" }, "✓".repeat(found.length));
    link.append(element("span", { class: "course-ticks", title: found.join(", ") }, ticks, spoken));
  }
}

/** @param {() => void} show */
export function whenChanged(show) {
  document.addEventListener("course-progress", show);
  window.addEventListener("storage", show); // in another tab
  show();
}

export function start() {
  closeChapter();
  manage();
  whenChanged(tick);
}
