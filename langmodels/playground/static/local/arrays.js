// Arrays that came with the page: compressed, as text, and unpacked once.

const KINDS = { i4: Int32Array, f4: Float32Array, f8: Float64Array };

export async function unpack(packed) {
  const found = {};
  await Promise.all(Object.entries(packed).map(async ([name, { dtype, data }]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    found[name] = new KINDS[dtype](await new Response(stream).arrayBuffer());
  }));
  return found;
}

// The place of a word among rising ones from begin to end, or -1.
export function find(words, word, begin, end) {
  let low = begin;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle] < word) low = middle + 1; else high = middle;
  }
  return low < end && words[low] === word ? low : -1;
}
