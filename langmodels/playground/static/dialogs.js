// What is asked in a window of its own: a text to bring, a model to add.

import { upload } from "./backend.js";
import { field, h, icon, say, select } from "./dom.js";
import { count } from "./format.js";

function shown(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

// A text of one's own; `read` is given what the server says of it. A file is read as the command line reads it.
export function bring(start, read) {
  const file = h("input", { type: "file", "aria-label": "A file", accept: [...start.endings, "text/*"].join(","), onchange: () => named() });
  const chosen = h("span", { class: "quiet small" });
  const words = h("textarea", { rows: 6, dir: "auto", placeholder: "Paste a text here: a song, a chapter, your own essay …" });
  const encoding = h("input", { type: "text", value: "utf-8", list: "encodings", autocomplete: "off" });
  const column = h("input", { type: "text", placeholder: "text", autocomplete: "off", spellcheck: false });
  const errors = select(start.errors.map((value) => ({ value, label: { strict: "say so", replace: "read it as \ufffd", ignore: "leave it out" }[value] ?? value })), "strict", () => {});
  const names = start.languages.map((value) => ({ value, label: new Intl.DisplayNames([value], { type: "language" }).of(value) }));
  const language = select([{ value: "", label: "let the page guess" }, ...names.sort((a, b) => a.label.localeCompare(b.label))], "", () => {});
  const trouble = h("p", { class: "warn", role: "alert" });
  const go = h("button", { class: "primary", value: "yes" }, "Read it");
  const named = () => { chosen.textContent = file.files[0]?.name ?? ""; trouble.textContent = ""; };
  const drop = h("div", {
    class: "drop",
    ondragover: (event) => { event.preventDefault(); drop.classList.add("over"); },
    ondragleave: () => drop.classList.remove("over"),
    ondrop: (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer.files.length) { file.files = event.dataTransfer.files; named(); }
    },
  }, h("button", { type: "button", onclick: () => file.click() }, icon("file"), "Choose a file…"), chosen,
  h("span", { class: "quiet small" }, "or drop one here: plain text, JSON lines, CSV, TSV, Parquet; .gz, .xz, .bz2, .zst"), file);
  const dialog = h("dialog", { "aria-label": "Your own text" },
    h("form", {
      method: "dialog",
      onsubmit: async (event) => {
        if (event.submitter?.value === "no") return;
        event.preventDefault();
        const brought = file.files[0] ?? (words.value.trim() ? new File([words.value], "pasted text") : null);
        if (!brought) { trouble.textContent = "Choose a file, or paste a text."; return; }
        try {
          if (brought.size > start.limits.upload) throw new Error(`The file has ${count(brought.size)} bytes; this page takes ${count(start.limits.upload)}.`);
          go.disabled = true;
          const found = await upload(brought, { encoding: file.files[0] ? encoding.value : "utf-8", errors: errors.value, field: file.files[0] ? column.value.trim() : "", language: language.value });
          if (!dialog.open) return; // it was left meanwhile
          dialog.close();
          say(`${found.name}: ${found.description}`);
          read(found);
        } catch (error) { trouble.textContent = error.message; } finally { go.disabled = false; }
      },
    },
    h("h2", {}, "Your own text"),
    drop, field("A text", words),
    h("details", {}, h("summary", {}, "Language, encoding, field of a table"),
      h("div", { class: "pairs" }, field("Language", language), field("Encoding", encoding), field("Bytes that are no text", errors), field("Field that holds the text", column))),
    h("datalist", { id: "encodings" }, ["utf-8", "utf-16", "latin-1", "cp1252", "gb18030", "shift_jis", "koi8-r"].map((e) => h("option", { value: e }))),
    trouble,
    h("div", { class: "row" }, go, h("button", { value: "no", formnovalidate: true }, "Cancel")),
    h("p", { class: "quiet small" }, `Up to ${count(start.limits.text)} characters are read. The text stays in the memory of the computer that serves this page, and is gone when that ends.`)));
  shown(dialog);
}

// Another model by name; what `train` refuses is said.
export function another(start, train) {
  const name = h("input", { type: "text", list: "known", placeholder: "gru, mkn:order=5, lstm:hidden=32", required: true, autocomplete: "off" });
  const trouble = h("p", { class: "warn", role: "alert" });
  const dialog = h("dialog", { "aria-label": "Add a model" },
    h("form", {
      method: "dialog",
      onsubmit: async (event) => {
        if (event.submitter?.value === "no") return;
        event.preventDefault();
        const wanted = name.value.trim();
        if (!wanted) return;
        try {
          await train(wanted);
          dialog.close();
        } catch (error) { trouble.textContent = error.message; }
      },
    },
    h("h2", {}, "Add a model"),
    h("p", { class: "quiet small" }, "A name, with options after colons. Everyone on the page shares it."),
    field("Model", name),
    h("datalist", { id: "known" }, start.models.map((m) => h("option", { value: m.name }, m.summary))),
    h("div", { class: "chips" }, ["gru", "laplace:order=2", "witten-bell:order=3", "katz:order=3", "mkn:order=5", "full-context"].map((m) =>
      h("button", { type: "button", onclick: () => { name.value = m; name.focus(); } }, m))),
    trouble,
    h("div", { class: "row" }, h("button", { class: "primary", value: "yes" }, "Train it"), h("button", { value: "no", formnovalidate: true }, "Cancel"))));
  shown(dialog);
}
