// From counts to probabilities: the calculation of one n-gram, and bigrams smoothed in every way. See langmodels/ngram.

import { find } from "./arrays.js";

const FORMULAS = {
  mle: "c / n", laplace: "(c + 1) / (n + V)", lidstone: "(c + α) / (n + α V)", jelinek_mercer: "λ c / n + (1 - λ) p(w | h′)",
  witten_bell: "c / (n + t) + t / (n + t) · p(w | h′)", absolute: "(c - D) / n + γ p(w | h′)", kneser_ney: "(c - D) / n + γ p(w | h′)",
  modified_kneser_ney: "(c - D(c)) / n + γ p(w | h′)", katz: "d c / n where c > 0, else γ p(w | h′)", stupid_backoff: "c / n where c > 0, else factor · s(w | h′)",
};
const binaryDigits = (n, most) => Math.min(n > 0 ? Math.floor(Math.log2(n)) + 1 : 0, most - 1);

export class Counts {
  constructor(c, arrays) {
    for (const [name, list] of Object.entries(c)) this[name] = list.map((n) => arrays[n]);
    this.size = this.words[0].length;
    // Nothing predicts the beginning.
    this.predicted = this.raw.map((a) => a);
    this.predicted[0] = Int32Array.from(this.raw[0]);
    this.predicted[0][1] = 0;
  }

  // The counts of order k as a model of order n has them.
  of(k, n, continuation) { return continuation && k < n ? this.continuation[k - 1] : this.predicted[k - 1]; }

  node(ids) {
    let node = ids[0];
    for (let k = 1; k < ids.length && node >= 0; k += 1) node = find(this.words[k], ids[k], this.starts[k - 1][node], this.starts[k - 1][node + 1]);
    return node;
  }

  // The k-grams of a context, and ours among them (-1: not seen).
  place(context, word) {
    if (!context.length) return { node: 0, begin: 0, end: this.size, at: word };
    const node = this.node(context);
    if (node < 0) return { node, begin: 0, end: 0, at: -1 };
    const [begin, end] = [this.starts[context.length - 1][node], this.starts[context.length - 1][node + 1]];
    return { node, begin, end, at: find(this.words[context.length], word, begin, end) };
  }
}

// How p(word | context) of a model comes about; `ids` and `tokens` are its context from <s> on.
export function calculate(model, counts, ids, tokens, word, token) {
  const vocabulary = counts.size - 1;
  const n = Math.min(model.order - 1, ids.length);
  const context = ids.slice(ids.length - n);
  const names = tokens.slice(tokens.length - n);
  const uniform = 1 / vocabulary;
  const line = (k, part, more) => {
    const c = counts.of(k, model.order, model.continuation);
    let [total, types] = [0, 0];
    for (let i = part.begin; i < part.end; i += 1) { total += c[i]; types += c[i] > 0; }
    const found = { order: k, context: names.slice(names.length - k + 1), count: part.at >= 0 ? c[part.at] : 0, total, types, discount: null };
    Object.assign(found, more(found, c, part));
    return { ...found, prob: found.share + found.weight * found.lower };
  };
  const at = (k) => counts.place(context.slice(context.length - k + 1), word);
  let orders = [];
  let note = "";
  const alpha = { laplace: 1, lidstone: model.options.alpha, mle: 0 }[model.method];
  if (alpha !== undefined && !model.options?.backoff) {
    const k = context.length + 1;
    orders = [line(k, at(k), (o) => {
      const total = o.total + alpha * vocabulary;
      if (!total) note = "The context was never seen: 0/0 is replaced by 1/V.";
      return { discount: alpha || null, share: total ? (o.count + alpha) / total : 0, weight: total ? 0 : 1, lower: uniform };
    })];
  } else if (model.method === "mle") {
    for (let k = context.length + 1; k >= 1 && !orders.length; k -= 1) {
      const o = line(k, at(k), (l) => ({ share: l.total ? l.count / l.total : 0, weight: 0, lower: 0 }));
      if (o.total) orders = [o];
    }
  } else {
    let lower = uniform;
    for (let k = 1; k <= context.length + 1; k += 1) {
      const below = lower;
      orders.push(line(k, at(k), (o, c, part) => ({ lower: below, ...term(model, o, c, part, k) })));
      lower = orders.at(-1).prob;
    }
  }
  return { token, method: model.method, formula: FORMULAS[model.method], vocabulary, uniform, prob: orders.at(-1).prob, note, orders };
}

// What an n-gram keeps for itself, and the factor on the shorter context.
function term(model, o, c, part, k) {
  const empty = !o.total;
  if (model.method === "witten_bell") {
    const sum = o.total + o.types;
    return { share: sum ? o.count / sum : 0, weight: o.types ? o.types / sum : 1 };
  }
  if (model.method === "jelinek_mercer") {
    const { weights } = model.fitted;
    const w = empty ? 0 : weights ? weights[k - 1][binaryDigits(o.total, model.buckets)] : model.options.weight;
    return { share: empty ? 0 : (w * o.count) / o.total, weight: 1 - w };
  }
  if (model.method === "stupid_backoff") return o.count ? { share: o.count / o.total, weight: 0 } : { share: 0, weight: model.options.factor };
  if (model.method === "katz") {
    if (part.node < 0 || part.begin === part.end) return { share: 0, weight: 1 };
    if (!o.count && k > 1) return { share: 0, weight: Math.exp(model.backoffs[k - 2][part.node]) };
    const d = model.fitted.discounts[k - 1];
    const kept = o.count ? d[o.count - 1] ?? 1 : null;
    const share = Math.exp(model.logProb[k - 1][part.at]);
    return { share, weight: 0, discount: kept, total: kept ? (kept * o.count) / share : o.total };
  }
  const d = [0, ...model.fitted.discounts[k - 1]];
  const off = (x) => d[Math.min(x, d.length - 1)];
  if (part.begin === part.end) return { share: 0, weight: 1, discount: off(o.count) };
  let taken = 0;
  for (let i = part.begin; i < part.end; i += 1) taken += off(c[i]);
  return { discount: off(o.count), share: empty || part.at < 0 ? 0 : (o.count - off(o.count)) / o.total, weight: empty ? 1 : taken / o.total };
}

// Probabilities of every word after each of some words, bigrams smoothed by a method.
export function smoothed(counts, method, fitted, options, rows, buckets = 32) {
  const V = counts.size - 1;
  const c1 = method === "kneser_ney" || method === "modified_kneser_ney" ? counts.continuation[0] : counts.predicted[0];
  const alpha = { mle: 0, laplace: 1, lidstone: options.alpha ?? 0.1 }[method];
  const discounts = (k) => (options.discount !== undefined ? [options.discount] : fitted.discounts?.[k]);
  const lower = alpha === undefined ? unigrams() : null;

  function mix(method_, c, k) {
    // Share of each count, and the weight of what is below.
    let [total, types, taken] = [0, 0, 0];
    const d = discounts(k) ? [0, ...discounts(k)] : null;
    const off = (x) => d[Math.min(x, d.length - 1)];
    for (const x of c) { total += x; types += x > 0; if (d) taken += off(x); }
    if (!total) return { share: () => 0, weight: 1 };
    if (method_ === "witten_bell") return { share: (x) => x / (total + types), weight: types / (total + types) };
    if (method_ === "jelinek_mercer") {
      const w = options.weight ?? fitted.weights[k][binaryDigits(total, buckets)];
      return { share: (x) => (w * x) / total, weight: 1 - w };
    }
    return { share: (x) => (x - off(x)) / total, weight: taken / total };
  }

  function unigrams() {
    if (method === "katz") {
      const { p, left } = good(c1, 0);
      const unseen = c1.reduce((n, x, i) => n + (x === 0 && i !== 1), 0);
      return p.map((x, w) => (w === 1 ? 0 : unseen ? (c1[w] ? x : left / unseen) : x / (1 - left)));
    }
    const { share, weight } = mix(method, c1, 0);
    return Float64Array.from(c1, (x, w) => (w === 1 ? 0 : share(x) + weight / V));
  }

  function good(c, k) {
    const d = fitted.discounts[k];
    let [total, taken] = [0, 0];
    const value = (x) => x * (x ? d[x - 1] ?? 1 : 0);
    for (const x of c) { total += x; taken += x - value(x); }
    if (taken === 0) { total += 1; taken = 1; }
    return { p: Float64Array.from(c, (x) => value(x) / total), left: taken / total };
  }

  return rows.map((row) => {
    const [begin, end] = [counts.starts[0][row], counts.starts[0][row + 1]];
    const c = counts.predicted[1].subarray(begin, end);
    const words = counts.words[1].subarray(begin, end);
    const total = c.reduce((a, b) => a + b, 0);
    let p;
    if (alpha !== undefined) {
      const sum = total + alpha * V;
      p = new Float64Array(counts.size).fill(sum ? alpha / sum : 1 / V);
      words.forEach((w, i) => { p[w] = (c[i] + alpha) / sum; });
    } else if (method === "katz") {
      const { p: own, left } = good(c, 1);
      let rest = 1;
      words.forEach((w) => { rest -= lower[w]; });
      const full = c.length === V || rest < 1e-9;
      p = lower.map((x) => (c.length ? (full ? x : (left / rest) * x) : x));
      words.forEach((w, i) => { p[w] = full ? own[i] / (1 - left) : own[i]; });
    } else {
      const { share, weight } = mix(method, c, 1);
      p = lower.map((x) => weight * x);
      words.forEach((w, i) => { p[w] += share(c[i]); });
    }
    p[1] = 0;
    return p;
  });
}
