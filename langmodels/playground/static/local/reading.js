// Text to tokens and back, as Python cuts it.

import { WHITE } from "../format.js";

const NO_SPACE_BEFORE = new Set([...".,;:!?)]}%…’”»،؛؟।॥", "..."]);
const NO_SPACE_AFTER = new Set([..."([{“«‘„‚¿¡"]);
const LOW_QUOTES = new Map([["„", "“"], ["‚", "‘"]]);
const DENSE = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}";
const WIDE = "\\u3000-\\u303f\\uff00-\\uffef";
const NO_SPACE_BETWEEN = new RegExp(`^(?:[${DENSE}][${DENSE}“”‘’]|[”’][${DENSE}]|[${WIDE}].|.[${WIDE}])`, "su");
const SPACE = new RegExp(`[${WHITE}]+`, "u");
const INSIDE = `(?:(?!\\n)[${WHITE}])*`; // white space of a line, which a line feed alone ends
const MARKS = new RegExp(
  `(?<![^\\n])${INSIDE}<s>(?![^${WHITE}])${INSIDE}|(?<![^${WHITE}])</s>${INSIDE}(?![^\\n])`, "gu",
);

export class Reading {
  constructor({ reading, vocabulary, special, ends, separator }) {
    Object.assign(this, { level: reading.level, tokens: vocabulary, special, ends, separator });
    this.eos = ends ? 2 : null;
    this.ids = new Map(vocabulary.map((t, i) => [t, i]));
    if (reading.pattern) {
      this.word = new RegExp(reading.pattern.replace(/\{(K\d+)\}/gu, (_, key) => reading.classes[key]), "gu");
    }
  }

  tokenize(text) {
    if (this.level === "char") return [...text];
    const marked = text.replace(MARKS, "");
    const tokens = this.level === "word" ? marked.match(this.word) ?? [] : marked.split(SPACE).filter(Boolean);
    return tokens.map((t) => (t === "<s>" || t === "</s>" ? "<unk>" : t));
  }

  known(token) { return this.ids.has(token); }
  id(token) { return this.ids.get(token) ?? 0; }
  // Of a token of text: the boundaries are unknown words there.
  encode(tokens) { return tokens.map((t) => (t === "<s>" || t === "</s>" ? 0 : this.id(t))); }

  glue(last, token) {
    if (this.level === "char") return "";
    if (this.level !== "word") return " ";
    const closes = NO_SPACE_BEFORE.has(token) || (token === '"' && last === '"') || LOW_QUOTES.get(last) === token;
    if (NO_SPACE_BETWEEN.test(([...last].at(-1) ?? "") + ([...token][0] ?? ""))) return "";
    return closes || NO_SPACE_AFTER.has(last) || last === '"' ? "" : " ";
  }
}
