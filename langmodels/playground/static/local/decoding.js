// What is really drawn from: see Decoding in langmodels/models/decoding.py.

export function probabilities(logP, { temperature = 1, top_k = null, top_p = null, unk = false }) {
  const n = logP.length;
  let z = Float64Array.from(logP);
  if (!unk && z.filter(Number.isFinite).length > 1) z[0] = -Infinity;
  if (temperature === 0) {
    const p = new Float64Array(n);
    p[z.indexOf(Math.max(...z))] = 1;
    return p;
  }
  if (top_k !== null && top_k < n) {
    const least = Float64Array.from(z).sort()[n - top_k];
    const kept = new Set([...z.keys()].filter((i) => z[i] > least));
    for (let i = 0; i < n && kept.size < top_k; i += 1) if (z[i] === least) kept.add(i);
    z = z.map((v, i) => (kept.has(i) ? v : -Infinity));
  }
  const most = z.reduce((a, b) => Math.max(a, b), -Infinity);
  let p = z.map((v) => Math.exp((v - most) / temperature));
  const total = p.reduce((a, b) => a + b, 0);
  p = p.map((v) => v / total);
  if (top_p !== null && top_p < 1) {
    let before = 0;
    for (const i of ranked(p)) {
      const mine = p[i];
      if (before >= top_p) p[i] = 0;
      before += mine;
    }
    const left = p.reduce((a, b) => a + b, 0);
    p = p.map((v) => v / left);
  }
  return p;
}

// Places by falling value; equals in their order.
export const ranked = (p) => [...p.keys()].sort((a, b) => p[b] - p[a] || a - b);

export function draw(p, random) {
  const aim = random * p.reduce((a, b) => a + b, 0);
  let sum = 0;
  for (let i = 0; i < p.length; i += 1) {
    sum += p[i];
    if (sum > aim) return i;
  }
  return p.findLastIndex((v) => v > 0);
}
