"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const draftKey = `labkit-marks ${data.assignment} ${data.students.map((one) => one.key).join(" ")}`;
  const state = document.getElementById("state");
  const reusable = new Set(data.reusable);
  const changed = {}; // key -> task -> {points, comment, base}
  let handle = null; // of the file that marks are written to
  let unsaved = false;

  const element = (tag, attributes = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  };
  const mark = (one, task) => changed[one.key]?.[task] ?? one.marks[task] ?? { points: null, comment: "" };
  const short = (value) => String(Math.round(value * 100) / 100);

  function change(one, task, part) {
    const base = one.marks[task] ?? { points: null, comment: "" };
    const now = { ...mark(one, task), base: { points: base.points ?? null, comment: base.comment }, ...part };
    (changed[one.key] ??= {})[task] = now;
    unsaved = true;
    keepDraft();
    refresh();
  }

  function content() {
    return JSON.stringify({ assignment: data.assignment, marks: changed, reusable: [...reusable] }, null, 1);
  }

  function keepDraft() {
    try {
      localStorage.setItem(draftKey, content());
    } catch {
      // a browser that keeps nothing for files from the disk: the file is what counts
    }
  }

  function takeIn(text, name) {
    const found = JSON.parse(text);
    if (found.assignment !== data.assignment) throw new Error(`${name} holds marks of ${found.assignment}`);
    for (const [key, tasks] of Object.entries(found.marks)) {
      if (data.students.some((one) => one.key === key)) changed[key] = { ...changed[key], ...tasks };
    }
    (found.reusable ?? []).forEach((comment) => reusable.add(comment));
    draw();
  }

  async function save() {
    try {
      if (window.showSaveFilePicker) {
        handle ??= await window.showSaveFilePicker({ suggestedName: data.file });
        const file = await handle.createWritable();
        await file.write(content());
        await file.close();
      } else {
        const link = element("a", {
          href: URL.createObjectURL(new Blob([content()], { type: "application/json" })),
          download: data.file,
        });
        link.click();
        URL.revokeObjectURL(link.href);
      }
      unsaved = false;
      refresh();
    } catch (error) {
      if (error.name !== "AbortError") state.textContent = `not saved: ${error.message}`;
    }
  }

  function refresh() {
    let open = 0;
    for (const card of document.querySelectorAll(".card")) {
      const one = data.students[card.dataset.student];
      const points = mark(one, card.dataset.task).points;
      const given = data.tasks.reduce((sum, task) => sum + (mark(one, task.name).points ?? 0), 0);
      const total = one.machine + given - one.takenOff;
      const late = one.takenOff ? ` − ${short(one.takenOff)} (${one.lateness})` : "";
      card.classList.toggle("done", points !== null);
      card.querySelector(".sum").textContent =
        `${short(one.machine)} by machine + ${short(given)} by hand${late} = ${short(total)} of ${short(data.most)}`;
      card.hidden = document.getElementById("unmarked").checked && points !== null;
      open += points === null;
    }
    const words = open === 1 ? "1 answer is open" : `${open || "no"} answers are open`;
    state.textContent = unsaved ? `${words}; not saved yet` : words;
  }

  function drawCard(task, one, place) {
    const who = document.getElementById("names").checked ? `Student ${place + 1}` : one.name;
    const points = element("input", { type: "number", min: 0, max: task.of, step: 0.5 });
    points.value = mark(one, task.name).points ?? "";
    points.addEventListener("input", () => {
      if (points.validity.valid) change(one, task.name, { points: points.value === "" ? null : points.valueAsNumber });
      else state.textContent = `${who}: points from 0 to ${task.of}`;
    });
    const comment = element("textarea", { value: mark(one, task.name).comment });
    comment.addEventListener("input", () => change(one, task.name, { comment: comment.value }));
    comment.addEventListener("change", () => {
      if (comment.value.trim()) reusable.add(comment.value.trim());
      keepDraft();
    });
    const again = element("select", { ariaLabel: `Comments used before, for ${who}` });
    const fill = () => again.replaceChildren(...["", ...reusable].map((text) =>
      element("option", { value: text, textContent: text ? text.slice(0, 80) : "a comment used before …" })));
    fill();
    again.addEventListener("focus", fill);
    again.addEventListener("change", () => {
      if (!again.value) return;
      comment.value = [comment.value.trim(), again.value].filter(Boolean).join("\n");
      again.value = "";
      change(one, task.name, { comment: comment.value });
    });
    const answer = element("pre", { tabIndex: 0, textContent: one.answers[task.name] || "(no answer)" });
    answer.setAttribute("role", "region");
    answer.setAttribute("aria-label", `Answer of ${who}`);
    const card = element("section", { className: "card" },
      element("h3", { textContent: who }), answer,
      element("label", {}, `Points, of ${task.of} `, points),
      element("label", {}, "Comment ", comment), again, element("p", { className: "sum" }));
    card.dataset.student = place;
    card.dataset.task = task.name;
    return card;
  }

  function draw() {
    document.getElementById("tasks").replaceChildren(...data.tasks.map((task) => {
      const cards = data.students
        .map((one, place) => [one, place])
        .filter(([one]) => task.name in one.answers)
        .map(([one, place]) => drawCard(task, one, place));
      return element("section", {},
        element("h2", { textContent: `${task.title}, ${short(task.of)} points` }),
        element("div", { className: "task-grid" },
          element("details", { className: "rubric", open: true, tabIndex: 0 },
            element("summary", { textContent: "Model answer and marking guide" }),
            element("pre", { textContent: task.rubric })),
          element("div", { className: "cards" }, ...cards)));
    }));
    refresh();
  }

  document.getElementById("save").addEventListener("click", save);
  document.getElementById("open").addEventListener("click", () => document.getElementById("file").click());
  document.getElementById("file").addEventListener("change", async (event) => {
    try {
      for (const file of event.target.files) takeIn(await file.text(), file.name);
      unsaved = true;
      keepDraft();
    } catch (error) {
      state.textContent = `not opened: ${error.message}`;
    }
  });
  document.getElementById("names").addEventListener("change", draw);
  document.getElementById("unmarked").addEventListener("change", refresh);
  window.addEventListener("beforeunload", (event) => unsaved && event.preventDefault());
  try {
    const draft = localStorage.getItem(draftKey);
    if (draft) takeIn(draft, "the draft");
  } catch {
    // no draft, or one that cannot be read
  }
  draw();
})();
