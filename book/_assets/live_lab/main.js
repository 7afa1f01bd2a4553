// Where a page has room for the live lab, or for one view of it: a button that loads the networks, and then the bench.
import palette from "../../../labkit/plot/palette.json" with { type: "json" };
import { Bench } from "./bench.js";
import { element } from "./dom.js";
import { Engine } from "./engine.js";
import { offerButton } from "./offer.js";
import { PhotographBench, VIEWS as PHOTOGRAPH_VIEWS } from "./photographs/bench.js";
import { parseAddress } from "./settings.js";
import { activations } from "./views/activations.js";
import { attack } from "./views/attack.js";
import { certify } from "./views/certify.js";
import { ideal } from "./views/ideal.js";
import { kernel } from "./views/kernel.js";
import { occlusion } from "./views/occlusion.js";
import { saliency } from "./views/saliency.js";
import { WholeLab } from "./whole.js";

/** @import {View} from "./types.js" */
/** @typedef {{ engine: Engine | null, benches: Bench[], photographs: PhotographBench[], whole?: WholeLab }} LiveLab */

const contents = globalThis.labContents ?? CONTENTS;
const VIEWS = [activations, saliency, occlusion, attack, certify, ideal, kernel];
const script = /** @type {HTMLScriptElement} */ (document.currentScript).src;
const folder = script.replace(/[^/]*$/, ""); // where this script lies; files to load are named from there

/** What the page holds, for tests and for the console. @type {LiveLab} */
const lab = { engine: null, benches: [], photographs: [] };
globalThis.liveLab = lab;

/** @type {Promise<Engine> | null} */
let loading = null; // one engine for all benches of a page

/** @param {(text: string) => void} report */
function load(report) {
  loading ??= Engine.load(folder, contents.networks, WORKER_SOURCE, report).then(
    (engine) => Object.assign(engine, { certified: { folder, contents: contents.certified } }),
    (error) => {
      loading = null; // so that it can be tried again
      throw error;
    },
  );
  return loading;
}

/** What a bench for photographs needs, once for all of a page. @type {ReturnType<typeof Engine.forPhotographs> | null} */
let loadingPhotographs = null;

/** @param {(text: string) => void} report */
function loadPhotographs(report) {
  loadingPhotographs ??= Engine.forPhotographs(folder, contents, WORKER_SOURCE, report).catch((error) => {
    loadingPhotographs = null;
    throw error;
  });
  return loadingPhotographs;
}

/** Put a button into a place, and after the click a bench. @param {HTMLElement} place */
function offer(place) {
  place.replaceChildren(); // the sentence for readers without JavaScript
  palette.series.forEach((colour, at) => place.style.setProperty(`--lab-series-${at}`, colour));
  place.style.setProperty("--lab-mark", palette.series[5]);
  const lacking = ["WebAssembly", "DecompressionStream", "Worker"].filter((name) => !(name in globalThis));
  if (lacking.length) {
    const words = `This browser lacks ${lacking.join(" and ")}: without that, no network can run in this page.`;
    place.append(element("p", { class: "lab-note" }, words));
    return;
  }
  const address = parseAddress(place.dataset.state ?? location.hash);
  if (contents.alone || (place.dataset.state !== undefined && address.view === "photographs")) {
    offerPhotographs(place, address);
    return;
  }
  const one = place.dataset.state === undefined ? null : view(address.view);
  const words = one ? `Try it on a digit of your own: ${one.title}` : "Start the live lab";
  offerButton(place, words, contents.networks.bytes, async (report) => {
    lab.engine = await load(report);
    const opened = one ? mount(place, lab.engine, one) : open(place, lab.engine);
    await opened.take(one ? address : parseAddress(location.hash));
    return opened.first;
  });
}

/** One view of a photo in a chapter, or the bench for photographs that a page has alone.
 *  @param {HTMLElement} place @param {{ pairs: Record<string, string> }} address */
function offerPhotographs(place, address) {
  const { view: wanted } = address.pairs;
  const one = contents.alone ? undefined : PHOTOGRAPH_VIEWS.find(({ name }) => name === wanted);
  const views = one ? [one] : PHOTOGRAPH_VIEWS.filter(({ name }) => name !== "digit"); // which needs other networks
  const name = one ? `: ${one.title}` : "";
  const words = contents.alone ? "Start the live lab" : `Try it on a photo of your own${name}`;
  const bytes = (contents.networks.runtime ?? 0) + contents.photographs.bytes;
  offerButton(place, words, bytes, async (report) => {
    const opened = await loadPhotographs(report);
    const link = element("a", { href: place.dataset.lab ?? "" }, "Open this in the live lab, with all its views");
    const moved = (/** @type {string} */ to) => {
      if (!contents.alone) link.href = `${place.dataset.lab}${to}`;
      else if (location.hash !== to) history.replaceState(null, "", to);
    };
    const bench = new PhotographBench({ ...opened, views, moved });
    place.append(
      ...(one ? [] : [title()]),
      ...bench.content,
      ...(contents.alone ? [] : [element("p", { class: "lab-more" }, link)]),
    );
    lab.photographs.push(bench);
    await bench.take(address);
    return bench.chooser.canvas;
  });
}

/** Above the headings of the views, for those who go from heading to heading. */
const title = () => element("h2", { class: "lab-said" }, "The bench");

/** @param {string} name */
const view = (name) => VIEWS.find((each) => each.name === name);

/** The whole lab, whose state is the page's address. @param {HTMLElement} place @param {Engine} engine */
function open(place, engine) {
  const whole = new WholeLab({
    engine,
    views: VIEWS.filter(
      (each) =>
        // Where nothing is known about its layers, a network cannot be looked into.
        (each !== activations || engine.names.some((name) => engine.facts.networks[name].layers.length)) &&
        (each !== certify || contents.certified.scripts.length),
    ),
    folder,
    parts: contents,
    replaced: (bench) => (lab.benches[0] = bench),
  });
  lab.whole = whole;
  addEventListener("hashchange", () => {
    const address = parseAddress(location.hash);
    if (["photographs", "train", "challenges"].includes(address.view) || view(address.view)) whole.take(address);
  });
  place.append(title(), ...leftOut(engine), ...whole.content);
  return whole;
}

/** A page with a network of somebody's own says what it does not have. @param {Engine} engine */
function leftOut({ names, facts: { networks } }) {
  if (contents.training.scripts.length) return [];
  const layered = names.some((name) => networks[name].layers.length);
  const kernels = names.some((name) => String(networks[name].kernels?.size) === "3,3");
  const words = [
    layered ? "" : "“Look inside” is left out: the file does not say which pixels a unit sees.",
    kernels
      ? ""
      : "“Slide a kernel” has kernels of its own only: the network begins with none of 3 × 3 for one channel.",
    "Training, challenges and proofs are in the book's live lab.",
  ];
  return [element("p", { class: "lab-note" }, words.filter(Boolean).join(" "))];
}

/** One view in a chapter, with a link to the same state in the lab. @param {HTMLElement} place @param {Engine} engine
 *  @param {View} one */
function mount(place, engine, one) {
  const link = element("a", { href: place.dataset.lab ?? "" }, "Open this in the live lab, with all its views");
  const moved = (/** @type {string} */ address) => {
    link.href = `${place.dataset.lab}${address}`;
  };
  const bench = new Bench({ engine, views: [one], moved });
  place.append(...bench.content, element("p", { class: "lab-more" }, link));
  lab.benches.push(bench);
  return bench;
}

for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".live-lab"))) offer(place);

// A file that is dropped beside the place for it would be opened instead of this page, and all that was trained lost.
for (const kind of /** @type {const} */ (["dragover", "drop"])) {
  addEventListener(kind, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}
