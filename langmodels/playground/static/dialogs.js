// What is asked in a window of its own: a text to bring, a model to add.

import { upload } from "./backend.js";
import { field, h, select } from "./dom.js";
import { count } from "./format.js";

function shown(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

// A text of one's own; `read` is told what the server says of it, and whether its script puts blanks between words.
export function bring(start, read) {
  const file = h("input", { type: "file", accept: ".txt,.text,.md,.csv,text/*" });
  const words = h("textarea", { rows: 5, dir: "auto", placeholder: "… or paste a text here" });
  const encoding = h("input", { type: "text", value: "utf-8", list: "encodings" });
  const errors = select(start.errors, "strict", () => {});
  const trouble = h("p", { class: "warn", role: "alert" });
  const dialog = h("dialog", { "aria-label": "Your own text" },
    h("form", {
      method: "dialog",
      onsubmit: async (event) => {
        if (event.submitter?.value === "no") return;
        event.preventDefault();
        const chosen = file.files[0] ?? (words.value.trim() ? new File([words.value], "pasted text") : null);
        if (!chosen) { trouble.textContent = "Choose a file, or paste a text."; return; }
        try {
          if (chosen.size > start.limits.upload) throw new Error(`The file has ${count(chosen.size)} bytes; this page takes ${count(start.limits.upload)}.`);
          const found = await upload(chosen, file.files[0] ? encoding.value : "utf-8", errors.value);
          const dense = /[\u3040-\u30ff\u4e00-\u9fff\u0e00-\u0e7f]/u.test((await chosen.slice(0, 4000).text()));
          dialog.close();
          read(found, dense);
        } catch (error) { trouble.textContent = error.message; }
      },
    },
    h("h2", {}, "Your own text"),
    h("p", { class: "quiet small" }, `Up to ${count(start.limits.text)} characters are read; it stays in the memory of the computer that serves this page.`),
    field("A file", file), field("A text", words),
    h("div", { class: "row" }, field("Encoding", encoding, { class: "field grow" }), field("What is no text", errors)),
    h("datalist", { id: "encodings" }, ["utf-8", "utf-16", "latin-1", "cp1252", "gb18030", "shift_jis", "koi8-r"].map((e) => h("option", { value: e }))),
    trouble,
    h("div", { class: "row" }, h("button", { class: "primary", value: "yes" }, "Read it"), h("button", { value: "no", formnovalidate: true }, "Cancel"))));
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
