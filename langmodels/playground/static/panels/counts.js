// Counts and smoothing: bigrams, and where the probability of what was never seen comes from.

import { calm, field, h, replace, select, slider, trouble } from "../dom.js";
import { count, exact, number, probability, visible } from "../format.js";
import * as state from "../state.js";

export const counts = { key: "counts", title: "Counts & smoothing", open };

const NAMES = {
  counts: "raw counts c(v w)", mle: "relative frequency (mle)", laplace: "add one (laplace)", lidstone: "add alpha (lidstone)",
  jelinek_mercer: "Jelinek-Mercer", witten_bell: "Witten-Bell", absolute: "absolute discounting", katz: "Katz",
  kneser_ney: "Kneser-Ney", modified_kneser_ney: "modified Kneser-Ney",
};
const SAYS = {
  counts: "How often the second word came right after the first. Most cells of the whole table are empty.",
  mle: "c(v w) / n(v): what was never seen is impossible.",
  laplace: "(c + 1) / (n + V): a large vocabulary takes nearly all of the probability.",
  lidstone: "(c + α) / (n + α V): move alpha, and see how much goes to words that never came next.",
  jelinek_mercer: "λ c / n + (1 − λ) p(w): every context is mixed with the unigrams. Without a choice λ is fitted on text kept apart.",
  witten_bell: "t / (n + t) goes to what is new, t being how many different words came next.",
  absolute: "The same discount D off every count; what is taken, D t / n, is shared out by unigram probabilities.",
  katz: "Counts up to five are discounted by Good-Turing; what is taken goes to unseen words alone.",
  kneser_ney: "Absolute discounting, shared out by how many different words a word came after, not how often it occurs.",
  modified_kneser_ney: "Three discounts, for counts of one, two, and three or more.",
};
const BOUNDS = { alpha: [1e-4, 10], discount: [0.01, 0.99], weight: [0.01, 0.99] };
const given = (option) => state.numberOf(option, null, ...BOUNDS[option]);
const TAKES = { lidstone: "alpha", absolute: "discount", kneser_ney: "discount", jelinek_mercer: "weight" };

function open(app, place) {
  let asked = 0;
  let found = null;
  const words = (name) => state.get(name).split(/\s+/u).filter(Boolean).map((t) => (t === "␣" ? " " : t === "⏎" ? "\n" : t));
  const input = (name, label) => {
    const control = h("input", { type: "text", dir: "auto", autocomplete: "off", spellcheck: false, placeholder: "the most frequent ones", oninput: () => { state.set({ [name]: control.value }); soon(); } });
    control.value = state.get(name);
    return field(label, control, { class: "field grow" });
  };
  const method = select(Object.entries(NAMES).map(([value, label]) => ({ value, label })), state.oneOf("method", Object.keys(NAMES)), (m) => { state.set({ method: m }); draw(); });
  const knob = h("div", {});
  const table = h("section", { class: "card", id: "bigrams" });
  const pointed = h("p", { class: "small", role: "status", id: "pointed" });
  const rows = h("section", { class: "card", id: "ones" });
  const masses = h("section", { class: "card", id: "masses" });
  replace(place,
    h("p", { class: "lead" }, "Counting gives zeros. Every smoothing method takes something from what was seen and gives it to what was not; each row goes on summing to one."),
    h("section", { class: "card", "aria-label": "Which words" }, h("div", { class: "row end" }, field("Show", method), input("rows", "First words, v"), input("columns", "Second words, w")), knob),
    h("div", { class: "split" }, table, rows, masses));

  async function update() {
    const mine = (asked += 1);
    try {
      const answer = await app.ask("counts", {
        rows: words("rows"), columns: words("columns"),
        ...Object.fromEntries(Object.keys(BOUNDS).map((option) => [option, given(option)])),
      });
      if (mine !== asked) return;
      found = answer;
      draw();
    } catch (error) { if (mine === asked) trouble(error); }
  }
  const soon = calm(update, 100);

  function draw() {
    if (!found) return;
    const name = method.value;
    turn(name);
    const m = found.methods.find((each) => each.name === name);
    const cell = (i, j) => (m ? m.probs[i][j] : found.counts[i][j]);
    const most = Math.max(1e-12, ...found.rows.flatMap((_, i) => found.columns.map((_c, j) => cell(i, j))));
    replace(table, h("p", { class: "quiet" }, SAYS[name]),
      h("div", { class: "scroll" }, h("table", { dir: app.direction },
        h("caption", { class: "visually-hidden" }, NAMES[name]),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "v \\ w"), found.columns.map((t) => h("th", { scope: "col", lang: app.language || null }, visible(t))),
          h("th", { scope: "col" }, [count(found.vocabulary - found.columns.length), h("br"), "others"]), h("th", { scope: "col" }, m ? "sum" : "n(v)"))),
        h("tbody", {}, found.rows.map((t, i) => h("tr", {}, h("th", { scope: "row", lang: app.language || null }, visible(t)),
          found.columns.map((w, j) => h("td", {
            class: found.counts[i][j] === 0 ? "never" : null, "data-cell": `${t} ${w}`, "data-value": cell(i, j),
            tabindex: m ? "0" : null, "aria-describedby": m ? "pointed" : null,
            onpointerenter: m ? () => { pointed.textContent = meaning(m, i, j); } : null,
            onfocus: m ? () => { pointed.textContent = meaning(m, i, j); } : null, onclick: m ? () => { pointed.textContent = meaning(m, i, j); } : null,
            style: { background: `rgba(var(--cool), ${0.42 * Math.sqrt(cell(i, j) / most)})` },
          }, m ? probability(cell(i, j)) : count(cell(i, j)))),
          h("td", {}, m ? probability(m.rest[i]) : count(found.rest[i])),
          h("td", { class: "total" }, h("b", { "data-sum": m ? m.sums[i] : found.totals[i] }, m ? number(m.sums[i], 4) : count(found.totals[i])))))))),
      h("p", { class: "small quiet" }, m ? "Dotted: never seen. Point at a cell, or press it, for its count c and the count c* that its probability stands for." : "n(v): all bigrams that begin with v."),
      pointed, m && fitted(m));
    pointed.textContent = "";
    ones(m);
    share();
  }

  const meaning = (m, i, j) => `c(${visible(found.rows[i])} ${visible(found.columns[j])}) = ${count(found.counts[i][j])} of n = ${count(found.totals[i])}; p = ${probability(m.probs[i][j])}, which stands for c* = p · n = ${exact(m.probs[i][j] * found.totals[i])}.`;

  function fitted(m) {
    const { discounts, weights } = m.fitted;
    if (m.name === "katz" && discounts) return h("p", { class: "small" }, `What is kept of counts 1, 2, … of bigrams: ${discounts[1].map((d) => number(d, 3)).join(", ")}.`);
    if (discounts) return h("p", { class: "small" }, `Discounts: of unigrams ${discounts[0].map((d) => number(d, 3)).join(", ")}; of bigrams ${discounts[1].map((d) => number(d, 3)).join(", ")}.`);
    if (weights) return h("p", { class: "small" }, `Fitted λ of bigrams, for contexts seen 1, 2–3, 4–7, … times: ${weights[1].slice(1, 12).map((w) => number(w)).join(", ")}.`);
    return null;
  }

  // How much of each row goes to words that never came next, by every method.
  function share() {
    replace(masses, h("h2", {}, "What each method gives to words that never came next"),
      h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "method")), found.rows.map((t, i) => h("th", { scope: "col", title: `${count(found.types[i])} different words came next, ${count(found.singletons[i])} of them once` }, visible(t))))),
        h("tbody", {}, found.methods.map((m) => h("tr", { class: m.name === method.value ? "used" : null },
          h("th", { scope: "row" }, h("button", { class: "plain", onclick: () => { method.value = m.name; state.set({ method: m.name }); draw(); } }, NAMES[m.name])),
          m.zeros.map((z) => h("td", { style: { background: `linear-gradient(to right, rgba(var(--cool), 0.35) ${100 * z}%, transparent ${100 * z}%)` } }, number(100 * z, 1), " %"))))),
        h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "different words seen"), found.types.map((t) => h("td", {}, count(t))))))));
  }

  // The one of each row: what was seen, and what is taken from it for what was not.
  function ones(m) {
    const shown = m ?? found.methods.find((each) => each.name === "mle");
    replace(rows, h("h2", {}, "Where the 1 of each row goes"),
      h("div", { class: "ones" }, found.rows.map((t, i) => {
        const unseen = shown.zeros[i];
        const picked = found.columns.reduce((sum, _, j) => sum + (found.counts[i][j] ? shown.probs[i][j] : 0), 0);
        const parts = [["own", picked], ["", Math.max(0, shown.sums[i] - unseen - picked)], ["none", unseen]];
        return [h("b", { lang: app.language || null }, visible(t)),
          h("span", { class: "one", role: "img", "aria-label": `${visible(t)}: ${number(100 * picked, 1)} % to the words of the table that came next, ${number(100 * parts[1][1], 1)} % to others that did, ${number(100 * unseen, 1)} % to words that never came next` },
            parts.map(([kind, v]) => h("i", { class: `patch ${kind}`, style: { width: `${100 * v}%` }, title: `${number(100 * v, 1)} %` }))),
          h("span", { class: "number" }, number(100 * unseen, 1), " %")];
      })),
      h("p", { class: "legend small" }, h("span", {}, h("i", { class: "patch own" }), "came next, in the table"), h("span", {}, h("i", { class: "patch" }), "came next, others"), h("span", {}, h("i", { class: "patch none" }), "never came next")),
      m ? null : h("p", { class: "small quiet" }, "Relative frequencies leave nothing for what was never seen; choose a method to see what it takes."));
  }

  let turned = "";
  let estimated = true; // what the knob shows was not set by hand
  function turn(name) {
    const option = TAKES[name];
    const m = found.methods.find((each) => each.name === name);
    const was = estimated;
    estimated = !option || m.options[option] === undefined;
    if (turned === name && (was || !estimated || given(option) !== null)) return;
    turned = name;
    if (!option) { knob.replaceChildren(); return; }
    const powers = option === "alpha"; // alpha moves in powers of ten
    const value = given(option) ?? m.fitted.discounts?.[1][0] ?? (powers ? 0.1 : option === "weight" ? 0.5 : 0.75);
    const unit = (x) => { state.set({ [option]: x }); soon(); };
    const node = slider({ alpha: "Alpha", discount: "Discount D", weight: "Weight λ" }[option], powers
      ? { min: -4, max: 1, step: 0.05, value: Math.log10(value), show: (v) => exact(Number((10 ** v).toPrecision(3))), change: (v) => unit(Number((10 ** v).toPrecision(3))) }
      : { min: 0.01, max: 0.99, step: 0.01, value, show: (v) => number(v), change: unit });
    replace(knob, h("div", { class: "row end" }, h("div", { class: "grow" }, node),
      h("button", { onclick: () => { state.set({ [option]: "" }); turned = ""; update(); } }, powers ? "Default" : "Estimate it")));
  }

  return { update };
}
