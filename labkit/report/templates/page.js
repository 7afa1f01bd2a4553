// Sliders: one over the frames of a figure, one for how strongly maps cover the images. Without this script all frames show.
"use strict";
{
  /**
   * @param {string} name  what it changes
   * @param {number} most
   * @param {number} value  at the start
   * @param {(value: number) => string} show  shows a value, and says it in words
   */
  const slider = (name, most, value, show) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const output = document.createElement("output");
    Object.assign(input, { type: "range", min: 0, max: most, value });
    input.setAttribute("aria-label", name);
    output.setAttribute("aria-hidden", "true"); // the slider says it
    const tell = () => {
      output.textContent = show(input.valueAsNumber);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", tell);
    label.append(name, input, output);
    tell();
    return { label, input };
  };

  /** @type {HTMLInputElement[]} */
  const strengths = [];
  const cover = (/** @type {number} */ percent) => {
    document.documentElement.style.setProperty("--strength", String(percent / 100));
    for (const other of strengths) {
      if (other.valueAsNumber !== percent) {
        other.value = String(percent);
        other.dispatchEvent(new Event("input"));
      }
    }
    return `${percent}%`;
  };

  for (const place of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".frames"))) {
    const frames = [.../** @type {NodeListOf<HTMLElement>} */ (place.querySelectorAll(".frame"))];
    const controls = document.createElement("div");
    controls.className = "controls";
    const show = (/** @type {number} */ index) => {
      for (const [each, frame] of frames.entries()) frame.hidden = each !== index;
      return frames[index].dataset.value ?? "";
    };
    if (frames.length > 1) {
      const { name = "", start = "0" } = place.dataset;
      controls.append(slider(name, frames.length - 1, Number(start), show).label);
    }
    if (place.querySelector(".over")) {
      const { label, input } = slider("strength of the map", 100, 70, cover);
      strengths.push(input);
      controls.append(label);
    }
    place.prepend(controls);
  }
}
