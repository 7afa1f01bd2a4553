// Asks what tools/website/questions.py has written into the page, and keeps the answers in the browser.
import { element } from "../live_lab/dom.js";
import { keep, kept, whenChanged } from "./progress.js";

/** @param {number} place */
const letter = (place) => String.fromCharCode(65 + place);

/**
 * Makes radio buttons of the choices.
 * @param {HTMLElement} box
 */
const radios = (box) =>
  [...box.querySelectorAll(".course-choice")].map((choice, place) => {
    const why = choice.querySelector(".course-why");
    const text = [...choice.childNodes].filter((node) => node !== why);
    const radio = element("input", { type: "radio", name: box.id, value: String(place) });
    const words = element("span", {}, ...text);
    for (const paragraph of words.querySelectorAll("p")) paragraph.replaceWith(...paragraph.childNodes); // a label holds none
    choice.prepend(element("label", {}, radio, `${letter(place)}. `, words));
    return radio;
  });

/** @param {HTMLElement} box */
const predict = (box) => {
  const { id = "", unit = "", number } = box.dataset;
  const form = element("form", { class: "course-form" });
  const status = element("p", { class: "course-verdict", role: "status" });
  const lock = element("button", { type: "submit" }, "Lock my guess");
  const skip = element("button", { type: "button", class: "course-quiet" }, "Show me without guessing");
  /** @type {HTMLInputElement[]} */
  let inputs;
  if (number === undefined) {
    inputs = radios(box);
  } else {
    inputs = [element("input", { type: "text", inputmode: "decimal", autocomplete: "off", size: 8 })];
    form.append(element("label", {}, "Your guess: ", inputs[0], ` ${unit}`));
  }
  form.append(element("div", { class: "course-buttons" }, lock, skip), status);
  form.prepend(...box.querySelectorAll(".course-choices"));
  box.append(form);
  const answer = /** @type {HTMLElement | null} */ (document.querySelector(`.course-recall[data-id="${id}"]`));

  const show = () => {
    const { guess, skipped } = kept().predict[id] ?? {};
    const settled = guess !== undefined || Boolean(skipped);
    box.classList.toggle("course-locked", settled);
    for (const input of inputs) {
      input.disabled = settled;
      if (!settled) continue; // what has been chosen and not locked yet stays chosen
      if (number === undefined) input.checked = input.value === String(guess);
      else if (guess !== undefined) input.value = String(guess);
    }
    lock.hidden = skip.hidden = settled;
    if (!settled) return status.replaceChildren();
    const link = element("a", { href: `#${answer?.id}` }, "further down");
    status.replaceChildren(guess === undefined ? "Not guessed. " : "Locked. ", "The answer comes ", link, ".");
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = number === undefined ? inputs.find((input) => input.checked)?.value : inputs[0].value;
    const guess = Number((chosen ?? "").trim().replace(",", ".") || NaN);
    if (!Number.isFinite(guess)) {
      status.textContent = number === undefined ? "Choose one first." : "A number, please, such as 12 or 0.5.";
      return;
    }
    keep((own) => (own.predict[id] = { guess }));
  });
  skip.addEventListener("click", () => keep((own) => (own.predict[id] = { skipped: true })));
  whenChanged(show);
};

/** @param {HTMLElement} box */
const recall = (box) => {
  const { id = "", answer = "", unit = "", within = "0", number } = box.dataset;
  const told = element("p", { class: "course-guess" });
  const skip = element("button", { type: "button", class: "course-quiet" }, "Show me without guessing");
  const link = element("a", { href: `#predict-${id}` }, "Make your guess first");
  const ask = element("p", { class: "course-buttons" }, link, skip);
  box.querySelector(".course-answer")?.before(told, ask);
  const show = () => {
    const { guess, skipped } = kept().predict[id] ?? {};
    const settled = guess !== undefined || Boolean(skipped);
    box.classList.toggle("course-waiting", !settled);
    ask.hidden = settled;
    told.hidden = guess === undefined;
    if (guess === undefined) return;
    const right = Math.abs(guess - Number(answer)) <= Number(within);
    const words = number === undefined ? `${letter(guess)}` : `${guess} ${unit}`.trim();
    told.replaceChildren("Your guess: ", element("strong", {}, words), right ? ", which is right." : ".");
    for (const [place, choice] of box.querySelectorAll(".course-choice").entries()) {
      choice.classList.toggle("course-guessed", place === guess);
    }
  };
  skip.addEventListener("click", () => keep((own) => (own.predict[id] = { skipped: true })));
  whenChanged(show);
};

/** @param {HTMLElement} box */
const quiz = (box) => {
  const { id = "", answer = "" } = box.dataset;
  const inputs = radios(box);
  const choices = [...box.querySelectorAll(".course-choice")];
  const status = element("p", { class: "course-verdict", role: "status" });
  const check = element("button", { type: "submit" }, "Check");
  const all = element("button", { type: "button", class: "course-quiet", hidden: true }, "Show all explanations");
  const form = element("form", { class: "course-form" });
  box.append(form);
  form.append(
    ...box.querySelectorAll(".course-choices"),
    element("div", { class: "course-buttons" }, check, all),
    status,
  );
  /** Show the explanation of a choice, of which nobody hears before. @param {number} place */
  const explain = (place) => {
    choices[place].classList.add("course-tried");
    const why = choices[place].querySelector(".course-why");
    if (!why) return;
    why.id = `${box.id}-why-${place}`;
    inputs[place].setAttribute("aria-describedby", why.id);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const place = inputs.findIndex((input) => input.checked);
    if (place < 0) {
      status.textContent = "Choose one first.";
      return;
    }
    const right = String(place) === answer;
    explain(place);
    all.hidden = !right;
    status.textContent = right ? "Right." : "No. Read why below your choice, and choose again.";
    keep((own) => (own.quiz[id] = { right: right || Boolean(own.quiz[id]?.right) }));
  });
  all.addEventListener("click", () => {
    for (const place of choices.keys()) explain(place);
    all.hidden = true;
  });
  const show = () => {
    const right = kept().quiz[id]?.right;
    if (right && !inputs.some((input) => input.checked)) {
      inputs[Number(answer)].checked = true;
      explain(Number(answer));
      all.hidden = false;
    }
  };
  whenChanged(show);
};

export function start() {
  const kinds = { predict, recall, quiz };
  for (const [kind, begin] of Object.entries(kinds)) {
    /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`.course-${kind}`)).forEach(begin);
  }
}
