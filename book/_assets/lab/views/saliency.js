// The gradient of a digit's logit, and its mean over noisy copies, for both networks.
(() => {
  const { element, slider, menu, NAMES, networks } = lab;
  const SAMPLES = 25;
  let noise = 0.15;
  let asked = "seen";
  const rows = {};

  function build(panel) {
    const which = menu("explain the logit of", [["seen", "what it sees"], ...[...Array(10).keys()].map((d) => [d, d])],
      (value) => { asked = value; update(); });
    const amount = slider("noise of SmoothGrad", { min: 0, max: 0.5, step: 0.05, value: noise, text: (v) => v.toFixed(2),
      change: (value) => { noise = value; update(); } });
    panel.append(element("div", { class: "lab-controls" }, which.element, amount.element));
    for (const name of networks) {
      rows[name] = { digit: lab.picture("your digit"), plain: lab.picture("gradient"), smooth: lab.picture("SmoothGrad") };
      panel.append(
        element("h4", { class: `lab-heading lab-${NAMES[name]}` }, `${NAMES[name]} network`),
        element("div", { class: "lab-pictures" }, ...Object.values(rows[name]).map(({ figure }) => figure)));
    }
    panel.append(lab.scale("signed", "less ink", "more ink", "would raise the logit; each map's scale is below it"));
  }

  async function update() {
    for (const network of networks) {
      const row = rows[network];
      const image = lab.digit;
      const digit = asked === "seen" ? lab.verdict(lab.latest[network].logits).digit : Number(asked);
      row.digit.show(image, {}, `the logit of ${digit}`);
      const plain = await lab.timed("gradient", "saliency", { network, image, digit });
      if (!plain) return;
      draw(row.plain, plain.gradient, "gradient");
      const smooth = await lab.timed("SmoothGrad of 25", "smoothgrad", { network, image, digit, noise, samples: SAMPLES });
      if (!smooth) return;
      draw(row.smooth, smooth.gradient, "SmoothGrad");
    }
  }

  function draw(picture, gradient, name) {
    const limit = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
    const at = gradient.findIndex((value) => Math.abs(value) === limit);
    const text = `${name}, ± ${limit.toPrecision(2)}`;
    const spoken = `${text}; the strongest pixel is in row ${Math.floor(at / 28) + 1}, column ${(at % 28) + 1}`;
    picture.show(gradient, { kind: "signed", limit, spoken }, text);
  }

  lab.view({ name: "saliency", title: "Which pixels?", build, update });
})();
