// Bundles the live lab into one classic script, which a page opened from disk may load; its worker is in it as text.
// node tools/website/bundle.js SOURCES OUTPUT CONTENTS..., lists of what there is to load, each in the folder of its part
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { build } from "esbuild";

const [sources, output, ...lists] = process.argv.slice(2);
/** @type {Record<string, unknown>} */
const contents = {};
for (const list of lists) contents[basename(dirname(list))] = await read(list);

/** @param {string} path */
async function read(path) {
  return JSON.parse(await readFile(path, "utf8"));
}

/** @satisfies {import("esbuild").BuildOptions} */
const options = { bundle: true, format: "iife", target: "es2022", minify: true, charset: "utf8", logLevel: "warning" };

const worker = await build({ ...options, entryPoints: [`${sources}/worker/main.js`], write: false });
await build({
  ...options,
  entryPoints: [`${sources}/main.js`],
  outfile: output,
  define: { WORKER_SOURCE: JSON.stringify(worker.outputFiles[0].text), CONTENTS: JSON.stringify(contents) },
});
