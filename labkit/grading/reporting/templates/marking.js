// The script of the marking page. The page is opened from the disk and needs neither a server nor the internet.
//
// The page's data name the students, their answers and the marks given so far. What a person types becomes a change of
// a mark. All changes together are kept by the browser as a draft, and go into a file when the person saves them;
// `labkit grade --merge FILE` takes that file in.

/** @import {Card, Changes, Mark, PageData, SavedMarks, SavePicker, Student, Task} from "./marking_types.js" */

const WHOLE = ""; // stands for the whole submission among the tasks
const REFUSED = '[aria-invalid="true"]'; // a field whose text is refused
/** @type {Mark} */
const OPEN = { points: null, comment: "" };

/** @type {PageData} */
const data = JSON.parse(find("data", HTMLScriptElement).text);
const draftName = `labkit-marks ${data.assignment} ${data.students.map((student) => student.key).join(" ")}`;
const reusable = new Set(data.reusable);
/** @type {Changes} */
const changes = {};
/** @type {Card[]} */
let cards = [];
/** @type {FileSystemFileHandle | null} */
let savedFile = null;
let unsaved = false;

const hideNames = find("names", HTMLInputElement);
const onlyOpen = find("unmarked", HTMLInputElement);
const chosenFiles = find("file", HTMLInputElement);
const state = find("state", HTMLOutputElement);

// The page's elements

/** The element of the page with this id.
 *  @template {HTMLElement} Kind
 *  @param {string} id @param {new () => Kind} kind */
function find(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} called ${id}`);
  return found;
}

/** A new element.
 *  @template {keyof HTMLElementTagNameMap} Tag
 *  @param {Tag} tag @param {Partial<HTMLElementTagNameMap[Tag]>} properties
 *  @param {(Node | string)[]} children */
function element(tag, properties, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

/** @param {unknown} error */
function wordsOf(error) {
  return error instanceof Error ? error.message : String(error);
}

// Marks

/** The mark as it is now: as it was typed here, or as it stands in the page's data.
 *  @param {Student} student @param {string} taskName
 *  @returns {Mark} */
function currentMark(student, taskName) {
  return changes[student.key]?.[taskName] ?? student.marks[taskName] ?? OPEN;
}

/** Change the points or the comment of an answer.
 *  @param {Student} student @param {Task} task
 *  @param {Partial<Mark>} typed */
function changeMark(student, task, typed) {
  const base = student.marks[task.name] ?? OPEN;
  changes[student.key] ??= {};
  changes[student.key][task.name] = { ...currentMark(student, task.name), ...typed, base, when: Date.now() };
  noteChange();
}

/** Call this after every change. */
function noteChange() {
  unsaved = true;
  keepDraft();
  showState();
}

/** The points that a person typed: null for none, undefined where the text is refused.
 *  @param {string} text @param {number} most */
function readPoints(text, most) {
  if (text.trim() === "") return null;
  if (!/^\s*\d+[.,]?\d*\s*$/.test(text)) return undefined;
  const points = Number(text.replace(",", "."));
  return points <= most ? points : undefined;
}

/** @param {Student} student */
function pointsByHand(student) {
  const names = [...data.tasks.map((task) => task.name), WHOLE];
  return names.reduce((sum, name) => sum + (currentMark(student, name).points ?? 0), 0);
}

/** Points that lateness takes from so many; the same rule as in lateness.py.
 *  @param {Student} student @param {number} points */
function pointsTakenOff(student, points) {
  if (data.rule === null) return 0;
  const { amount, percent } = data.rule;
  const eachDay = percent ? (points * amount) / 100 : amount;
  return Math.min(student.daysLate * eachDay, points);
}

/** A number with at most two digits after the point.
 *  @param {number} value */
function short(value) {
  return String(Math.round(value * 100) / 100);
}

/** How a student's total comes about.
 *  @param {Student} student */
function totalInWords(student) {
  const byHand = pointsByHand(student);
  const takenOff = pointsTakenOff(student, student.machine + byHand);
  const late = takenOff > 0 ? ` − ${short(takenOff)} (${student.lateness})` : "";
  const total = student.machine + byHand - takenOff;
  return `${short(student.machine)} by machine + ${short(byHand)} by hand${late} = ${short(total)} of ${short(data.most)}`;
}

// Saving and opening

/** @returns {SavedMarks} */
function content() {
  return { assignment: data.assignment, marks: changes, reusable: [...reusable] };
}

function keepDraft() {
  try {
    localStorage.setItem(draftName, JSON.stringify({ ...content(), saved: !unsaved }));
  } catch {
    // This browser keeps nothing for pages from the disk. Then only the saved file counts.
  }
}

function openDraft() {
  try {
    const text = localStorage.getItem(draftName);
    if (text === null) return;
    const draft = readSaved(text, "the draft");
    takeIn(draft.saved ? { ...draft, marks: current(draft.marks) } : draft);
    unsaved = !draft.saved;
  } catch {
    // There is no draft that can be read.
  }
}

/** The changes of marks that are still as they were when they were changed. The others were taken in, or replaced
 *  elsewhere, since they were saved: there the page's data are newer.
 *  @param {Changes} marks
 *  @returns {Changes} */
function current(marks) {
  /** @type {Changes} */
  const kept = {};
  for (const { key, marks: now } of data.students) {
    const still = Object.entries(marks[key] ?? {}).filter(([task, change]) => sameMark(change.base, now[task]));
    if (still.length > 0) kept[key] = Object.fromEntries(still);
  }
  return kept;
}

/** @param {Mark | undefined} one @param {Mark | undefined} other */
function sameMark(one = OPEN, other = OPEN) {
  return one.points === other.points && one.comment === other.comment;
}

/** Add the marks of a file to the changes.
 *  @param {SavedMarks} found
 *  @returns {number} of students who are not on this page */
function takeIn(found) {
  const known = new Set(data.students.map((student) => student.key));
  let strangers = 0;
  for (const [key, marks] of Object.entries(found.marks)) {
    if (known.has(key)) changes[key] = { ...changes[key], ...marks };
    else strangers += 1;
  }
  for (const comment of found.reusable ?? []) reusable.add(comment);
  return strangers;
}

/** The marks in the text of a file.
 *  @param {string} text @param {string} name
 *  @returns {SavedMarks}
 *  @throws {Error} it holds no marks of this assignment */
function readSaved(text, name) {
  /** @type {SavedMarks | null} */
  let found = null;
  try {
    found = JSON.parse(text);
  } catch {
    // Said below.
  }
  if (!found?.assignment || !found.marks) throw new Error(`${name} is no file that this page saved`);
  if (found.assignment !== data.assignment) throw new Error(`${name} holds marks of ${found.assignment}`);
  return found;
}

async function openFiles() {
  try {
    let strangers = 0;
    for (const file of chosenFiles.files ?? []) strangers += takeIn(readSaved(await file.text(), file.name));
    draw();
    noteChange();
    if (strangers > 0) state.textContent += `; students who are not on this page: ${strangers}`;
  } catch (error) {
    state.textContent = `not opened: ${wordsOf(error)}`;
  }
  chosenFiles.value = ""; // so that the same file can be chosen again
}

async function save() {
  /** @type {HTMLElement | null} */
  const refused = document.querySelector(REFUSED);
  if (refused !== null) {
    state.textContent = "not saved: mend the points that are refused first";
    refused.focus();
    return;
  }
  const before = unsaved;
  unsaved = false; // until somebody types, which may be while the file is written
  try {
    await writeFile();
    keepDraft();
    showState();
  } catch (error) {
    unsaved ||= before;
    const closed = error instanceof DOMException && error.name === "AbortError"; // the person chose no file
    if (!closed) state.textContent = `not saved: ${wordsOf(error)}`;
  }
}

/** Write the chosen file again, where the browser can do that; else hand the file out as a download. */
async function writeFile() {
  const text = JSON.stringify(content(), null, 1);
  const browser = /** @type {Window & SavePicker} */ (window);
  if (!browser.showSaveFilePicker) {
    download(text);
    return;
  }
  savedFile ??= await browser.showSaveFilePicker({ suggestedName: data.file });
  const file = await savedFile.createWritable();
  await file.write(text);
  await file.close();
}

/** @param {string} text */
function download(text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  element("a", { href: address, download: data.file }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // some browsers read it only after a while
}

// What is seen

/** @param {Card} card */
function isOpen({ student, task }) {
  return currentMark(student, task.name).points === null;
}

/** Show totals, which answers are marked and how many are open. */
function showState() {
  for (const card of cards) {
    card.section.classList.toggle("done", !isOpen(card));
    card.sum.textContent = totalInWords(card.student);
  }
  const words = `open answers: ${cards.filter(isOpen).length}`;
  state.textContent = unsaved ? `${words}; not saved yet` : words;
}

/** Hide what is marked, if that is wanted. An answer that is marked later stays until the box is ticked again: nothing
 *  vanishes while somebody types. */
function filterCards() {
  for (const card of cards) {
    const finished = !isOpen(card) && card.section.querySelector(REFUSED) === null;
    card.section.hidden = onlyOpen.checked && finished;
  }
}

/** @param {Student} student */
function shownName(student) {
  return hideNames.checked ? `Student ${data.students.indexOf(student) + 1}` : student.name;
}

/** The field for points, and the words under it where a text is refused.
 *  @param {Student} student @param {Task} task
 *  @returns {[HTMLElement, HTMLElement]} */
function pointsField(student, task) {
  const { points } = currentMark(student, task.name);
  const input = element("input", { inputMode: "decimal", autocomplete: "off", className: "points" });
  const refusal = element("p", { className: "refusal", role: "alert" });
  input.value = points === null ? "" : String(points);
  input.addEventListener("input", () => {
    const typed = readPoints(input.value, task.of);
    const refused = typed === undefined;
    input.ariaInvalid = String(refused);
    refusal.textContent = refused ? `“${input.value}” is refused: points are a number from 0 to ${task.of}` : "";
    if (!refused) changeMark(student, task, { points: typed });
  });
  return [element("label", {}, "Points ", input, ` of ${task.of}`), refusal];
}

/** The field for a comment, and the menu of comments used before.
 *  @param {Student} student @param {Task} task
 *  @returns {[HTMLElement, HTMLElement]} */
function commentField(student, task) {
  const comment = element("textarea", { value: currentMark(student, task.name).comment });
  const menu = element("select", { ariaLabel: `Comments used before, for ${shownName(student)}` });
  comment.addEventListener("input", () => changeMark(student, task, { comment: comment.value }));
  comment.addEventListener("change", () => {
    const finished = comment.value.trim();
    if (finished !== "") reusable.add(finished);
    keepDraft();
  });
  fillMenu(menu);
  menu.addEventListener("focus", () => fillMenu(menu));
  menu.addEventListener("change", () => {
    if (menu.value === "") return;
    const before = comment.value.trim();
    comment.value = before === "" ? menu.value : `${before}\n${menu.value}`;
    menu.value = "";
    changeMark(student, task, { comment: comment.value });
  });
  return [element("label", {}, "Comment ", comment), menu];
}

/** @param {HTMLSelectElement} menu */
function fillMenu(menu) {
  const first = element("option", { value: "", textContent: "a comment used before …" });
  const options = [...reusable].map((text) => element("option", { value: text, textContent: text.slice(0, 80) }));
  menu.replaceChildren(first, ...options);
}

/** @param {Student} student @param {Task} task
 *  @returns {Card} */
function drawCard(student, task) {
  const name = shownName(student);
  const answer = element("pre", {
    tabIndex: 0, // a long answer scrolls, with the keyboard too
    role: "region",
    ariaLabel: `Answer of ${name} to ${task.title}`,
    textContent: student.answers[task.name] || "(no answer)",
  });
  const sum = element("p", { className: "sum" });
  const fields = [...pointsField(student, task), ...commentField(student, task)];
  const section = element(
    "section",
    { className: "card", role: "group", ariaLabel: name },
    element("h3", {}, name),
    answer,
    ...fields,
    sum,
  );
  return { student, task, section, sum };
}

/** A task: its model answer and marking guide, and the answers beside them. Where there is no room beside them, the
 *  guide is folded, so that the answers are seen first.
 *  @param {Task} task @param {Card[]} answers */
function drawTask(task, answers) {
  const guide = element(
    "details",
    { className: "rubric", open: matchMedia("(min-width: 75rem)").matches, tabIndex: 0 },
    element("summary", {}, "Model answer and marking guide"),
    element("pre", {}, task.rubric),
  );
  const list = element("div", { className: "cards" }, ...answers.map((card) => card.section));
  return element(
    "section",
    {},
    element("h2", {}, `${task.title}, ${short(task.of)} points`),
    element("div", { className: "task-grid" }, guide, list),
  );
}

function draw() {
  cards = [];
  const sections = data.tasks.map((task) => {
    const answered = data.students.filter((student) => task.name in student.answers);
    const answers = answered.map((student) => drawCard(student, task));
    cards.push(...answers);
    return drawTask(task, answers);
  });
  find("tasks", HTMLDivElement).replaceChildren(...sections);
  filterCards();
  showState();
}

find("save", HTMLButtonElement).addEventListener("click", save);
find("open", HTMLButtonElement).addEventListener("click", () => chosenFiles.click());
chosenFiles.addEventListener("change", openFiles);
hideNames.addEventListener("change", draw);
onlyOpen.addEventListener("change", filterCards);
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});
openDraft();
draw();
