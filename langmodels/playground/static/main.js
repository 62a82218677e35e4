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
  colour(name) {
    const at = this.room.models.findIndex((m) => m.name === name);
    return `var(${COLOURS[Math.max(0, at) % COLOURS.length]})`;
  },
  get language() { return this.room.language; },
  get direction() { return RIGHT_TO_LEFT.has(this.language) ? "rtl" : "ltr"; },
  // The attributes of whatever shows the text itself.
  get written() { return { lang: this.language || "und", dir: this.direction }; },
  ask: (name, data) => ask(name, { ...app.base, ...data }),
  add: (name) => train(name).catch(trouble),
};

// What no longer means anything where another text is read.
const ELSEWHERE = { level: "", hidden: "", models: "", context: "", sentence: "", cell: "", token: "", rows: "", columns: "", network: "", seed: "" };

let panel = null;
let polling = 0;

async function begin() {
  app.start = await ask("start");
  theme();
  await enter();
  state.onChange(() => enter());
}

async function enter() {
  const first = app.start.first;
  const text = state.get("text", first.text);
  const level = state.get("level", text === first.text ? first.level : "");
  try {
    app.room = await ask("room", { text, level });
  } catch (error) {
    if (text === first.text) throw error;
    trouble(error);
    state.set({ text: "", level: "" });
    app.room = await ask("room", { text: first.text, level: first.level });
  }
  for (const name of state.get("models").split("|").filter(Boolean)) {
    if (!app.room.models.some((m) => m.name === name)) {
      try { await ask("add", { ...app.base, name }); } catch (error) { trouble(error); }
    }
  }
  await refresh(true);
}

async function refresh(anew = false) {
  clearTimeout(polling);
  const before = app.ready.map((m) => m.name).join("|");
  app.room = await ask("room", app.base);
  if (anew) head(); else chips();
  if (anew) open();
  else if (before !== app.ready.map((m) => m.name).join("|")) panel?.update?.();
  if (app.room.models.some((m) => m.status === "waiting" || m.status === "training")) {
    polling = setTimeout(() => refresh().catch(trouble), 1000);
  }
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
  const texts = app.start.texts.some((t) => t.key === room.text) ? app.start.texts
    : [...app.start.texts, { key: room.text, name: room.name, language: room.language }];
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
      app.start.levels.length > 1 ? field("Unit", select(app.start.levels, room.level, (level) => go({ level, hidden: "" }), { "data-keep": "level" })) : null,
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
  await ask("add", { ...app.base, name });
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
  panel = wanted.open(app, place);
  panel.update();
}

begin().catch((error) => {
  replace(document.getElementById("panel"), h("p", { class: "warn", role: "alert" }, error.message));
});
