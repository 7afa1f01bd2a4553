// Choosing a class by its name: what the network sees, or any of a thousand.
import { element } from "../dom.js";

let count = 0;

/** A field with all names to search in; empty, it stands for what the network sees.
 *  @param {{ label: string, names: string[], empty: string, change: (name: string) => void }} options `empty` says
 *  what an empty field stands for; `change` is told a known name, or "" */
export function classMenu({ label, names, empty, change }) {
  const id = `lab-classes-${count++}`;
  const note = element("span", { class: "lab-label", role: "status" });
  const field = element("input", { type: "search", list: id, placeholder: empty, autocomplete: "off", size: 18 });
  const list = element("datalist", { id }, ...names.map((name) => element("option", { value: name })));
  const read = () => {
    const wanted = field.value.trim().toLowerCase();
    const found =
      names.find((name) => name.toLowerCase() === wanted) ??
      (wanted ? names.find((name) => name.toLowerCase().includes(wanted)) : undefined);
    if (wanted && !found) {
      note.textContent = `None of the ${names.length} classes has “${field.value.trim()}” in its name.`;
      return;
    }
    note.textContent = "";
    field.value = found ?? "";
    change(found ?? "");
  };
  field.addEventListener("change", read);
  return {
    element: element(
      "div",
      { class: "lab-class" },
      element("label", { class: "lab-menu" }, element("span", {}, label), field),
      list,
      note,
    ),
    /** @param {string} name */
    show: (name) => {
      field.value = name;
    },
  };
}
