// The button that loads everything, the tabs, and what happens whenever the digit changes.
(() => {
  const { element, networks } = lab;
  const here = document.currentScript.src.replace(/lab\/start\.js.*$/, "vendor/");
  const SETTLE = 120; // milliseconds without a change before the slower views follow

  function offer() {
    const place = document.getElementById("live-lab");
    place.replaceChildren(); // the sentence for readers without JavaScript
    const missing = typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined" || typeof Worker === "undefined";
    if (missing) {
      place.append(element("p", { class: "lab-note" },
        "This browser lacks WebAssembly or one of its companions, so the networks cannot run here: the figure above has to do."));
      return;
    }
    const megabytes = (labContents.bytes / 1e6).toFixed(1);
    const note = element("p", { class: "lab-note", role: "status" });
    const button = element("button", { type: "button", class: "lab-load" }, `Start the live lab (loads ${megabytes} MB)`);
    const offered = element("div", { class: "lab-offer" }, button, note);
    button.addEventListener("click", async () => {
      button.disabled = true;
      const report = (text) => { note.textContent = text; };
      try {
        await load(report);
        build(place);
        offered.remove();
        lab.pad.pick(7);
        place.querySelector(".lab-pad").focus({ preventScroll: true });
      } catch (error) {
        button.disabled = false;
        report(`That went wrong: ${error.message}`);
        console.error(error);
      }
    });
    place.append(offered);
  }

  /** Scripts that hold the files, one after the other; then the worker unpacks them. */
  async function load(report) {
    for (const [nth, script] of labContents.scripts.entries()) {
      report(`Loading ${nth + 1} of ${labContents.scripts.length} …`);
      await new Promise((resolve, reject) => {
        const loaded = element("script", { src: here + script });
        loaded.onload = resolve;
        loaded.onerror = () => reject(new Error(`${script} is missing`));
        document.head.append(loaded);
      });
    }
    report("Starting the networks …");
    const files = globalThis.labFiles;
    lab.facts = JSON.parse(new TextDecoder().decode(await inflate(files.facts)));
    lab.facts.digits = await inflate(files.digits);
    lab.startWorker(new TextDecoder().decode(await inflate(files["ort.wasm.min.js"])));
    const { kernels } = await lab.ask("load", { files, networks });
    lab.kernels = kernels;
    delete globalThis.labFiles; // the worker has its copy
  }

  async function inflate(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function build(place) {
    const bench = element("div", { class: "lab-bench" });
    const left = element("section", { class: "lab-left", "aria-label": "the digit, and what the networks see in it" });
    lab.pad.build(left);
    lab.bars.build(left);
    const right = element("section", { class: "lab-right", "aria-label": "views of the digit" });
    const tabs = element("div", { class: "lab-tabs", role: "tablist", "aria-label": "views" });
    right.append(tabs);
    for (const view of lab.views) {
      const tab = element("button", { type: "button", role: "tab", id: `tab-${view.name}`, "aria-controls": `view-${view.name}`,
        "aria-selected": "false", tabindex: -1, onclick: () => choose(view) }, view.title);
      const panel = element("div", { role: "tabpanel", id: `view-${view.name}`, "aria-labelledby": `tab-${view.name}`, hidden: true });
      const prose = document.querySelector(`.lab-view-${view.name}`);
      if (prose) panel.append(prose);
      view.build(panel);
      tabs.append(tab);
      right.append(panel);
      Object.assign(view, { tab, panel });
    }
    tabs.addEventListener("keydown", step);
    const speed = element("p", { class: "lab-timings" });
    lab.onTiming = () => { speed.textContent = summary(); };
    bench.append(left, right);
    place.append(bench, speed);
    document.body.classList.add("lab-is-live");
    open(lab.views[0]);
  }

  function step(event) {
    const at = lab.views.findIndex(({ name }) => name === lab.shown);
    const count = lab.views.length;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: count - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const view = lab.views[(to + count) % count];
    choose(view);
    view.tab.focus();
  }

  function choose(view) {
    open(view);
    view.tab.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone the tabs scroll
  }

  function open(view) {
    lab.shown = view.name;
    for (const { tab, panel, name } of lab.views) {
      const chosen = name === view.name;
      tab.setAttribute("aria-selected", chosen);
      tab.tabIndex = chosen ? 0 : -1;
      panel.hidden = !chosen;
    }
    refresh(view);
  }

  const current = () => lab.views.find(({ name }) => name === lab.shown);

  function refresh(view) {
    if (networks.every((name) => lab.latest[name])) Promise.resolve(view.update()).catch(console.error);
  }

  // While one digit is being looked at, only the newest of those drawn meanwhile is kept.
  let waiting = null;
  let busy = false;
  let settle;
  lab.setDigit = async (image, { settled, start }) => {
    lab.digit = image;
    waiting = { settled, start };
    if (busy) return;
    busy = true;
    while (waiting) {
      const { settled: still, start: since } = waiting;
      waiting = null;
      const image = lab.digit;
      await Promise.all(networks.map(async (network) => {
        lab.latest[network] = await lab.ask("predict", { network, image });
        lab.bars.show(network, lab.latest[network].logits);
      }));
      lab.took("drawing to probabilities", performance.now() - since);
      if (current().live) refresh(current());
      else {
        clearTimeout(settle);
        settle = setTimeout(() => refresh(current()), still ? 0 : SETTLE);
      }
    }
    busy = false;
  };

  function summary() {
    const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
    const measured = Object.entries(lab.timings).filter(([, values]) => values.length);
    const parts = measured.map(([what, values]) => `${what} ${median(values).toFixed(0)} ms`);
    return `Computed in this page, on your machine: ${parts.join(" · ")}`;
  }

  offer();
})();
