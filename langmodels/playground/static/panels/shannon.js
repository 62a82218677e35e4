// Shannon's game: guess the next letter. The numbers of guesses say how many bits a letter has, for people and for models.

import { h, replace, say, trouble } from "../dom.js";
import { count, folded, number } from "../format.js";
import * as state from "../state.js";

export const shannon = { key: "shannon", title: "Shannon’s game", open };

const letterOf = (key) => ({ " ": "␣" }[key] ?? key);

function open(app, place) {
  let asked = 0; // how many games
  let game = null;
  let letters = [];
  let at = 0;
  let tried = [];
  let ranks = [];
  let played = load();

  const shown = h("p", { class: "tokens game", id: "passage", ...app.written });
  const keys = h("div", { class: "keys", role: "group", dir: app.direction, "aria-label": "Guess the next letter" });
  const typed = h("input", {
    type: "text", class: "typed", "aria-label": "Type the next letter", autocomplete: "off", autocapitalize: "off", spellcheck: false, placeholder: "type a letter",
    oninput: () => { const last = [...typed.value].at(-1); typed.value = ""; if (last) guess(folded(last)); },
  });
  const status = h("p", { role: "status", class: "quiet" });
  const board = h("section", { class: "card", id: "board" });
  const results = h("section", { class: "card", id: "results", hidden: true });
  const file = h("input", { type: "file", multiple: true, accept: ".json", hidden: true, onchange: pool });
  replace(place,
    h("p", { class: "lead" }, "Read what is there, and guess the letter that comes next until you are right. Claude Shannon (1951) estimated in this way how many bits a letter of English has. The passage is of the part that no model has seen."),
    h("section", { class: "card" }, shown, h("div", { class: "row" }, typed, status), keys,
      h("div", { class: "row" }, h("button", { onclick: () => begin(true) }, "Another passage"),
        h("button", { onclick: () => finish() }, "Stop here"),
        h("button", { onclick: save }, "Save my games"), h("button", { onclick: () => file.click() }, "Pool files…"), file)),
    board, results);

  function load() {
    try { return JSON.parse(localStorage.getItem(`shannon ${app.room.text}`)) ?? []; } catch { return []; }
  }
  function keep() {
    try { localStorage.setItem(`shannon ${app.room.text}`, JSON.stringify(played)); } catch { /* a private window */ }
  }

  async function begin(fresh) {
    const mine = (asked += 1);
    const seed = !fresh && /^\d{1,9}$/u.test(state.get("seed")) ? Number(state.get("seed")) : Math.floor(Math.random() * 100000);
    state.set({ seed });
    try {
      const found = await app.ask("shannon", { seed });
      if (mine !== asked) return;
      game = { ...found, seed };
    } catch (error) { if (mine === asked) replace(shown, error.message); return; }
    letters = [...game.letters];
    at = 0; tried = []; ranks = [];
    results.hidden = true;
    draw();
  }

  function draw() {
    const done = at >= game.asked.length;
    const until = done ? letters.length : game.asked[at];
    const guessed = new Map(game.asked.map((p, i) => [p, i]));
    replace(shown, h("span", { class: "quiet" }, game.before.replace(/^\S{0,20}\s+/u, "… ")),
      letters.slice(0, until).map((c, i) => (guessed.has(i) && ranks[guessed.get(i)] !== undefined
        ? h("span", { class: "token", style: { "--heat": Math.min(1, Math.log2(ranks[guessed.get(i)]) / 5) }, title: `guess ${ranks[guessed.get(i)]}` }, c) : c)),
      done ? null : h("span", { class: "cursor", "aria-label": "the next letter" }, "?"));
    status.textContent = done ? "Done." : `Letter ${at + 1} of ${game.asked.length}; ${tried.length === 0 ? "first guess" : `guess ${tried.length + 1}`}.`;
    const focused = document.activeElement?.dataset?.key;
    replace(keys, game.keys.map((k) => h("button", {
      "data-key": k, "aria-label": k === " " ? "space" : k, disabled: done || tried.includes(k), class: tried.includes(k) ? "wrong" : null, onclick: () => guess(k),
    }, letterOf(k))));
    if (focused !== undefined) keys.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    typed.disabled = done;
    score();
  }

  // How everyone does on the letters that are known by now; the models had them before anybody saw them.
  function score() {
    const n = ranks.length;
    const line = (name, list, colour) => {
      const first = list.slice(0, n).filter((r) => r === 1).length / Math.max(1, n);
      return h("li", { class: "bar", style: { "--colour": colour } }, h("span", { class: "word" }, name),
        h("span", { class: "track" }, h("i", { style: { width: `${100 * first}%` } })), h("span", { class: "value" }, n ? `${number(100 * first, 0)} %` : "–"),
        h("span", { class: "value" }, n ? (list[n - 1] === 1 ? "at once" : `${count(list[n - 1])} guesses`) : ""));
    };
    replace(board, h("h2", {}, "Right at the first guess, so far"),
      h("ul", { class: "bars versus" }, line("you", ranks, "var(--ink)"), game.models.map((m) => line(m.model, m.ranks, app.colour(m.model)))),
      h("p", { class: "small quiet" }, n ? "On the right: how many guesses the last letter took." : "Guess a letter: models of characters guess along, most probable letter first.",
        game.training.length ? ` Still learning: ${game.training.join(", ")}.` : ""));
  }

  function guess(letter) {
    if (!game || at >= game.asked.length || tried.includes(letter)) return;
    const right = game.right[at];
    if (letter === right) {
      ranks.push(tried.length + 1);
      at += 1;
      tried = [];
      if (at >= game.asked.length) { draw(); finish(); return; }
    } else tried.push(letter);
    draw();
  }

  async function finish() {
    if (!ranks.length) { say("Guess some letters first."); return; }
    const over = game; // another may be begun while its results are awaited
    at = over.asked.length;
    draw();
    if (!played.some((g) => g.seed === over.seed)) { played.push({ text: app.room.text, seed: over.seed, ranks }); keep(); }
    try {
      const classes = app.live ? await handIn(over) : null;
      const { models } = await app.ask("shannon", { seed: over.seed });
      if (over !== game) return;
      over.models = models;
      score();
      await show(over, classes);
    } catch (error) { trouble(error); }
  }

  // Once, however often somebody stops.
  function handIn(over) {
    over.handed ??= app.ask("hand_in", { ranks: ranks.join(" ") }).catch((error) => { over.handed = null; throw error; });
    return over.handed;
  }

  async function show(over, classes) {
    const n = ranks.length;
    const line = (name, e, extra) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, count(e.letters)), h("td", {}, `${number(100 * e.first, 0)} %`),
      h("td", {}, `${number(e.lower)} – ${number(e.upper)}`), h("td", {}, e.interval ? `${number(e.interval[0])} – ${number(e.interval[1])}` : ""), h("td", {}, extra));
    const of = (list) => app.ask("estimate", { ranks: list.join(" ") });
    const now = await of(ranks);
    const all = await of(played.flatMap((g) => g.ranks));
    const models = [];
    for (const m of over.models) {
      const some = m.bits.slice(0, n).map(Number);
      models.push([m, await of(m.ranks.slice(0, n)), some.reduce((a, b) => a + b, 0) / some.length]);
    }
    if (over !== game) return;
    results.hidden = false;
    replace(results, h("h2", {}, "Bits a letter"),
      h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, ["who", "letters", "first guess right", "from the guesses: lower – upper", "95 % of the upper", "from the probabilities"].map((t) => h("th", { scope: "col" }, t)))),
        h("tbody", {}, line("you, this passage", now, ""), played.length > 1 ? line(`you, ${played.length} games`, all, "") : null,
          classes && classes.games > 1 ? line(`the class: ${classes.people} people, ${classes.games} games`, classes, "") : null,
          models.map(([m, e, bits]) => line(m.model, e, h("b", { "data-model": m.model }, number(bits))))))),
      h("p", { class: "small quiet" }, "People give no probabilities; the numbers of their guesses put bounds on the bits (Shannon's equation 17). Models have both, on the very same letters. A letter and its capital count as one, and so does all white space."));
  }

  function save() {
    if (!played.length) { say("There is nothing to save yet."); return; }
    const link = h("a", { download: "shannon.json", href: URL.createObjectURL(new Blob([JSON.stringify(played)], { type: "application/json" })) });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  async function pool() {
    let games = [];
    const files = [...file.files];
    file.value = ""; // so that the same ones can be chosen again
    for (const each of files) {
      try {
        const found = JSON.parse(await each.text());
        games = games.concat(found.filter((g) => Array.isArray(g.ranks) && g.ranks.length && g.ranks.every((r) => Number.isInteger(r) && r > 0)));
      } catch { say(`${each.name} is no file of saved games.`); }
    }
    if (!games.length) return;
    let e;
    try { e = await app.ask("estimate", { ranks: games.flatMap((g) => g.ranks).join(" ") }); } catch (error) { trouble(error); return; }
    results.hidden = false;
    replace(results, h("h2", {}, "Pooled"), h("p", {}, `${count(games.length)} games of ${files.length} files, ${count(e.letters)} letters: between ${number(e.lower)} and ${number(e.upper)} bits a letter (95 % of the upper bound: ${number(e.interval[0])} to ${number(e.interval[1])}).`));
  }

  return { update() { if (!game) begin(false); } };
}
