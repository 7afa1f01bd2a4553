// The image that a network finds most like a digit, growing out of noise step by step in both networks at once.
(() => {
  const { element, slider, NAMES, networks } = lab;
  const STEPS = 80;
  let digit = 3;
  let frames = {};
  let follow = true; // show each new step as it comes
  const pictures = {};
  const keys = [];
  let step;

  function build(panel) {
    for (let each = 0; each < 10; each++) {
      keys.push(element("button", { type: "button", "aria-pressed": "false", "aria-label": `grow the ideal ${each}`,
        onclick: () => { digit = each; grow(); } }, each));
    }
    step = slider("step", { min: 0, max: STEPS, step: 1, value: 0, change: (value) => { follow = false; show(value); } });
    for (const name of networks) pictures[name] = lab.picture(`${NAMES[name]} network`);
    panel.append(
      element("div", { class: "lab-controls" },
        element("div", { class: "lab-keys", role: "group", "aria-label": "grow the ideal" }, ...keys), step.element),
      element("div", { class: "lab-pictures lab-large" }, ...networks.map((name) => pictures[name].figure)));
  }

  function show(at) {
    for (const name of networks) {
      const frame = frames[name]?.[at];
      if (!frame) continue;
      const share = lab.probabilities(frame.logits)[digit];
      const text = `${NAMES[name]}: ${digit}, ${lab.percent(share)}, logit ${frame.logits[digit].toFixed(1)}`;
      pictures[name].show(frame.image, {}, text);
    }
  }

  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  async function grow() {
    const grown = digit;
    [frames, follow] = [Object.fromEntries(networks.map((name) => [name, []])), true];
    keys.forEach((key, at) => key.setAttribute("aria-pressed", at === digit));
    const mine = frames;
    const arrived = (name) => (frame) => {
      if (frames !== mine) return;
      mine[name].push(frame);
      const at = Math.min(...networks.map((each) => mine[each].length)) - 1;
      if (!follow || at < 0 || (still.matches && at < STEPS)) return;
      step.show(at);
      show(at);
    };
    await Promise.all(networks.map((network) =>
      lab.ask("ideal", { network, digit: grown, steps: STEPS }, arrived(network))));
  }

  let begun = false;
  function update() {
    if (!begun) grow();
    begun = true;
  }

  lab.view({ name: "ideal", title: "Ideal digits", build, update });
})();
