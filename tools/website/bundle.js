// Bundles the live lab into one classic script, which a page opened from disk may load; its worker is in it as text.
// node tools/website/bundle.js SOURCES NETWORKS TRAINING CERTIFIED OUTPUT, those in the middle lists of what there is to load
import { readFile } from "node:fs/promises";
import { build } from "esbuild";

const [sources, networks, training, certified, output] = process.argv.slice(2);
const contents = { networks: await read(networks), training: await read(training), certified: await read(certified) };

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
