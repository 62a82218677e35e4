// Chain rule: a sentence as a product, token by token and model by model, and how each factor came about.

import { calm, h, put, replace, select, trouble } from "../dom.js";
import { count, exact, heat, number, power, probability, row, visible } from "../format.js";
import { strip } from "../strip.js";
import * as state from "../state.js";

export const chain = { key: "chain", title: "Chain rule", open };

function open(app, place) {
  let asked = 0;
  let found = [];
  let read = ""; // the sentence of which these are the factors; meanwhile the field may hold another
  let cell = null; // what was pressed
  let example = null;
  let pointed = null; // what a pointer or the keyboard's focus is on
  const answers = new Map(); // calculations that were asked for, of this sentence
  const sentence = h("textarea", {
    rows: 1, id: "sentence", "aria-label": "The sentence", spellcheck: false, ...app.written,
    oninput: () => { write(); soon(); },
  });
  sentence.value = state.get("sentence", app.room.examples[0] ?? "");
  const grids = h("div", { class: "stack", id: "grids" });
  const detail = h("section", { class: "card", id: "detail", "aria-live": "polite" });
  replace(place,
    h("p", { class: "lead" }, "p(x₁, x₂, x₃, …) = p(x₁) · p(x₂ | x₁) · p(x₃ | x₁, x₂) · … for every model. Point at a factor to see how it was made; press it to keep that."),
    h("section", { class: "card", "aria-label": "The sentence" }, h("div", { class: "row" }, h("div", { class: "wider" }, sentence),
      app.room.examples.length ? select([{ value: "", label: "An example…" }, ...app.room.examples.map((e) => ({ value: e, label: e }))], "",
        (e) => { if (e) { sentence.value = e; write(); update(); } }, { "aria-label": "Examples of the test part", class: "grow" }) : null,
      h("span", { class: "scale" }, "expected", h("i"), "15 bits"))),
    grids, detail);
  const wanted = state.get("cell").match(/^(\d+) (.*)$/u);
  if (wanted) cell = { model: wanted[2], position: Number(wanted[1]) };

  function write() {
    cell = null;
    state.set({ sentence: sentence.value, cell: "" });
  }

  async function update() {
    const mine = (asked += 1);
    if (!sentence.value.trim()) { found = []; replace(grids, h("p", { class: "quiet" }, "Write a sentence.")); detail.replaceChildren(); return; }
    try {
      const written = sentence.value;
      const answer = await app.ask("chain", { models: app.chosen, sentence: written });
      if (mine !== asked) return;
      answers.clear();
      example = null;
      [found, read] = [answer.models, written];
      draw();
      await explain();
    } catch (error) { if (mine === asked) trouble(error); }
  }
  const soon = calm(update, 150);

  function draw() {
    const groups = new Map();
    for (const m of found) {
      const key = JSON.stringify(m.steps.map((step) => step.token));
      groups.set(key, [...(groups.get(key) ?? []), m]);
    }
    const focused = document.activeElement?.dataset?.cell;
    replace(grids, [...groups.values()].map(grid));
    if (!found.length) replace(grids, h("p", { class: "quiet" }, app.nothing));
    if (focused) grids.querySelector(`[data-cell="${CSS.escape(focused)}"]`)?.focus();
  }

  function grid(models) {
    const steps = models[0].steps;
    return h("div", { class: "card scroll" }, h("table", { class: "grid", dir: app.direction, onkeydown: arrows },
      h("caption", { class: "visually-hidden" }, "The probability of each token by each model, and below it the product so far"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "model")),
        steps.map((step) => h("th", { scope: "col", lang: app.language || null, title: step.known ? null : "not in the vocabulary" }, visible(step.token) + (step.known ? "" : "*"))),
        ["product", "perplexity", "bits / token"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, models.map((m) => h("tr", { "data-model": m.model },
        h("th", { scope: "row" }, h("span", { class: "lined" }, h("span", { class: "dot", style: { "--colour": app.colour(m.model) } }), m.model)),
        m.steps.map((step, i) => h("td", {}, factor(m, step, i))),
        h("td", { class: "total", "data-log": m.log_prob }, power(m.log_prob)),
        h("td", { class: "total", "data-perplexity": m.perplexity }, number(m.perplexity, Number(m.perplexity) < 1000 ? 2 : 0)),
        h("td", {}, number(m.bits.reduce((a, b) => a + Number(b), 0) / m.bits.length)))))),
    steps.some((step) => !step.known) ? h("p", { class: "small quiet" }, "* not in the vocabulary, read as ‹unknown›.") : null,
    models.filter((m) => m.note).map((m) => h("p", { class: "small warn" }, `${m.model}: ${m.note}`)));
  }

  function factor(m, step, i) {
    const here = cell && cell.model === m.model && cell.position === i;
    return h("button", {
      "data-cell": `${i} ${m.model}`, "data-prob": step.prob, class: heat(m.bits[i]) > 0.6 ? "hot" : null,
      "aria-pressed": String(Boolean(here)), "aria-controls": "detail", style: { "--heat": heat(m.bits[i]) },
      "aria-label": `${m.model}: p(${visible(step.token)} | ${row(step.used, m.separator) || "nothing"}) = ${probability(step.prob)}, ${number(m.bits[i])} bits; product so far ${power(step.running)}`,
      onpointerenter: (event) => { if (event.pointerType !== "touch") point(m.model, i); },
      onpointerleave: () => point(null),
      onfocus: (event) => { if (event.target.matches(":focus-visible")) point(m.model, i); },
      onblur: () => point(null),
      onclick: () => {
        cell = here ? null : { model: m.model, position: i };
        state.set({ cell: cell ? `${i} ${m.model}` : "" });
        draw();
        explain(!here);
      },
    }, h("span", {}, probability(step.prob)), h("small", {}, power(step.running)));
  }

  function arrows(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step || event.target.tagName !== "BUTTON") return;
    const [down, over] = step;
    const td = event.target.closest("td");
    const rows = [...td.closest("tbody").rows];
    const line = rows[rows.indexOf(td.parentNode) + down];
    const across = app.direction === "rtl" ? -over : over;
    const to = line?.cells[td.cellIndex + across]?.querySelector("button");
    if (to) { event.preventDefault(); to.focus(); }
  }

  // A cell to begin with: the greatest surprise that an n-gram model survives.
  function telling() {
    const counted = app.ready.filter((each) => each.kind === "ngram").map((each) => each.name);
    const m = found.findLast((each) => counted.includes(each.model)) ?? found.at(-1);
    const bits = m?.bits.map((b) => (Number.isFinite(Number(b)) ? Number(b) : 0)) ?? [];
    return m ? { model: m.model, position: bits.indexOf(Math.max(...bits)) } : null;
  }

  // What is pointed at is shown at once; without that, what was pressed.
  const settle = calm(() => explain(), 60);
  function point(model, position) {
    pointed = model === null ? null : { model, position };
    settle();
  }

  async function explain(scroll = false) {
    const at = pointed ?? cell ?? (example ??= telling());
    const m = at && found.find((each) => each.model === at.model);
    if (!m || at.position >= m.steps.length) { detail.replaceChildren(); return; }
    const key = `${at.position} ${m.model}`;
    try {
      if (!answers.has(key)) answers.set(key, app.ask("cell", { model: m.model, sentence: read, position: at.position }));
      const answer = await answers.get(key);
      if (!found.includes(m) || at !== (pointed ?? cell ?? example)) return;
      detail.classList.toggle("pinned", at === cell);
      detail.dataset.of = key;
      show(m, m.steps[at.position], answer);
      if (scroll) detail.scrollIntoView({ block: "nearest", behavior: "smooth" });
    } catch (error) {
      if (!found.includes(m)) return;
      answers.delete(key);
      trouble(error);
    }
  }

  function show(m, step, answer) {
    detail.style.setProperty("--colour", app.colour(m.model));
    replace(detail,
      h("h2", {}, h("span", { class: "dot" }), `${m.model}: p(`, h("bdi", {}, visible(step.token)), " | ",
        h("bdi", {}, row(step.used, m.separator) || "nothing"), `) = ${probability(step.prob)}`));
    if (answer.calculation) put(detail, counted(answer.calculation, m.separator));
    else if (answer.path.length) put(detail, looked(answer, m.separator));
    else put(detail, [answer.state ? [h("p", { class: "quiet" }, `What it has read is a state of ${answer.state.length} numbers, from which the output layer makes all probabilities at once:`), strip(answer.state)]
      : h("p", { class: "quiet" }, "Of this model there are no counts to show."),
    h("p", { class: "quiet" }, "It expected most:"),
      h("ul", { class: "bars", dir: app.direction }, answer.candidates.map((c) => h("li", {}, h("div", { class: "bar" },
        h("span", { class: "word" }, visible(c.token)),
        h("span", { class: "track" }, h("i", { style: { width: `${100 * c.prob}%` } })),
        h("span", { class: "value" }, probability(c.prob))))))]);
  }

  return { update };
}

// The whole calculation of an n-gram model, shortest context first.
function counted(c, separator) {
  const context = (o) => row(o.context, separator) || "nothing";
  const most = Math.max(1e-12, ...c.orders.map((o) => Number(o.prob)));
  const lower = c.orders.length > 1 || c.orders.some((o) => o.weight !== 0);
  return [
    h("p", { class: "quiet" }, `${c.method.replaceAll("_", "-")}: p(w | h) = ${c.formula}${c.formula.includes("h′") ? `, from the uniform 1/V = 1/${count(c.vocabulary)} upwards; h′ is h without its first token` : `, V = ${count(c.vocabulary)}`}.`),
    h("div", { class: "sum scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["h", "c", "n", "t", c.method === "katz" ? "d" : /lidstone|laplace/u.test(c.method) ? "α" : "D", "own share", ...(lower ? ["", "γ", "", "p(w | h′)"] : []), "", "p(w | h)", ""].map((t, i) =>
        h("th", { scope: "col", class: i ? null : "text" }, t)))),
      h("tbody", {}, c.orders.map((o, i) => h("tr", { class: i === c.orders.length - 1 ? "used" : null },
        h("th", { scope: "row", dir: "auto" }, context(o)),
        h("td", {}, count(o.count)), h("td", {}, exact(o.total)), h("td", {}, count(o.types)),
        h("td", {}, o.discount === null ? "" : exact(o.discount)),
        h("td", {}, exact(o.share)),
        lower ? [h("td", { class: "op" }, "+"), h("td", {}, exact(o.weight)), h("td", { class: "op" }, "·"), h("td", {}, exact(o.lower))] : null,
        h("td", { class: "op" }, "="), h("td", { "data-value": o.prob }, exact(o.prob)), mix(o, most)))))),
    h("p", { class: "legend small" }, h("span", {}, h("i", { class: "patch own" }), "own share"), lower ? h("span", {}, h("i", { class: "patch" }), "from the shorter context") : null),
    c.orders.map((o) => h("p", { class: "equation", dir: "ltr" }, equation(c, o))),
    h("p", { class: "small quiet" }, legend(c.method)),
    c.note ? h("p", { class: "warn small" }, c.note) : null,
  ];
}

// A probability as a bar of what it is made of.
function mix(o, most) {
  const share = Math.min(Number(o.share), Number(o.prob));
  const wide = (v) => ({ width: `${(100 * v) / most}%` });
  return h("td", { class: "mix", "aria-hidden": "true" }, h("span", {}, h("i", { class: "own", style: wide(share) }), h("i", { style: wide(Number(o.prob) - share) })));
}

function legend(method) {
  const counts = /kneser_ney/u.test(method)
    ? "c: how often the n-gram occurs; below the longest context, before how many different words (those after ‹begin› as often as they occur)"
    : "c: how often the n-gram occurs";
  return `${counts}; n: the sum of c after h; t: how many different words came after h; γ: what is left for the shorter context.`;
}

function equation(c, o) {
  const own = {
    witten_bell: () => `${exact(o.count)} / (${exact(o.total)} + ${o.types})`,
    jelinek_mercer: () => `${exact(1 - o.weight)} · ${exact(o.count)} / ${exact(o.total)}`,
    katz: () => (o.weight === 0 ? `${o.discount === null ? "" : `${exact(o.discount)} · `}${exact(o.count)} / ${exact(o.total)}` : ""),
    stupid_backoff: () => (o.weight === 0 ? `${exact(o.count)} / ${exact(o.total)}` : ""),
    mle: () => `${exact(o.count)} / ${exact(o.total)}`,
    lidstone: () => `(${exact(o.count)} + ${exact(o.discount)}) / (${exact(o.total)} + ${exact(o.discount)} · ${count(c.vocabulary)})`,
    laplace: () => `(${exact(o.count)} + 1) / (${exact(o.total)} + ${count(c.vocabulary)})`,
  }[c.method] ?? (() => (o.count > 0 ? `(${exact(o.count)} − ${exact(o.discount ?? 0)}) / ${exact(o.total)}` : "0"));
  const first = o.total || /lidstone|laplace/u.test(c.method) ? own() : "";
  const second = o.weight === 0 ? "" : `${exact(o.weight)} · ${exact(o.lower)}`;
  return `${[first, second].filter(Boolean).join(" + ")} = ${exact(o.prob)}`;
}

// What the tables of a model from a file say: back-off weights, and the probability that was found.
function looked(answer, separator) {
  const steps = answer.path;
  return [
    h("p", { class: "quiet" }, "Looked up in the model's tables, the longest context first:"),
    h("ul", {}, steps.map((step) => h("li", {}, step.prob === undefined
      ? ["not seen after ", h("bdi", {}, row(step.context, separator)), `: times the back-off weight ${exact(step.weight)}`]
      : ["found after ", h("bdi", {}, row(step.context, separator) || "nothing"), `: ${exact(step.prob)}`]))),
    h("p", { class: "equation", dir: "ltr" }, `${steps.map((step) => exact(step.prob ?? step.weight)).join(" · ")} = ${exact(answer.prob)}`),
  ];
}
