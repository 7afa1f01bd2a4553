// Views of one thing, of which one is shown: a tab each, a menu in their place where there is no room, and their settings.
import { element, isShortcut, menu } from "./dom.js";
import { Settings } from "./settings.js";

/** @import {BuiltView} from "./types.js" */
/** @typedef {BuiltView & { view: Named, settings: Settings, tab: HTMLElement, panel: HTMLElement }} Shown */
/** @typedef {{ name: string, title: string, settings: Record<string, import("./settings.js").Setting> }} Named */

/** @template {Named} V */
export class Tabs {
  /** The view that is shown. @type {Shown | null} */
  shown = null;
  /** @type {Shown[]} */
  #views = [];

  /** @param {{ id: string, views: V[], build: (view: V, settings: Settings) => BuiltView, moved: () => void,
   *            changed: () => unknown }} options `id` begins the ids of the elements; `moved` hears of every change of
   *  the settings, `changed` of another view */
  constructor({ id, views, build, moved, changed }) {
    this.changed = changed;
    this.#views = views.map((view) => {
      const settings = new Settings(view.settings, moved);
      return { ...build(view, settings), view, settings, ...this.#elements(id, view, views.length === 1) };
    });
    for (const { content, panel } of this.#views) panel.append(...content);
    this.panels = this.#views.map(({ panel }) => panel);
    this.content = views.length > 1 ? this.#tabs() : [];
  }

  /** @param {string} id @param {Named} view @param {boolean} alone without tabs */
  #elements(id, { name, title }, alone) {
    const [tabId, panelId] = [`${id}-tab-${name}`, `${id}-${name}`];
    const tab = element(
      "button",
      {
        type: "button",
        role: "tab",
        class: `lab-tab-${name}`,
        id: tabId,
        "aria-controls": panelId,
        "aria-selected": "false",
        tabindex: -1,
        onclick: () => this.show(name),
      },
      title,
    );
    /** @type {import("./dom.js").Attributes} */
    const named = alone ? { role: "group", "aria-label": title } : { role: "tabpanel", "aria-labelledby": tabId };
    const panel = element(
      "div",
      { ...named, class: `lab-panel lab-panel-${name}`, id: panelId, hidden: true },
      ...document.querySelectorAll(`.lab-view-${name}`),
    );
    return { tab, panel };
  }

  #tabs() {
    const choices = this.#views.map(({ view }) => /** @type {[string, string]} */ ([view.name, view.title]));
    this.menu = menu("view", choices, (name) => this.show(name));
    this.menu.element.classList.add("lab-view-menu");
    const tabs = element(
      "div",
      { class: "lab-tabs", role: "tablist", "aria-label": "views" },
      ...this.#views.map(({ tab }) => tab),
    );
    tabs.addEventListener("keydown", (event) => {
      const at = this.#views.findIndex((each) => each === this.shown);
      const last = this.#views.length - 1;
      const to = /** @type {Record<string, number>} */ ({ ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last })[
        event.key
      ];
      if (to === undefined || isShortcut(event)) return;
      event.preventDefault();
      const next = this.#views[(to + last + 1) % (last + 1)];
      this.show(next.view.name);
      next.tab.focus();
    });
    return [this.menu.element, tabs];
  }

  /** Show a view; the first one if there is none of this name. @param {string} name */
  show(name) {
    const chosen = this.#views.find(({ view }) => view.name === name) ?? this.#views[0];
    if (this.shown !== chosen) this.shown?.hide?.();
    this.shown = chosen;
    this.menu?.show(chosen.view.name);
    for (const each of this.#views) {
      each.tab.setAttribute("aria-selected", String(each === chosen));
      each.tab.tabIndex = each === chosen ? 0 : -1;
      each.panel.hidden = each !== chosen;
    }
    return this.changed();
  }

  /** Show a view as an address says. @param {string} name @param {Record<string, string>} pairs */
  take(name, pairs) {
    this.#views.find((each) => each.view.name === name)?.settings.take(pairs);
    this.show(name);
  }
}
