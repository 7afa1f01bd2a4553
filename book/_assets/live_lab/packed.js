// Files that travel as text: gzipped and in base64, because a page opened from disk can load scripts and nothing else.
// Once a script has brought them they are Blobs, which the browser keeps outside the page's memory, and which a worker
// can be given without a copy.

/** Turn the files that scripts have put into the page as text into Blobs, and leave no text behind.
 *  @returns {Record<string, Blob>} */
export function arrived() {
  const files = (globalThis.labFiles ??= {});
  for (const [name, content] of Object.entries(files)) {
    if (typeof content === "string") files[name] = new Blob([decoded(name, content)]);
  }
  return /** @type {Record<string, Blob>} */ (files);
}

/** @param {string} name for the sentence if it fails @param {Blob | undefined} file
 *  @returns {Promise<Uint8Array<ArrayBuffer>>} */
export async function inflate(name, file) {
  if (file === undefined) throw new Error(`the file ${name} has not been loaded`);
  try {
    const stream = file.stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw new Error(`the file ${name} is damaged`, { cause: error });
  }
}

/** @param {string} name @param {string} text */
function decoded(name, text) {
  try {
    const letters = atob(text);
    const bytes = new Uint8Array(letters.length); // filled in a loop: Uint8Array.from first makes a list of all letters
    for (let at = 0; at < bytes.length; at++) bytes[at] = letters.charCodeAt(at);
    return bytes;
  } catch (error) {
    throw new Error(`the file ${name} is damaged`, { cause: error });
  }
}
