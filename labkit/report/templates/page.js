// Sliders: one over the frames of a figure, one for how strongly maps cover the images. Without this script all frames show.
"use strict";
{
  const slider = (name, most, value, shown) => {
    const label = document.createElement("label"), input = document.createElement("input");
    const output = document.createElement("output");
    Object.assign(input, { type: "range", min: 0, max: most, value });
    input.setAttribute("aria-label", name);
    output.setAttribute("aria-hidden", "true"); // the slider says it
    const tell = () => {
      output.textContent = shown(input.valueAsNumber);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", tell);
    label.append(name, input, output);
    tell();
    return label;
  };
  const strengths = [];
  const cover = (percent) => {
    document.documentElement.style.setProperty("--strength", percent / 100);
    for (const other of strengths.map((label) => label.querySelector("input"))) {
      if (other.valueAsNumber !== percent) {
        other.value = percent;
        other.dispatchEvent(new Event("input"));
      }
    }
    return `${percent}%`;
  };
  for (const place of document.querySelectorAll(".frames")) {
    const frames = [...place.querySelectorAll(".frame")], controls = document.createElement("div");
    controls.className = "controls";
    const show = (index) => {
      frames.forEach((frame, each) => { frame.hidden = each !== index; });
      return frames[index].dataset.value;
    };
    if (frames.length > 1) controls.append(slider(place.dataset.name, frames.length - 1, place.dataset.start, show));
    if (place.querySelector(".over")) {
      const strength = slider("strength of the map", 100, 70, cover);
      strengths.push(strength);
      controls.append(strength);
    }
    place.prepend(controls);
  }
}
