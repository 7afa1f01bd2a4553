// Reads and changes tensors in a safetensors file: eight bytes with the length of a JSON header, the header, the data.

/** The numbers of one float32 tensor, in the file's own memory: changing them changes the file.
 *  @param {Uint8Array<ArrayBuffer>} file @param {string} name */
export function tensor(file, name) {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  if (!header[name]) throw new Error(`there is no tensor ${name}, only ${Object.keys(header).join(", ")}`);
  if (header[name].dtype !== "F32") throw new Error(`${name} is of type ${header[name].dtype}, expected F32`);
  const [start, end] = header[name].data_offsets;
  return new Float32Array(file.buffer, file.byteOffset + 8 + length + start, (end - start) / 4);
}
