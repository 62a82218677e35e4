// Next word: what each model expects, side by side, and going on by choice or by chance.

import { calm, field, h, icon, replace, select, slider, trouble } from "../dom.js";
import { heat, number, probability, row, visible } from "../format.js";
import * as state from "../state.js";

export const next = { key: "next", title: "Next word", open };

function open(app, place) {
  const past = [];
  let asked = 0;
  let found = [];
  let read = ""; // after this they come; meanwhile the field may hold another text

  const context = h("textarea", {
    rows: 2, id: "context", "aria-label": "The context: what comes before", spellcheck: false, ...app.written,
    oninput: () => { remember(); soon(); },
  });
  context.value = state.get("context", app.room.examples[0]?.split(" ").slice(0, 3).join(" ") ?? "");
  let last = context.value;
  const token = h("input", {
    type: "text", "aria-label": "The word I think of", dir: "auto", autocomplete: "off", spellcheck: false,
    oninput: () => { state.set({ token: token.value }); soon(); },
  });
  token.value = state.get("token");

  const temperature = () => state.numberOf("temperature", 1, 0, 3);
  const topK = () => state.wholeOf("top_k", 0, 0, 50);
  const topP = () => state.numberOf("top_p", 1, 0.05, 1);
  const settings = () => ({
    temperature: temperature(),
    top_k: topK() || null,
    top_p: topP() < 1 ? topP() : null,
  });
  const changed = (name, plain) => (v) => { state.set({ [name]: v === plain ? "" : v }); soon(); };
  const sliders = [
    slider("Temperature", { min: 0, max: 3, step: 0.05, value: temperature(), show: (v) => (v === 0 ? "0, the best one" : number(v)), change: changed("temperature", 1) }),
    slider("Top k", { min: 0, max: 50, step: 1, value: topK(), show: (v) => (v === 0 ? "all" : String(v)), change: changed("top_k", 0) }),
    slider("Nucleus, top p", { min: 0.05, max: 1, step: 0.01, value: topP(), show: (v) => (v === 1 ? "all" : number(v)), change: changed("top_p", 1) }),
  ];

  const text = h("div", { class: "tokens", id: "coloured", ...app.written });
  const by = h("div", { class: "field" });
  const undo = h("button", { onclick: back, disabled: true }, icon("undo"), "Undo");
  const cards = h("div", { class: "cards", id: "cards" });
  replace(place,
    h("p", { class: "lead" }, "Every model turns what it has read into a distribution over what comes next. Type, press a bar to go on with it, or roll the die."),
    h("div", { class: "stage" },
      h("section", { class: "card", "aria-label": "The context" },
        context,
        h("div", { class: "row" }, undo,
          h("button", { onclick: () => write("") }, "Clear"),
          app.room.examples.length ? select([{ value: "", label: "An example…" }, ...app.room.examples.map((e) => ({ value: e, label: e }))], "",
            (e) => { if (e) write(e); }, { "aria-label": "Examples of the test part", class: "grow" }) : null),
        h("div", { class: "row read" }, text, h("div", { class: "key" }, by, h("span", { class: "scale" }, "expected", h("i"), "15 bits")))),
      h("section", { class: "card", "aria-label": "Decoding" },
        h("div", { class: "sliders" }, sliders),
        h("div", { class: "row end" }, field("How probable is the word I think of?", token, { class: "field grow" }),
          h("button", { onclick: plain }, "Reset")))),
    cards);

  function remember() {
    past.push(last);
    if (past.length > 500) past.shift();
    last = context.value;
    undo.disabled = false;
    state.set({ context: last });
  }
  function write(value) {
    context.value = value;
    remember();
    update();
  }
  function back() {
    if (!past.length) return;
    context.value = last = past.pop();
    undo.disabled = !past.length;
    state.set({ context: last });
    update();
  }
  function plain() {
    state.set({ temperature: "", top_k: "", top_p: "", token: "" });
    token.value = "";
    sliders[0].set(1); sliders[1].set(0); sliders[2].set(1);
    update();
  }
  function goOn(drawn) {
    if (drawn.token === "</s>") { write(`${context.value}\n`); return; }
    const fits = /\s$/u.test(context.value) && drawn.glue === " ";
    write(context.value + (fits ? "" : drawn.glue) + (drawn.token === "<unk>" ? "…" : drawn.token));
  }
  async function roll(model) {
    const before = context.value;
    try {
      const drawn = await app.ask("roll", { model, context: before, seed: Math.floor(Math.random() * 2 ** 31), ...settings() });
      if (context.value !== before) return; // it was drawn after another text
      goOn(drawn);
      document.getElementById(`roll-${model}`)?.focus();
    } catch (error) { trouble(error); }
  }

  async function update() {
    const mine = (asked += 1);
    try {
      const written = context.value;
      const answer = await app.ask("next", { models: app.chosen, context: written, k: 10, token: token.value.trim() || null, ...settings() });
      if (mine !== asked) return;
      [found, read] = [answer.models, written];
      draw();
    } catch (error) {
      if (mine === asked) trouble(error);
    }
  }
  const soon = calm(update, 90);

  function draw() {
    const names = found.map((m) => m.model);
    const wanted = names.includes(state.get("by")) ? state.get("by") : names.findLast((n) => Number(found.find((m) => m.model === n).surprisals.length) >= 0) ?? "";
    replace(by, [...field("Bits of", select(names, wanted, (name) => { state.set({ by: name }); draw(); })).childNodes]);
    colour(found.find((m) => m.model === wanted));
    const most = Math.max(1e-9, ...found.flatMap((m) => m.candidates.map((c) => Math.max(c.prob, c.chosen))));
    const focused = document.activeElement?.dataset?.bar;
    replace(cards, found.map((m) => card(m, most)));
    if (!found.length) replace(cards, h("p", { class: "quiet" }, app.nothing));
    if (focused) cards.querySelector(`[data-bar="${CSS.escape(focused)}"]`)?.focus();
  }

  // What was read, by one model: its surprisal as colour, and in bits where there is room for figures.
  function colour(m) {
    if (!m) { text.replaceChildren(); return; }
    const figures = m.separator !== "" && m.context.length <= 60;
    replace(text, m.context.map((t, i) => [
      h("span", {
        class: `token${m.unknown.includes(t) ? " unknown" : ""}`, style: { "--heat": heat(m.surprisals[i]) },
        title: `${number(m.surprisals[i])} bits${m.unknown.includes(t) ? ", not in the vocabulary" : ""}`,
      }, m.separator === "" ? (t === "\n" ? "⏎\n" : t) : visible(t), figures ? h("small", { dir: "ltr" }, number(m.surprisals[i], 1)) : null), m.separator]));
  }

  // The same token in all models at once.
  function alike(token) {
    for (const each of cards.querySelectorAll(".bar")) each.classList.toggle("same", each.dataset.token === token);
  }

  function card(m, most) {
    const colour = app.colour(m.model);
    const plainly = m.candidates.every((c) => Math.abs(c.prob - c.chosen) <= 1e-4 * c.prob);
    const all = m.asked && !m.candidates.some((c) => c.token === m.asked.token) ? [...m.candidates, m.asked] : m.candidates;
    return h("section", { class: "card model", "data-model": m.model, style: { "--colour": colour }, "aria-label": m.model },
      h("div", { class: "title" },
        h("h2", {}, h("span", { class: "dot" }), m.model),
        h("button", { id: `roll-${m.model}`, onclick: () => roll(m.model), title: "Go on with a token drawn by chance; ‹unknown› is left out" }, icon("die"), "Roll")),
      h("p", { class: "given" }, m.is_distribution ? "p( · " : "score( · ", "| ", h("b", app.written, row(m.used, m.separator) || "nothing"), ")"),
      h("ul", { class: "bars", dir: app.direction }, all.map((c) => h("li", {}, bar(m, c, most, plainly)))),
      m.problem ? h("p", { class: "small warn" }, m.problem) : null,
      m.asked && !m.asked.known ? h("p", { class: "small quiet" }, `“${m.asked.token}” is not in the vocabulary: this is p(‹unknown›).`) : null,
      m.asked ? h("p", { class: "small" }, `“${visible(m.asked.token)}” is number ${m.asked.rank.toLocaleString("en")} of ${m.types.toLocaleString("en")}.`) : null,
      m.unknown.length ? h("p", { class: "small quiet" }, "Not in the vocabulary: ", h("b", { dir: "auto" }, m.unknown.map(visible).join(", ")), ".") : null,
      m.note ? h("p", { class: "small warn" }, m.note) : null,
      h("p", { class: "small quiet" }, m.is_distribution
        ? `Entropy ${number(m.entropy)} bits: as unsure as among ${number(2 ** m.entropy, 0)} equally probable tokens.`
        : "These scores do not sum to one.",
      plainly ? "" : ` ${m.kept.toLocaleString("en")} ${m.kept === 1 ? "token is" : "tokens are"} left to draw from.`));
  }

  function bar(m, c, most, plainly) {
    const mine = m.asked && c.token === m.asked.token;
    const value = plainly ? c.prob : c.chosen;
    return h("button", {
      class: `bar${value === 0 ? " zero" : ""}${mine ? " asked" : ""}`, "data-bar": `${m.model} ${c.token}`, "data-token": c.token, "data-prob": c.prob, "data-chosen": c.chosen,
      "aria-label": `${visible(c.token)}: ${probability(c.prob)}${plainly ? "" : `, drawn with ${probability(c.chosen)}`}. Go on with it.`,
      onclick: () => { if (context.value === read) goOn({ token: c.token, glue: c.glue ?? " " }); },
      onpointerenter: () => alike(c.token), onpointerleave: () => alike(null), onfocus: () => alike(c.token), onblur: () => alike(null),
    },
    h("span", { class: "word", lang: app.language || null }, visible(c.token)),
    h("span", { class: "track" },
      plainly ? null : h("i", { class: "ghost", style: { width: `${(100 * c.prob) / most}%` } }),
      h("i", { style: { width: `${(100 * value) / most}%` } })),
    h("span", { class: "value" }, probability(value)));
  }

  return { update };
}
