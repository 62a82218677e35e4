// Models as Python has them: two functions, the context after one more token and the distribution after a context.

import { find } from "./arrays.js";

const BOS = 1;

export class Unigram {
  constructor(m, arrays) { this.table = arrays[m.log_prob]; this.contextLength = 0; Object.assign(this, { caveat: m.caveat, method: m.method, order: 1, options: m.options }); }
  start() { return null; }
  advance() { return null; }
  logDistribution() { return Float64Array.from(this.table); }
}

// Log probabilities and back-off weights of n-grams in a trie: see langmodels/ngram/tables.py.
export class NGram {
  constructor(m, arrays) {
    const all = (names) => names.map((n) => arrays[n]);
    Object.assign(this, m, { words: all(m.words), starts: all(m.starts), logProb: all(m.log_prob), backoffs: all(m.backoff), unseen: m.unseen_backoff });
    this.contextLength = m.order - 1;
  }

  start() { return this.order > 1 ? [BOS] : []; }

  child(length, parent, word) {
    const starts = this.starts[length - 1];
    return find(this.words[length], word, starts[parent], starts[parent + 1]);
  }

  advance(state, word) {
    const nodes = [word];
    for (let j = 0; j < state.length && j < this.order - 1; j += 1) nodes.push(state[j] < 0 ? -1 : this.child(j + 1, state[j], word));
    let n = Math.min(nodes.length, this.order - 1);
    while (n && !this.unseen) {
      // A context without successors or a charge for backing off changes nothing to come.
      const node = nodes[n - 1];
      if (node >= 0 && (this.backoffs[n - 1][node] !== 0 || this.starts[n - 1][node] < this.starts[n - 1][node + 1])) break;
      n -= 1;
    }
    return nodes.slice(0, n);
  }

  // Log p, and the length of the n-gram that gave it.
  score(state, word) {
    let charge = 0;
    for (let length = state.length; length > 0; length -= 1) {
      const parent = state[length - 1];
      if (parent < 0) { charge += this.unseen; continue; }
      const at = this.child(length, parent, word);
      if (at >= 0) return [charge + this.logProb[length][at], length + 1];
      charge += this.backoffs[length - 1][parent];
    }
    return [charge + this.logProb[0][word], 1];
  }

  weight(length, node) { return node >= 0 ? this.backoffs[length - 1][node] : this.unseen; }

  logDistribution(state) {
    const charges = [0];
    for (let length = state.length; length > 0; length -= 1) charges.push(charges.at(-1) + this.weight(length, state[length - 1]));
    const result = Float64Array.from(this.logProb[0], (x) => x + charges.at(-1));
    state.forEach((node, j) => {
      if (node < 0) return;
      const [starts, words, logProb] = [this.starts[j], this.words[j + 1], this.logProb[j + 1]];
      for (let i = starts[node]; i < starts[node + 1]; i += 1) result[words[i]] = logProb[i] + charges[state.length - j - 1];
    });
    return result;
  }
}

const sigmoid = (z) => 1 / (1 + Math.exp(-z));

// y += x M, M of so many columns.
function multiply(x, matrix, columns, y) {
  for (let i = 0; i < x.length; i += 1) {
    const [v, row] = [x[i], i * columns];
    if (v !== 0) for (let j = 0; j < columns; j += 1) y[j] += v * matrix[row + j];
  }
  return y;
}

const GATES = { rnn: 1, gru: 3, lstm: 4 };

export class Recurrent {
  constructor(m, arrays) {
    this.cell = m.cell; this.hidden = m.hidden; this.contextLength = null; this.caveat = m.caveat;
    this.layers = m.layers.map((layer) => Object.fromEntries(Object.entries(layer).map(([k, name]) => [k, arrays[name]])));
    this.embedding = m.embedding ? arrays[m.embedding] : null;
    this.output = arrays[m.output];
    this.bias = arrays[m.bias];
    this.width = this.embedding ? this.embedding.length / this.bias.length : 0;
  }

  start() {
    const zero = () => new Float64Array(this.hidden);
    return this.advance(this.layers.map(() => ({ h: zero(), c: zero() })), BOS);
  }

  advance(states, token) {
    const columns = GATES[this.cell] * this.hidden;
    let x = null;
    return this.layers.map((layer, k) => {
      const z = Float64Array.from(layer.bias);
      if (k === 0 && !this.embedding) for (let j = 0; j < columns; j += 1) z[j] += layer.input[token * columns + j];
      else multiply(k === 0 ? this.embedding.subarray(token * this.width, (token + 1) * this.width) : x, layer.input, columns, z);
      const after = this.step(layer, z, states[k]);
      x = after.h;
      return after;
    });
  }

  step(layer, z, { h, c }) {
    const n = this.hidden;
    const from = multiply(h, layer.hidden, GATES[this.cell] * n, new Float64Array(GATES[this.cell] * n));
    const after = new Float64Array(n);
    const cell = new Float64Array(n);
    for (let j = 0; j < n; j += 1) {
      if (this.cell === "rnn") after[j] = Math.tanh(z[j] + from[j]);
      else if (this.cell === "gru") {
        const r = sigmoid(z[j] + from[j]);
        const u = sigmoid(z[n + j] + from[n + j]);
        const candidate = Math.tanh(z[2 * n + j] + r * (from[2 * n + j] + layer.hidden_bias[j]));
        after[j] = (1 - u) * candidate + u * h[j];
      } else {
        const [i, f, g, o] = [0, 1, 2, 3].map((k) => z[k * n + j] + from[k * n + j]);
        cell[j] = sigmoid(f) * c[j] + sigmoid(i) * Math.tanh(g);
        after[j] = sigmoid(o) * Math.tanh(cell[j]);
      }
    }
    return { h: after, c: cell };
  }

  logDistribution(states) {
    const { h } = states.at(-1);
    const n = this.hidden;
    const logits = Float64Array.from(this.bias);
    let most = -Infinity;
    for (let w = 0; w < logits.length; w += 1) {
      let sum = logits[w];
      for (let j = 0; j < n; j += 1) sum += h[j] * this.output[w * n + j];
      logits[w] = w === BOS ? -Infinity : sum;
      most = Math.max(most, logits[w]);
    }
    let total = 0;
    for (const z of logits) total += Math.exp(z - most);
    const log = most + Math.log(total);
    return logits.map((z) => z - log);
  }
}

export const make = (m, arrays) => new { unigram: Unigram, ngram: NGram, recurrent: Recurrent }[m.type](m, arrays);

export function stateAfter(model, ids) {
  let state = model.start();
  for (const id of ids) state = model.advance(state, id);
  return state;
}

// log p of each id after those before it.
export function scores(model, ids) {
  let state = model.start();
  return ids.map((id, i) => {
    const p = model.score ? model.score(state, id)[0] : model.logDistribution(state)[id];
    if (i + 1 < ids.length) state = model.advance(state, id);
    return p;
  });
}

// What of a context a model takes into account: see context_seen in langmodels/teaching/chain_rule.py.
export function used(model, reading, tokens) {
  let n = model.contextLength === null ? tokens.length : Math.min(tokens.length, model.contextLength);
  let beginning = model.contextLength === null || model.contextLength > tokens.length;
  if (model instanceof NGram) {
    const state = stateAfter(model, reading.encode(tokens));
    const seen = state.reduce((most, node, j) => (node >= 0 ? j + 1 : most), 0);
    const whole = Math.min(tokens.length + 1, model.order - 1);
    n = seen === whole || !model.whole_contexts ? Math.min(tokens.length, seen) : 0;
    beginning = state.length > tokens.length;
  }
  const reach = model.contextLength === null ? tokens.length : model.contextLength;
  const note = n < Math.min(tokens.length, reach) ? model.caveat : "";
  if (n < tokens.length) return { tokens: n ? tokens.slice(-n) : [], note };
  return { tokens: beginning ? ["<s>", ...tokens] : tokens, note };
}
