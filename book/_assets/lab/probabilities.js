// The ten probabilities of both networks, and what they make of the digit, in words.
lab.bars = (() => {
  const { element, networks, NAMES } = lab;
  const bars = {};
  const verdicts = {};
  const spoken = element("p", { class: "lab-said", "aria-live": "polite" });
  let later;

  function build(place) {
    const words = networks.map((name) => {
      verdicts[name] = element("strong", { class: "lab-verdict-digit" }, "–");
      verdicts[`${name} share`] = element("span", {}, "");
      return element("div", { class: `lab-verdict lab-${NAMES[name]}` },
        element("span", { class: "lab-name" }, NAMES[name]), verdicts[name], verdicts[`${name} share`]);
    });
    const rows = [...Array(10).keys()].map((digit) => {
      const cells = networks.map((name) => {
        const bar = element("span", { class: `lab-bar lab-${NAMES[name]}` });
        const text = element("span", { class: "lab-share" }, "");
        bars[`${name} ${digit}`] = { bar, text };
        return element("td", {}, bar, text);
      });
      return element("tr", {}, element("th", { scope: "row" }, digit), ...cells);
    });
    const heads = networks.map((name) => element("th", { scope: "col" }, NAMES[name]));
    place.append(
      element("div", { class: "lab-verdicts" }, ...words),
      element("table", { class: "lab-bars" },
        element("caption", {}, "probability of each digit"),
        element("colgroup", {}, element("col"), element("col"), element("col")),
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "digit"), ...heads)),
        element("tbody", {}, ...rows)),
      spoken,
    );
  }

  function show(network, logits) {
    const shares = lab.probabilities(logits);
    const { digit, share } = lab.verdict(logits);
    shares.forEach((value, at) => {
      const { bar, text } = bars[`${network} ${at}`];
      bar.style.width = `${100 * value}%`;
      bar.classList.toggle("lab-best", at === digit);
      text.textContent = lab.percent(value);
    });
    verdicts[network].textContent = digit;
    verdicts[`${network} share`].textContent = lab.percent(share);
    clearTimeout(later);
    later = setTimeout(() => {
      spoken.textContent = networks
        .filter((name) => lab.latest[name])
        .map((name) => `The ${NAMES[name]} network sees ${lab.verdict(lab.latest[name].logits).text}.`)
        .join(" ");
    }, 700);
  }

  return { build, show };
})();
