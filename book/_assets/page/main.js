// What every page of the book does by itself; tools/website/bundle_pages.py joins it with the theme's scripts.
import * as code from "./code.js";
import * as glossary from "./glossary.js";
import * as names from "./names.js";
import * as progress from "./progress.js";
import * as questions from "./questions.js";
import * as sliders from "./sliders.js";

document.addEventListener("DOMContentLoaded", () => {
  for (const part of [names, code, sliders, questions, progress, glossary]) part.start();
});
