// Memory and gradients: what networks keep of a sentence, what they look at, and how far back they learn from.

import { calm, field, h, replace, s, select, trouble } from "../dom.js";
import { chart } from "../chart.js";
import { number, visible } from "../format.js";
import { strip } from "../strip.js";
import * as state from "../state.js";

export const memory = { key: "memory", title: "Memory & gradients", open };

const MOST = 4; // networks whose gradients are drawn
const WANTED = ["rnn", "gru", "lstm", "transformer"];
const SAYS = {
  hidden: "the state that is handed on, −1 to 1", cell: "the long-term memory", candidate: "what would be written", "input gate": "how much is written",
  "forget gate": "how much is kept", "output gate": "how much is shown", "reset gate": "how much of the past is used", "update gate": "how much is kept",
};
// Where a cell has another sense of a name than most.
const SAYS_OF = {
  mingru: { "update gate": "how much is written", hidden: "the state that is handed on" }, "relu-rnn": { hidden: "the state that is handed on, 0 and above" },
};
const KINDS = new Set(["recurrent", "rnn", "gru", "lstm", "mingru", "transformer"]);

function open(app, place) {
  let asked = 0;
  let found = null;
  let curve = null;
  let looked = 0;
  let waiting = 0;
  const sentence = h("textarea", { rows: 1, "aria-label": "The sentence", spellcheck: false, ...app.written, oninput: () => { state.set({ sentence: sentence.value }); soon(); } });
  sentence.value = state.get("sentence", app.room.examples[0] ?? "");
  const choice = h("div", { class: "field" });
  const more = h("div", { class: "chips" });
  const heat = h("section", { class: "card", id: "heat" });
  const lags = h("section", { class: "card", id: "lags" });
  const recall = h("section", { class: "card", id: "recall" });
  replace(place,
    h("p", { class: "lead" }, "What a network knows of the past is a vector of numbers, or what it attends to. Here they are, token by token."),
    h("section", { class: "card" }, sentence, h("div", { class: "row end" }, choice, more)), heat,
    h("div", { class: "cards wide" }, lags, recall));

  const networks = () => app.ready.filter((m) => KINDS.has(m.kind));
  const current = () => networks().find((m) => m.name === state.get("network")) ?? networks().findLast((m) => m.kind !== "transformer") ?? networks()[0];

  async function update() {
    const mine = (asked += 1);
    const [model, written] = [current(), sentence.value];
    replace(choice, [...field("Network", select(networks().map((m) => m.name), model?.name ?? "", (name) => { state.set({ network: name }); update(); })).childNodes]);
    replace(more, WANTED.filter((name) => !app.room.models.some((m) => m.name === name)).map((name) => h("button", { onclick: () => app.add(name) }, `Train ${name}`)));
    if (curve === null) look(false);
    if (!model) { replace(heat, h("p", { class: "quiet" }, "The first network is ready in a moment.")); return; }
    try {
      if (written.trim()) {
        const answer = await app.ask("memory", { model: model.name, sentence: written });
        if (mine !== asked) return;
        found = answer;
        draw(model);
      } else replace(heat, h("p", { class: "quiet" }, "Write a sentence."));
      await gradients(mine);
    } catch (error) { if (mine === asked) trouble(error); }
  }
  const soon = calm(update, 200);

  function draw(model) {
    if (found.attention) { attention(model); return; }
    const { tokens, layers, cell } = found.activations;
    const says = (name) => SAYS_OF[cell]?.[name] ?? SAYS[name] ?? "";
    const under = h("b", { class: "number" });
    replace(heat, layers.map((layer, k) => [
      h("h2", {}, `${model.name}: ${layer.units} units${layers.length > 1 ? `, layer ${k + 1}` : ""}${layer.units > 64 ? ", the first 64" : ""}`),
      h("div", { class: "scroll" }, h("table", { class: "units" },
        h("caption", { class: "visually-hidden" }, "Rows are tokens as they are read, each cell a row of units"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "read"), Object.keys(layer.gates).map((name) => h("th", { scope: "col", class: "text" }, name, h("small", {}, says(name)))))),
        h("tbody", {}, tokens.map((t, i) => h("tr", {}, h("th", { scope: "row", lang: app.language || null }, visible(t)),
          Object.entries(layer.gates).map(([name, rows]) => h("td", {}, strip(rows[i], { name: `${name} after ${visible(t)}`, told: (text) => { under.textContent = text; }, ...(name.endsWith("gate") ? { most: 1 } : {}) })))))))) ]),
    h("p", { class: "small quiet" }, "Point at a unit for its value. ", under), h("p", { class: "small quiet" }, "Blue is below zero, red above; gates lie between 0 (pale) and 1. A unit that stays red over many rows remembers something."));
  }

  function attention(model) {
    const { tokens, weights } = found.attention;
    const heads = weights[0].length;
    const head = state.wholeOf("head", -1, -1, heads - 1);
    const mean = (layer) => layer[0].map((row, i) => row.map((_, j) => layer.reduce((sum, each) => sum + each[i][j], 0) / heads));
    const size = 1.3 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const margin = 4.4 * size;
    const n = tokens.length;
    replace(heat, h("div", { class: "row end" }, h("h2", { class: "grow" }, `${model.name}: what each token looked at`),
      field("Head", select([{ value: "-1", label: "mean of all" }, ...Array.from({ length: heads }, (_, k) => ({ value: String(k), label: String(k + 1) }))], String(head), (v) => { state.set({ head: v }); draw(model); }))),
    h("div", { class: "cards wide" }, weights.map((layer, k) => {
      const map = head < 0 ? mean(layer) : layer[head];
      return h("figure", {}, h("div", { class: "scroll" }, s("svg", { class: "map", width: margin + n * size, height: margin + n * size, role: "img", "aria-label": `Attention in layer ${k + 1}: rows read, columns looked at` },
        tokens.map((t, i) => [
          s("text", { x: margin - 6, y: margin + (i + 0.68) * size, "text-anchor": "end" }, short(t)),
          s("text", { transform: `translate(${margin + (i + 0.68) * size} ${margin - 6}) rotate(-90)` }, short(t))]),
        map.flatMap((row, i) => row.slice(0, i + 1).map((w, j) => s("rect", { x: margin + j * size, y: margin + i * size, width: size - 1, height: size - 1, rx: 2, style: { fill: `rgba(var(--cool), ${Math.min(1, 0.04 + w)})` } },
          s("title", {}, `${visible(tokens[i])} looks at ${visible(tokens[j])}: ${number(w, 3)}`)))))),
      h("figcaption", {}, `Layer ${k + 1}: each row sums to one; nothing looks ahead.`));
    })));
  }
  const short = (t) => (t.length > 10 ? `${visible(t).slice(0, 9)}…` : visible(t));

  async function gradients(mine) {
    const models = networks().filter((m) => m.kind !== "transformer");
    const series = [];
    const refused = [];
    for (const m of models.slice(0, MOST)) {
      if (mine !== asked) return;
      try {
        const g = await app.ask("gradients", { model: m.name });
        const top = (norms) => norms.at(-1).map((v, i) => [i, Number(v)]);
        series.push({ name: m.name, colour: app.colour(m.name), points: top(g.trained), dashed: 0 });
        series.push({ name: `${m.name}, untrained`, colour: app.colour(m.name), points: top(g.untrained), dashed: 1 });
      } catch (error) { refused.push(h("p", { class: "small quiet" }, `${m.name}: ${error.message}`)); }
    }
    if (mine !== asked) return;
    lags.hidden = !series.length && !refused.length;
    if (lags.hidden) return;
    replace(lags, h("h2", {}, "The gradient by lag"),
      !series.length ? null : chart({ series, x: "tokens back", y: "share of lag 0", log: true, label: "How much of the gradient is left so many tokens back" }),
      h("p", { class: "small quiet" }, "How strongly the loss at a token depends on the hidden state so many tokens before. Where it vanishes, nothing can be learnt from that far back."),
      models.length > MOST ? h("p", { class: "small quiet" }, `The first ${MOST} of ${models.length} networks.`) : null,
      refused);
  }

  async function look(begin) {
    const mine = (looked += 1);
    clearTimeout(waiting);
    try {
      const job = await app.ask("recall", { begin }).catch((error) => ({ status: "failed", note: error.message }));
      if (mine !== looked) return;
      curve = job.status === "ready" ? job.result : undefined;
      const busy = job.status === "waiting" || job.status === "running";
      replace(recall, h("h2", {}, "Recall by distance"),
        job.status === "ready" ? chart({
          series: [...Object.entries(curve.accuracy).map(([name, a], i) => ({ name, colour: `var(--m${i})`, points: curve.lags.map((lag, j) => [lag, Number(a[j])]), dashed: i % 4 })),
            { name: "guessing", colour: "var(--dim)", points: curve.lags.map((lag) => [lag, curve.chance]), dashed: 2 }],
          x: "symbols between", y: "recalled", low: 0, high: 1, label: "How often a symbol is recalled after so many others" })
          : h("p", {}, busy ? "Four models learn to recall a symbol; half a minute." : job.note || "A line begins with a symbol, others follow, and then the first has to be said again. Who remembers it how long?"),
        job.status === "ready" || busy ? null : h("div", {}, h("button", { onclick: () => look(true) }, "Train four models on it")));
      if (busy) waiting = setTimeout(() => look(false), 1500);
    } catch (error) { trouble(error); }
  }

  return { update, close: () => clearTimeout(waiting) };
}
