// Asks what tools/website/questions.py has written into the page, and keeps the answers in the browser.
(() => {
  /**
   * @typedef {{ guess?: number, skipped?: true }} Guess  of a prediction: the place of a choice, or a number
   * @typedef {{ first: number, right: boolean }} Answer  to a quiz: the choice tried first, and whether the right one was found
   * @typedef {{ read?: true, exercise?: true, predict: Record<string, Guess>, quiz: Record<string, Answer> }} Page
   */
  const KEY = "course-progress";
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href).href;
  const page = location.href.replace(/[?#].*/, "").replace(root, "");

  /** @returns {Record<string, Page>} what is kept, by page */
  const load = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY) ?? "{}");
    } catch {
      return {}; // nothing can be kept here, or something else was
    }
  };

  /** @returns {Page} */
  const kept = () => load()[page] ?? { predict: {}, quiz: {} };

  /** @param {(page: Page) => void} change */
  const keep = (change) => {
    const [all, own] = [load(), kept()];
    change(own);
    try {
      localStorage.setItem(KEY, JSON.stringify({ ...all, [page]: own }));
    } catch {
      // it lasts as long as the page is open
    }
    document.dispatchEvent(new CustomEvent("course-progress"));
  };

  /**
   * @template {keyof HTMLElementTagNameMap} T
   * @param {T} tag
   * @param {Record<string, unknown>} values
   * @param {(Node | string)[]} children
   * @returns {HTMLElementTagNameMap[T]}
   */
  const make = (tag, values, ...children) => {
    const element = document.createElement(tag);
    Object.assign(element, values);
    element.append(...children);
    return element;
  };

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
      const radio = make("input", { type: "radio", name: box.id, value: String(place) });
      const words = make("span", { className: "course-choice-words" }, ...text);
      for (const paragraph of words.querySelectorAll("p")) paragraph.replaceWith(...paragraph.childNodes); // a label holds none
      choice.prepend(make("label", {}, radio, `${letter(place)}. `, words));
      if (why) {
        why.id = `${box.id}-why-${place}`;
        radio.setAttribute("aria-describedby", why.id);
      }
      return radio;
    });

  /** @param {HTMLElement} box */
  const predict = (box) => {
    const { id = "", unit = "", number } = box.dataset;
    const form = make("form", { className: "course-form" });
    const status = make("p", { className: "course-verdict", role: "status" });
    const lock = make("button", { type: "submit" }, "Lock my guess");
    const skip = make("button", { type: "button", className: "course-quiet" }, "Show me without guessing");
    /** @type {HTMLInputElement[]} */
    let inputs;
    if (number === undefined) {
      inputs = radios(box);
    } else {
      inputs = [make("input", { type: "text", inputMode: "decimal", autocomplete: "off", size: 8 })];
      form.append(make("label", {}, "Your guess: ", inputs[0], ` ${unit}`));
    }
    form.append(make("div", { className: "course-buttons" }, lock, skip), status);
    form.prepend(...box.querySelectorAll(".course-choices"));
    box.append(form);
    const recall = /** @type {HTMLElement | null} */ (document.querySelector(`.course-recall[data-id="${id}"]`));

    const show = () => {
      const { guess, skipped } = kept().predict[id] ?? {};
      const settled = guess !== undefined || skipped;
      box.classList.toggle("course-locked", Boolean(settled));
      for (const input of inputs) {
        input.disabled = Boolean(settled);
        if (number === undefined) input.checked = input.value === String(guess);
        else if (guess !== undefined) input.value = String(guess);
      }
      lock.hidden = skip.hidden = Boolean(settled);
      if (!settled) return;
      const link = make("a", { href: `#${recall?.id}` }, "further down");
      status.replaceChildren(guess === undefined ? "Not guessed. " : "Locked. ", "The answer comes ", link, ".");
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const chosen = number === undefined ? inputs.find((input) => input.checked)?.value : inputs[0].value;
      const guess = Number((chosen ?? "").trim().replace(",", ".") || NaN);
      if (Number.isNaN(guess)) {
        status.textContent = number === undefined ? "Choose one first." : "A number, please, such as 12 or 0.5.";
        return;
      }
      keep((own) => (own.predict[id] = { guess }));
    });
    skip.addEventListener("click", () => keep((own) => (own.predict[id] = { skipped: true })));
    document.addEventListener("course-progress", show);
    show();
  };

  /** @param {HTMLElement} box */
  const recall = (box) => {
    const { id = "", answer = "", unit = "", within = "0", number } = box.dataset;
    const told = make("p", { className: "course-guess" });
    const skip = make("button", { type: "button", className: "course-quiet" }, "Show me without guessing");
    const link = make("a", { href: `#predict-${id}` }, "Make your guess first");
    const ask = make("p", { className: "course-buttons" }, link, skip);
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
      told.replaceChildren("Your guess: ", make("strong", {}, words), right ? ", which is right." : ".");
      for (const [place, choice] of box.querySelectorAll(".course-choice").entries()) {
        choice.classList.toggle("course-guessed", place === guess);
      }
    };
    skip.addEventListener("click", () => keep((own) => (own.predict[id] = { skipped: true })));
    document.addEventListener("course-progress", show);
    show();
  };

  /** @param {HTMLElement} box */
  const quiz = (box) => {
    const { id = "", answer = "" } = box.dataset;
    const inputs = radios(box);
    const choices = [...box.querySelectorAll(".course-choice")];
    const status = make("p", { className: "course-verdict", role: "status" });
    const check = make("button", { type: "submit" }, "Check");
    const all = make("button", { type: "button", className: "course-quiet", hidden: true }, "Show all explanations");
    const form = make("form", { className: "course-form" });
    box.append(form);
    form.append(
      ...box.querySelectorAll(".course-choices"),
      make("div", { className: "course-buttons" }, check, all),
      status,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const place = inputs.findIndex((input) => input.checked);
      if (place < 0) {
        status.textContent = "Choose one first.";
        return;
      }
      const right = String(place) === answer;
      choices[place].classList.add("course-tried");
      all.hidden = !right;
      status.textContent = right ? "Right." : "No. Read why below your choice, and choose again.";
      keep((own) => {
        own.quiz[id] = { first: own.quiz[id]?.first ?? place, right: right || Boolean(own.quiz[id]?.right) };
      });
    });
    all.addEventListener("click", () => {
      for (const choice of choices) choice.classList.add("course-tried");
      all.hidden = true;
    });
    const show = () => {
      const right = kept().quiz[id]?.right;
      box.classList.toggle("course-done", Boolean(right));
      if (right && !inputs.some((input) => input.checked)) {
        inputs[Number(answer)].checked = true;
        choices[Number(answer)].classList.add("course-tried");
        all.hidden = false;
      }
    };
    document.addEventListener("course-progress", show);
    show();
  };

  document.addEventListener("DOMContentLoaded", () => {
    const kinds = { predict, recall, quiz };
    for (const [kind, start] of Object.entries(kinds)) {
      /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`.course-${kind}`)).forEach(start);
    }
  });
})();
