// The frame of the page: which text, which models, which panel. Panels are modules of their own.

import { ask, live } from "./backend.js";
import { another, bring } from "./dialogs.js";
import { field, h, icon, replace, say, select, trouble } from "./dom.js";
import { COLOURS, count } from "./format.js";
import * as state from "./state.js";
import { PANELS } from "./panels.js";

const RIGHT_TO_LEFT = new Set(["ar", "he", "fa", "ur"]);
// Languages by their own names; texts of none are made by a formula, or of symbols.
const languageName = (code) => (code ? new Intl.DisplayNames([code], { type: "language" }).of(code) : "no language");

// What panels share: the room (a text at a level), its models, and how to ask about them.
const app = {
  live,
  start: null,
  room: null,
  get base() { return { text: this.room.text, level: this.room.level }; },
  get ready() { return this.room.models.filter((m) => m.status === "ready"); },
  get chosen() {
    const hidden = new Set(state.get("hidden").split("|").filter(Boolean));
    return this.ready.filter((m) => !hidden.has(m.name)).map((m) => m.name);
  },
  // Why no model is shown.
  get nothing() { return this.ready.length ? "All models are hidden; press one above to show it." : "The first model is ready in a moment."; },
  colour(name) {
    const at = this.room.models.findIndex((m) => m.name === name);
    return `var(${COLOURS[Math.max(0, at) % COLOURS.length]})`;
  },
  get language() { return this.room.language; },
  get direction() { return RIGHT_TO_LEFT.has(this.language) ? "rtl" : "ltr"; },
  // The attributes of whatever shows the text itself.
  get written() { return { lang: this.language || "und", dir: this.direction }; },
  add: (name) => train(name).catch(trouble),
};

// What no longer means anything where another text is read.
const ELSEWHERE = { level: "", hidden: "", models: "", context: "", sentence: "", cell: "", token: "", rows: "", columns: "", network: "", seed: "" };

let panel = null;
let polling = 0;
let [entered, refreshed, opened] = [0, 0, 0]; // how often; an answer to all but the latest is late

async function begin() {
  app.start = await ask("start");
  theme();
  state.onChange(() => enter().catch(trouble));
  await enter();
}

async function enter() {
  const mine = (entered += 1);
  clearTimeout(polling);
  const first = app.start.first;
  const text = state.get("text", first.text);
  const level = state.get("level", text === first.text ? first.level : "");
  let room;
  try {
    room = await ask("room", { text, level });
  } catch (error) {
    if (mine !== entered) return;
    if (text === first.text && (!level || level === first.level)) throw error;
    trouble(error);
    state.set({ text: "", level: "" });
    room = await ask("room", first);
  }
  const base = { text: room.text, level: room.level };
  for (const name of state.get("models").split("|").filter(Boolean)) {
    if (mine !== entered) return;
    if (!room.models.some((m) => m.name === name)) {
      try { await ask("add", { ...base, name }); } catch (error) { trouble(error); }
    }
  }
  room = await ask("room", base);
  if (mine !== entered) return;
  app.room = room; // together with the panel that asks about it
  head();
  open();
  poll();
}

async function refresh() {
  const [where, mine] = [entered, (refreshed += 1)];
  clearTimeout(polling);
  const before = app.ready.map((m) => m.name).join("|");
  const room = await ask("room", app.base);
  if (where !== entered || mine !== refreshed) return;
  app.room = room;
  chips();
  if (before !== app.ready.map((m) => m.name).join("|")) panel?.update?.();
  poll();
}

// Until all models are ready; a question that failed is asked again.
function poll(ms = 1000) {
  clearTimeout(polling);
  if (!app.room.models.some((m) => m.status === "waiting" || m.status === "training")) return;
  polling = setTimeout(() => {
    const where = entered;
    refresh().catch((error) => { if (where === entered) { trouble(error); poll(5000); } });
  }, ms);
}

// The head ------------------------------------------------------------------------------------------

function theme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const wanted = state.get("theme");
    root.classList.toggle("dark", wanted ? wanted === "dark" : dark.matches);
    root.classList.toggle("large", state.get("size") === "large");
  };
  dark.addEventListener("change", apply);
  state.onChange(apply);
  apply();
  app.theme = apply;
}

function head() {
  const focused = document.activeElement?.dataset?.keep;
  const { room } = app;
  const place = document.getElementById("top");
  // The language of some texts is known when they are read.
  const known = app.start.texts.map((t) => (t.key === room.text ? { ...t, language: room.language } : t));
  const texts = known.some((t) => t.key === room.text) ? known : [...known, { key: room.text, name: room.name, language: room.language }];
  const languages = [...new Set(texts.map((t) => t.language))].map((value) => ({ value, label: languageName(value) }));
  const of = (language) => texts.filter((t) => t.language === language);
  replace(document.getElementById("tools"),
    toggle("letters", "Large type", "size", "large", () => document.documentElement.classList.contains("large")),
    toggle("moon", "Dark", "theme", "dark", () => document.documentElement.classList.contains("dark"), "light"),
    live && h("button", { "data-keep": "link", "aria-label": "Link", title: "Copy a link to this very screen", onclick: link }, icon("link")));
  replace(place,
    h("div", { class: "chooser" },
      languages.length > 1 ? field("Language", select(languages, room.language, (language) => go({ text: of(language)[0].key, ...ELSEWHERE }), { "data-keep": "language" })) : null,
      live ? field("Text", select(of(room.language).map((t) => ({ value: t.key, label: t.name })), room.text, (text) => go({ text, ...ELSEWHERE }), { "data-keep": "text", title: texts.find((t) => t.key === room.text).description ?? "" })) : null,
      app.start.levels.length > 1 ? field("Unit", select(app.start.levels, room.level, (level) => go({ level, hidden: "", cell: "" }), { "data-keep": "level" })) : null,
      live && h("button", { class: "primary", "data-keep": "upload", onclick: () => bring(app.start, read) }, icon("file"), "Your text…")),
    h("p", { class: "quiet small", id: "facts" },
      `${count(room.tokens)} ${room.unit === "char" ? "character" : room.unit}s to learn from, ${count(room.types)} different; `
      + `${count(room.test_tokens)} kept for testing`),
    h("ul", { class: "chips", id: "models", "aria-label": "Models: press one to hide or show it" }));
  chips();
  if (focused) document.querySelector(`[data-keep="${CSS.escape(focused)}"]`)?.focus();
}

// The models change while they are trained; what else is in the head stays, be it open or not.
function chips() {
  const focused = document.activeElement?.dataset?.keep;
  const place = document.getElementById("models");
  replace(place, app.room.models.map((m) => h("li", {}, chip(m))),
    live && h("li", {}, h("button", { class: "chip add", "data-keep": "add", "aria-label": "Add a model…", title: "Add a model…", onclick: () => another(app.start, train) }, "Model…")));
  if (focused) place.querySelector(`[data-keep="${CSS.escape(focused)}"]`)?.focus();
}

function toggle(picture, label, name, on, isOn, off = "") {
  const button = h("button", {
    "aria-pressed": String(isOn()), "aria-label": label, title: label, "data-keep": name,
    onclick: () => {
      state.set({ [name]: isOn() ? off : on });
      app.theme();
      button.setAttribute("aria-pressed", String(isOn()));
      panel?.update?.();
    },
  }, icon(picture));
  return button;
}

function chip(model) {
  const shown = app.chosen.includes(model.name);
  const ready = model.status === "ready";
  const note = { waiting: "waits", training: `${Math.round(100 * model.progress)} %`, failed: "failed" }[model.status];
  return h("button", {
    class: `chip ${model.status}`, style: { "--colour": app.colour(model.name), "--done": model.status === "training" ? model.progress : null }, "data-keep": model.name,
    "aria-pressed": ready ? String(shown) : null, title: model.note || null,
    onclick: () => {
      if (model.status === "failed") return say(`${model.name}: ${model.note}`);
      if (!ready) return say(`${model.name} is not ready yet.`);
      const hidden = new Set(state.get("hidden").split("|").filter(Boolean));
      if (shown) hidden.add(model.name); else hidden.delete(model.name);
      state.set({ hidden: [...hidden].join("|") });
      chips();
      panel?.update?.();
      return undefined;
    },
  }, model.name, note ? h("small", {}, note) : null);
}

async function link() {
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied; it brings others to this very screen.");
  } catch { say("Copy the link from the address line; it brings others to this very screen."); }
}

function go(changes) {
  state.set(changes, { push: true });
  enter().catch(trouble);
}

function read(found) {
  app.start.texts.push(found);
  go({ text: found.key, ...ELSEWHERE });
}

async function train(name) {
  const where = entered;
  await ask("add", { ...app.base, name });
  if (where !== entered) return; // another text is read by now
  const more = new Set(state.get("models").split("|").filter(Boolean)).add(name);
  state.set({ models: [...more].join("|") });
  await refresh();
}

// The panels ----------------------------------------------------------------------------------------

function open() {
  const inTabs = document.activeElement?.closest?.("#tabs");
  const key = state.get("panel", PANELS[0].key);
  const wanted = PANELS.find((p) => p.key === key) ?? PANELS[0];
  replace(document.getElementById("tabs"), PANELS.map((p) => h("a", {
    href: "#", "aria-current": p === wanted ? "page" : null,
    onclick: (event) => {
      event.preventDefault();
      state.set({ panel: p.key }, { push: true });
      open();
    },
  }, p.title)));
  const tab = document.querySelector('nav [aria-current="page"]');
  if (inTabs) tab.focus();
  tab.parentNode.scrollLeft = tab.offsetLeft - (tab.parentNode.clientWidth - tab.offsetWidth) / 2;
  document.title = `${wanted.title}: langmodels`;
  panel?.close?.();
  const place = document.getElementById("panel");
  place.setAttribute("aria-label", wanted.title);
  place.replaceChildren();
  panel = wanted.open(Object.assign(Object.create(app), { ask: asker() }), place);
  panel.update();
}

// How a panel asks: about the room that it was opened in; once it is left, it hears of no answer.
function asker() {
  const [mine, base] = [(opened += 1), app.base];
  const heard = (tell) => (value) => { if (mine === opened) tell(value); };
  return (name, data) => new Promise((resolve, reject) => {
    ask(name, { ...base, ...data }).then(heard(resolve), heard(reject));
  });
}

begin().catch((error) => {
  replace(document.getElementById("panel"), h("p", { class: "warn", role: "alert" }, error.message));
});
