// The reader's digit, attacked: every pixel may move by eps, and each network gets the change that was made against it.
(() => {
  const { element, slider, menu, NAMES, networks } = lab;
  const STEPS = 20;
  let eps = 0.1;
  let target = null;
  const rows = {};
  const records = {}; // the smallest eps so far that changed what a network sees, for this digit and this goal
  let recorded = "";

  function build(panel) {
    const goals = [["away", "away from what it sees (FGSM)"], ...[...Array(10).keys()].map((d) => [d, `towards ${d} (20 steps)`])];
    const goal = menu("push", goals, (value) => { target = value === "away" ? null : Number(value); update(); });
    const strength = slider("eps", { min: 0, max: 0.5, step: 0.01, value: eps, text: (v) => v.toFixed(2),
      change: (value) => { eps = value; update(); } });
    panel.append(element("div", { class: "lab-controls" }, goal.element, strength.element));
    for (const name of networks) {
      const row = { before: lab.picture("your digit"), noise: lab.picture("the change"), after: lab.picture("what it sees now") };
      const words = element("output", { class: "lab-words" });
      rows[name] = { ...row, words };
      panel.append(
        element("h4", { class: `lab-heading lab-${NAMES[name]}` }, `${NAMES[name]} network`),
        element("div", { class: "lab-pictures lab-sum" }, ...Object.values(row).map(({ figure }) => figure)), words);
    }
    panel.append(lab.scale("signed", "− 0.5", "+ 0.5", "change of a pixel; black is 0, white is 1"));
  }

  async function update() {
    for (const network of networks) {
      const [image, row] = [lab.digit, rows[network]];
      const values = { network, image, eps, target, steps: STEPS };
      const result = await lab.timed("attack", "attack", values);
      if (!result) return;
      const [before, after] = [lab.verdict(result.before), lab.verdict(result.logits)];
      const changed = result.image.map((value, at) => value - image[at]);
      row.before.show(image, {}, before.text);
      row.noise.show(changed, { kind: "signed", limit: 0.5 }, `change, at most ${values.eps.toFixed(2)}`);
      row.after.show(result.image, {}, after.text);
      const fooled = target === null ? after.digit !== before.digit : after.digit === target;
      row.after.figure.classList.toggle("lab-fooled", fooled);
      row.words.textContent = summary(network, { before, after, fooled, values });
    }
  }

  function summary(network, { before, after, fooled, values }) {
    const key = `${target} ${lab.digit.reduce((sum, value, at) => sum + value * (at + 1), 0)}`;
    if (key !== recorded) for (const name of networks) delete records[name];
    recorded = key;
    if (fooled && before.digit !== target) records[network] = Math.min(records[network] ?? 1, values.eps);
    const best = records[network] === undefined ? "" : ` Smallest eps so far that did it: ${records[network].toFixed(2)}.`;
    if (before.digit === target) return `It sees a ${target} already: choose another digit to push it to.`;
    if (fooled) return `Fooled: it now sees a ${after.digit}.${best}`;
    return `Not fooled: it still sees a ${after.digit}.${best}`;
  }

  lab.view({ name: "attack", title: "Attack it", build, update });
})();
