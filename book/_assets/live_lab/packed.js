// Files that travel as text: gzipped and in base64, because a page opened from disk can load scripts and nothing else.

/** @param {string} name for the sentence if it fails @param {string | undefined} text
 *  @returns {Promise<Uint8Array<ArrayBuffer>>} */
export async function inflate(name, text) {
  if (text === undefined) throw new Error(`the file ${name} has not been loaded`);
  try {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw new Error(`the file ${name} is damaged`, { cause: error });
  }
}
