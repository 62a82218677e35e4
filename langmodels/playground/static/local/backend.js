// Where numbers come from on a page by itself: the models that came with it. It answers as the server does.

import { folded, isWhite } from "../format.js";
import { unpack } from "./arrays.js";
import { draw, probabilities, ranked } from "./decoding.js";
import { make, scores, stateAfter, used } from "./models.js";
import { Reading } from "./reading.js";
import { calculate, Counts, smoothed } from "./smoothing.js";
import { estimate, guesses } from "./shannon.js";

export class Refused extends Error { name = "Refused"; }

export const live = false;

let site = null;

async function begin() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const arrays = await unpack(data.arrays);
  const rooms = data.rooms.map((room) => ({
    ...room,
    reading: new Reading(room),
    counts: new Counts(room.counts, arrays),
    engines: new Map(room.models.map((m) => [m.name, make(m, arrays)])),
  }));
  return { version: data.version, rooms };
}

export async function ask(name, data = {}) {
  site ??= begin();
  const { version, rooms } = await site;
  if (name === "start") {
    return {
      version, first: { text: rooms[0].text, level: rooms[0].level },
      texts: [{ key: rooms[0].text, name: rooms[0].name, language: rooms[0].language }], levels: rooms.map((r) => r.level), models: [], limits: {}, errors: [],
    };
  }
  const level = name === "shannon" ? "char" : data.level;
  const room = rooms.find((r) => r.level === level) ?? rooms[0];
  if (!ANSWERS[name]) throw new Refused("A page by itself cannot do that; `langmodels play` can.");
  return ANSWERS[name](room, data);
}

export async function upload() { throw new Refused("A page by itself takes no texts; `langmodels play` does."); }

const chosen = (room, names) => [...room.engines].filter(([name]) => !names || names.includes(name));
const lastLine = (room, text) => (room.ends ? text.slice(text.lastIndexOf("\n") + 1) : text);

// What is estimated of a method whose slider was moved.
function asSet({ discount, weight }) {
  if (weight !== undefined) return {};
  return discount === undefined ? null : { discounts: [[discount], [discount]] };
}

// The most probable tokens: `<s>` is none.
const best = (p, k) => ranked(p.map((v, i) => (i === 1 ? -1 : v))).slice(0, Math.min(k, p.length - 1));
const distribution = (room, name) => room.models.find((m) => m.name === name).is_distribution;

function engine(room, name) {
  if (!room.engines.has(name)) throw new Refused(`The model ${name} is not ready.`);
  return room.engines.get(name);
}

// The ids of what somebody thinks of: one, if it is a token.
function thought(reading, token) {
  if (reading.known(token) && token !== "<s>") return [reading.id(token)];
  return reading.tokenize(token).map((t) => reading.id(t));
}

const ANSWERS = {
  room: ({ reading, counts, engines, bigrams, passages, vocabulary, test, ...record }) => ({
    ...record, models: record.models.map(({ name, status, note, progress, seconds, kind, parameters, context_length, is_distribution }) =>
      ({ name, status, note, progress, seconds, kind, parameters, context_length, is_distribution })),
  }),

  next(room, { models, context = "", k = 10, token = null, ...sliders }) {
    const { reading } = room;
    const tokens = reading.tokenize(lastLine(room, context));
    const ids = reading.encode(tokens);
    return { models: chosen(room, models).map(([name, model]) => {
      const logP = model.logDistribution(stateAfter(model, ids));
      const p = logP.map(Math.exp);
      const drawn = probabilities(logP, { ...sliders, unk: true });
      const order = best(p, k);
      const seen = used(model, reading, tokens);
      const entry = (id, rank, shown) => ({ rank, token: shown, prob: p[id], known: true, chosen: drawn[id], glue: tokens.length ? reading.glue(tokens.at(-1), shown) : "" });
      const rank = (id) => p.filter((v) => v > p[id]).length + 1;
      let asked = null;
      const pieces = token ? thought(reading, token) : [];
      if (pieces.length === 1) {
        const [id] = pieces;
        asked = { ...entry(id, rank(id), token), known: reading.known(token), log_prob: logP[id] };
        delete asked.glue;
      }
      // Scores that do not sum to one have the entropy of their shares.
      const total = distribution(room, name) ? 1 : p.reduce((sum, v) => sum + v, 0);
      let bits = 0;
      for (const v of p) if (v > 0) bits -= v / total * Math.log2(v / total);
      return {
        model: name, context: tokens, unknown: [...new Set(tokens.filter((t) => !reading.known(t)))], used: seen.tokens,
        candidates: order.map((id) => entry(id, rank(id), reading.tokens[id])), asked, entropy: bits,
        is_distribution: distribution(room, name), note: seen.note,
        surprisals: scores(model, ids).map((s) => -s / Math.LN2), separator: room.separator, types: p.length - 1,
        kept: drawn.filter((v) => v > 0).length,
        problem: token && pieces.length !== 1 ? `“${token}” is ${pieces.length} tokens for this model; ask for one.` : "",
      };
    }) };
  },

  roll(room, { model, context = "", ...sliders }) {
    const { reading } = room;
    const tokens = reading.tokenize(lastLine(room, context));
    const m = engine(room, model);
    const id = draw(probabilities(m.logDistribution(stateAfter(m, reading.encode(tokens))), sliders), Math.random());
    const token = reading.tokens[id];
    return { token, glue: tokens.length ? reading.glue(tokens.at(-1), token) : "", ends: id === reading.eos };
  },

  chain(room, { models, sentence }) {
    const { reading } = room;
    const tokens = reading.tokenize(sentence);
    if (!tokens.length) throw new Refused("The sentence is empty; give at least one word.");
    const ids = reading.encode(tokens);
    const predicted = room.ends ? [...tokens, "</s>"] : tokens;
    return { models: chosen(room, models).map(([name, model]) => {
      const found = scores(model, room.ends ? [...ids, reading.eos] : ids);
      const seen = predicted.map((_, i) => used(model, reading, tokens.slice(0, i)));
      let running = 0;
      const steps = predicted.map((token, i) => {
        running += found[i];
        return { token, known: reading.known(token), context: tokens.slice(0, i), used: seen[i].tokens, prob: Math.exp(found[i]), log_prob: found[i], running };
      });
      return {
        model: name, unit: "nats", log_prob: running, perplexity: Math.exp(-running / steps.length),
        is_distribution: distribution(room, name), note: distribution(room, name) ? seen.map((s) => s.note).find(Boolean) ?? "" : "The scores do not sum to one.",
        steps, separator: room.separator, bits: found.map((s) => -s / Math.LN2),
      };
    }) };
  },

  cell(room, { model, sentence, position }) {
    const { reading } = room;
    const tokens = reading.tokenize(sentence);
    const token = [...tokens, "</s>"][position];
    const ids = reading.encode(tokens.slice(0, position));
    const m = engine(room, model);
    const state = stateAfter(m, ids);
    const p = m.logDistribution(state).map(Math.exp);
    const word = token === "</s>" && position === tokens.length ? reading.eos : reading.encode([token])[0];
    const found = { token, prob: p[word], candidates: best(p, 5).map((id) => ({ token: reading.tokens[id], prob: p[id] })), calculation: null, path: [], state: m.cell ? [...state.at(-1).h] : null };
    if (m.method) found.calculation = calculate(m, room.counts, [1, ...ids], ["<s>", ...ids.map((id) => reading.tokens[id])], word, token);
    if (!m.score) return found;
    const names = ["<s>", ...ids.map((id) => reading.tokens[id])];
    const [, length] = m.score(state, word);
    for (let j = state.length; j >= length; j -= 1) found.path.push({ context: names.slice(names.length - j), weight: Math.exp(m.weight(j, state[j - 1])) });
    found.path.push({ context: length > 1 ? names.slice(names.length - length + 1) : [], prob: Math.exp(m.score(state.slice(0, length - 1), word)[0]) });
    return found;
  },

  counts(room, { rows = [], columns = [], alpha, discount, weight }) {
    const { reading, counts, bigrams } = room;
    const word = reading.tokens.map((t, i) => i >= reading.special && /[\p{L}\p{N}]/u.test(t));
    if (!word.some(Boolean)) word.fill(true, reading.special);
    const c = counts.raw[0].map((x, i) => (word[i] ? x : 0));
    const known = (tokens, bos) => [...new Set(tokens.filter((t) => reading.known(t) && (bos || t !== "<s>")))].map((t) => reading.id(t));
    const firsts = (known(rows, true).length ? known(rows, true) : ranked(c).slice(0, 6)).slice(0, 20);
    let seconds = known(columns, false);
    const span = (row) => [counts.starts[0][row], counts.starts[0][row + 1]];
    if (!seconds.length) {
      const after = new Float64Array(counts.size);
      for (const row of firsts) for (let [i, end] = span(row); i < end; i += 1) after[counts.words[1][i]] += counts.raw[1][i];
      const unseen = Float64Array.from(c, (x, i) => (after[i] === 0 && x > 0 ? x : -1));
      seconds = ranked(after.map((x, i) => (word[i] ? x : 0))).slice(0, 7).filter((i) => word[i] && after[i]);
      const most = ranked(unseen)[0];
      if (unseen[most] > 0) seconds.push(most);
    }
    seconds = seconds.slice(0, 20);
    const table = firsts.map((row) => {
      const line = new Int32Array(counts.size);
      for (let [i, end] = span(row); i < end; i += 1) line[counts.words[1][i]] = counts.raw[1][i];
      return line;
    });
    const sum = (line) => line.reduce((a, b) => a + b, 0);
    const rest = (line) => sum(line) - sum(seconds.map((i) => line[i]));
    const options = { lidstone: { alpha }, absolute: { discount }, kneser_ney: { discount }, jelinek_mercer: { weight } };
    const given = (name) => Object.fromEntries(Object.entries(options[name] ?? {}).filter(([, v]) => v !== null && v !== undefined));
    return {
      rows: firsts.map((i) => reading.tokens[i]), columns: seconds.map((i) => reading.tokens[i]), vocabulary: counts.size - 1,
      counts: table.map((line) => seconds.map((i) => line[i])), rest: table.map(rest), totals: table.map(sum),
      types: table.map((line) => line.filter((x) => x > 0).length), singletons: table.map((line) => line.filter((x) => x === 1).length),
      unigrams: seconds.map((i) => counts.predicted[0][i]),
      methods: Object.entries(bigrams).map(([name, fitted]) => {
        const p = smoothed(counts, name, fitted, given(name), firsts);
        return {
          name, options: given(name), fitted: asSet(given(name)) ?? fitted, probs: p.map((line) => seconds.map((i) => line[i])), rest: p.map(rest),
          zeros: p.map((line, i) => sum(line.filter((_, w) => table[i][w] === 0))), sums: p.map(sum),
        };
      }),
    };
  },

  shannon(room, { seed = 0 }) {
    if (!room.passages.length) throw new Refused("The test part of this text is too short for the game.");
    const text = [...room.test];
    const [first, begin, end] = room.passages[seed % room.passages.length];
    const letters = text.slice(begin, end);
    const asked = letters.map((_, i) => i).filter((i) => !(isWhite(letters[i]) && isWhite(text[begin + i - 1] ?? "")));
    const kinds = new Map();
    room.reading.tokens.slice(room.special).forEach((t, i) => kinds.set(folded(t), (kinds.get(folded(t)) ?? 0) + room.counts.raw[0][room.special + i]));
    for (const i of asked) if (!kinds.has(folded(letters[i]))) kinds.set(folded(letters[i]), 0);
    const keys = [...kinds.keys()].sort((a, b) => kinds.get(b) - kinds.get(a) || (a < b ? -1 : 1));
    const before = text.slice(first, begin);
    return {
      before: before.join(""), letters: letters.join(""), asked, right: asked.map((i) => folded(letters[i])), keys: keys.slice(0, 64), kinds: keys.length, training: [],
      models: room.level !== "char" ? [] : [...room.engines].map(([name, model]) => {
        const { ranks, bits } = guesses(model, room.reading, before, letters, asked);
        return { model: name, ranks, bits, estimate: estimate(ranks), mean: bits.reduce((a, b) => a + b, 0) / bits.length };
      }),
    };
  },

  estimate: (room, { ranks }) => estimate(ranks.split(/\s+/u).filter(Boolean).map(Number)),
};
