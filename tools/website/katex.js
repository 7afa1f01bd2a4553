// Typesets formulas: reads [{ tex, display }] as JSON from the standard input, writes [{ html } or { error }].
import { text } from "node:stream/consumers";
import katex from "katex";

const formulas = JSON.parse(await text(process.stdin));
const typeset = formulas.map((/** @type {{ tex: string, display: boolean }} */ { tex, display }) => {
  try {
    return { html: katex.renderToString(tex, { displayMode: display, strict: "error", trust: false }) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
});
process.stdout.write(JSON.stringify(typeset));
