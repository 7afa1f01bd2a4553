// Reads, changes and writes safetensors files: eight bytes with the length of a JSON header, the header, the data.

/** The numbers of one float32 tensor, in the file's own memory: changing them changes the file.
 *  @param {Uint8Array<ArrayBuffer>} file @param {string} name */
export function tensor(file, name) {
  const { header, start } = opened(file);
  const names = Object.keys(header).join(", ");
  if (!header[name]) throw new Error(`there is no tensor ${name}${names && `, only ${names}`}`);
  if (header[name].dtype !== "F32") throw new Error(`${name} is of type ${header[name].dtype}, expected F32`);
  const [first, last] = header[name].data_offsets;
  return new Float32Array(file.buffer, file.byteOffset + start + first, (last - first) / 4);
}

/** All tensors, copied, and what else the file says.
 *  @param {Uint8Array<ArrayBuffer>} file @returns {{ tensors: Record<string, Float32Array>, metadata: Record<string, string> }} */
export function readTensors(file) {
  const { header } = opened(file);
  const { __metadata__: metadata = {}, ...rest } = header;
  return { tensors: Object.fromEntries(Object.keys(rest).map((name) => [name, tensor(file, name).slice()])), metadata };
}

/** The tensors of a file one after the other, all of them float32: what the graphs of a network for photographs read
 *  (labkit.export.photographs.widened). Large ones travel as float16.
 *  @param {Uint8Array<ArrayBuffer>} file */
export function widened(file) {
  const { header, start } = opened(file);
  const tensors = Object.values(header).filter(({ data_offsets }) => data_offsets);
  tensors.sort((one, other) => one.data_offsets[0] - other.data_offsets[0]);
  const sizes = tensors.map(({ dtype, data_offsets: [first, last] }) => (last - first) / (dtype === "F16" ? 2 : 4));
  const found = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
  let place = 0;
  for (const [
    nth,
    {
      dtype,
      data_offsets: [first, last],
    },
  ] of tensors.entries()) {
    const bytes = file.slice(start + first, start + last).buffer;
    if (dtype === "F16") new Uint16Array(bytes).forEach((bits, at) => (found[place + at] = wide(bits)));
    else found.set(new Float32Array(bytes), place);
    place += sizes[nth];
  }
  return new Uint8Array(found.buffer);
}

/** The number that 16 bits stand for: a sign, five bits of exponent, ten of the fraction. @param {number} bits */
export function wide(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
}

/** @param {Uint8Array<ArrayBuffer>} file */
function opened(file) {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  return { header, start: 8 + length };
}

/** @param {Record<string, Float32Array>} tensors @param {Record<string, number[]>} shapes
 *  @param {Record<string, string>} metadata */
export function writeTensors(tensors, shapes, metadata) {
  let place = 0;
  const entries = Object.entries(tensors).map(([name, { byteLength }]) => {
    const data_offsets = [place, (place += byteLength)];
    return [name, { dtype: "F32", shape: shapes[name], data_offsets }];
  });
  const text = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const header = new TextEncoder().encode(
    text.padEnd(text.length + ((8 - (new TextEncoder().encode(text).length % 8)) % 8)),
  );
  const file = new Uint8Array(8 + header.length + place);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  let at = 8 + header.length;
  for (const values of Object.values(tensors)) {
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return file;
}
