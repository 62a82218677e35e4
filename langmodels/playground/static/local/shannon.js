// Shannon's game: how models guess, and what numbers of guesses say. See langmodels/playground/panels/shannon.py.

import { folded } from "../format.js";
import { stateAfter } from "./models.js";

export function guesses(model, reading, before, letters, asked) {
  const kinds = reading.tokens.map(folded);
  const number = new Map([...new Set(kinds)].map((kind, i) => [kind, i]));
  const kindOf = kinds.map((kind) => number.get(kind));
  let state = stateAfter(model, reading.encode(before));
  const places = new Set(asked);
  const [ranks, bits] = [[], []];
  letters.forEach((letter, place) => {
    if (places.has(place)) {
      const p = new Float64Array(number.size);
      model.logDistribution(state).forEach((v, i) => { p[kindOf[i]] += Math.exp(v); });
      const right = p[number.get(folded(letter)) ?? kindOf[0]];
      ranks.push(p.filter((v) => v > right).length + 1);
      bits.push(-Math.log2(right));
    }
    state = model.advance(state, reading.id(letter));
  });
  return { ranks, bits };
}

export function estimate(ranks) {
  const n = ranks.length;
  if (!n) return { letters: 0, first: null, upper: null, lower: null, interval: null };
  const counts = new Map();
  for (const r of ranks) counts.set(r, (counts.get(r) ?? 0) + 1);
  const q = [...counts.values()].map((c) => c / n).sort((a, b) => b - a);
  const plain = -q.reduce((sum, x) => sum + x * Math.log2(x), 0);
  const upper = plain + (q.length - 1) / (2 * n * Math.LN2);
  const lower = q.reduce((sum, x, i) => sum + (i + 1) * (x - (q[i + 1] ?? 0)) * Math.log2(i + 1), 0);
  const error = Math.sqrt(Math.max(0, q.reduce((sum, x) => sum + x * Math.log2(x) ** 2, 0) - plain ** 2) / n);
  return { letters: n, first: (counts.get(1) ?? 0) / n, upper, lower: Math.min(lower, upper), interval: [Math.max(0, upper - 1.96 * error), upper + 1.96 * error] };
}
