// The frame of the page: which text, which models, which panel. Panels are modules of their own.

import { ask, live } from "./backend.js";
import { another, bring } from "./dialogs.js";
import { field, h, replace, s, say, select, trouble } from "./dom.js";
import { COLOURS, count } from "./format.js";
import * as state from "./state.js";
import { PANELS } from "./panels.js";

const LANGUAGES = [
  ["", "as written"], ["en", "English"], ["de", "Deutsch"], ["fr", "Français"], ["es", "Español"], ["it", "Italiano"],
  ["pt", "Português"], ["nl", "Nederlands"], ["pl", "Polski"], ["tr", "Türkçe"], ["ru", "Русский"], ["el", "Ελληνικά"],
  ["ar", "العربية"], ["he", "עברית"], ["fa", "فارسی"], ["hi", "हिन्दी"], ["zh", "中文"], ["ja", "日本語"], ["ko", "한국어"], ["th", "ไทย"],
];
const SCRIPTS = [
  [/[\u0590-\u05ff]/u, "he"], [/[\u0600-\u06ff]/u, "ar"], [/[\u3040-\u30ff]/u, "ja"], [/[\uac00-\ud7af]/u, "ko"],
  [/[\u4e00-\u9fff]/u, "zh"], [/[\u0900-\u097f]/u, "hi"], [/[\u0e00-\u0e7f]/u, "th"], [/[\u0400-\u04ff]/u, "ru"], [/[\u0370-\u03ff]/u, "el"],
];
const RIGHT_TO_LEFT = new Set(["ar", "he", "fa", "ur"]);

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
  get language() { return state.get("lang") || detected(this.room.beginning); },
  get direction() { return RIGHT_TO_LEFT.has(this.language) ? "rtl" : "ltr"; },
  // The attributes of whatever shows the text itself.
  get written() { return { lang: this.language || "und", dir: this.direction }; },
  ask: (name, data) => ask(name, { ...app.base, ...data }),
  add: (name) => train(name).catch(trouble),
};

function detected(text) {
  const found = SCRIPTS.map(([pattern, lang]) => [text.split("").filter((c) => pattern.test(c)).length, lang]);
  const [most, lang] = found.reduce((a, b) => (b[0] > a[0] ? b : a), [0, ""]);
  return most > text.length / 5 ? lang : "";
}

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
  const place = document.getElementById("top");
  const focused = document.activeElement?.dataset?.keep;
  const { room } = app;
  const texts = app.start.texts.map((t) => ({ value: t.key, label: t.name }));
  if (!texts.some((t) => t.value === room.text)) texts.push({ value: room.text, label: room.name });
  replace(place,
    h("div", { class: "brand" },
      h("h1", {}, logo(), "langmodels ", h("span", {}, "playground")),
      toggle(["Large", h("span", { class: "wide" }, " type")], "size", "large", () => document.documentElement.classList.contains("large")),
      toggle("Dark", "theme", "dark", () => document.documentElement.classList.contains("dark"), "light"),
      live && h("button", { "data-keep": "link", title: "Copy a link to this very screen", onclick: link }, "Link")),
    h("div", { class: "chooser" },
      live ? field("Text", select(texts, room.text, (text) => go({ text, level: "", hidden: "", models: "" }), { "data-keep": "text" })) : null,
      app.start.levels.length > 1 ? field("Unit", select(app.start.levels, room.level, (level) => go({ level, hidden: "" }), { "data-keep": "level" })) : null,
      field("Language", select(LANGUAGES.map(([value, label]) => ({ value, label })), state.get("lang"), (lang) => go({ lang }), { "data-keep": "lang" })),
      live && h("button", { "data-keep": "upload", onclick: () => bring(app.start, read) }, "Your text…"),
      live && h("button", { "data-keep": "add", onclick: () => another(app.start, train) }, "Add a model…")),
    h("p", { class: "quiet small", id: "facts" },
      `${room.name}: ${count(room.tokens)} ${room.unit === "char" ? "character" : room.unit}s to learn from, ${count(room.types)} different; `
      + `${count(room.test_tokens)} kept apart for testing.`),
    h("ul", { class: "chips", id: "models", "aria-label": "Models: press one to hide or show it" }));
  chips();
  if (focused) place.querySelector(`[data-keep="${CSS.escape(focused)}"]`)?.focus();
}

// The models change while they are trained; what else is in the head stays, be it open or not.
function chips() {
  const focused = document.activeElement?.dataset?.keep;
  const place = document.getElementById("models");
  replace(place, app.room.models.map((m) => h("li", {}, chip(m))));
  if (focused) place.querySelector(`[data-keep="${CSS.escape(focused)}"]`)?.focus();
}

function logo() {
  return s("svg", { viewBox: "0 0 32 32", "aria-hidden": "true" },
    s("rect", { width: 32, height: 32, rx: 7, fill: "#3454d1" }),
    s("path", { d: "M7 23h18M7 17h12M7 11h6", stroke: "#fff", "stroke-width": 3.4, "stroke-linecap": "round" }));
}

function toggle(label, name, on, isOn, off = "") {
  const button = h("button", {
    "aria-pressed": String(isOn()), "data-keep": name,
    onclick: () => {
      state.set({ [name]: isOn() ? off : on });
      app.theme();
      button.setAttribute("aria-pressed", String(isOn()));
      panel?.update?.();
    },
  }, label);
  return button;
}

function chip(model) {
  const shown = app.chosen.includes(model.name);
  const ready = model.status === "ready";
  const note = { waiting: " waits", training: ` ${Math.round(100 * model.progress)} %`, failed: " failed" }[model.status] ?? "";
  return h("button", {
    class: `chip ${model.status}`, style: { "--colour": app.colour(model.name) }, "data-keep": model.name,
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
  }, model.name + note);
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

function read(found, dense) {
  app.start.texts.push({ ...found, level: null });
  go({ text: found.key, level: dense ? "char" : "word", hidden: "", models: "", lang: "", context: "", sentence: "" });
}

async function train(name) {
  await ask("add", { ...app.base, name });
  const more = new Set(state.get("models").split("|").filter(Boolean)).add(name);
  state.set({ models: [...more].join("|") });
  await refresh();
}

// The panels ----------------------------------------------------------------------------------------

function open() {
  const key = state.get("panel", PANELS[0].key);
  const wanted = PANELS.find((p) => p.key === key) ?? PANELS[0];
  replace(document.getElementById("tabs"), h("div", {}, PANELS.map((p) => h("a", {
    href: "#", "aria-current": p === wanted ? "page" : null,
    onclick: (event) => {
      event.preventDefault();
      state.set({ panel: p.key }, { push: true });
      open();
    },
  }, p.title))));
  document.querySelector('nav [aria-current="page"]').scrollIntoView({ block: "nearest", inline: "nearest" });
  document.title = `${wanted.title}: langmodels`;
  panel?.close?.();
  const place = document.getElementById("panel");
  place.replaceChildren();
  panel = wanted.open(app, place);
  panel.update();
}

begin().catch((error) => {
  replace(document.getElementById("panel"), h("p", { class: "warn", role: "alert" }, error.message));
});
