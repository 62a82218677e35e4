// Numbers and tokens as people read them.

export function probability(p) {
  p = Number(p);
  if (p === 0) return "0";
  if (p === 1) return "1";
  if (p < 0.001) return scientific(p);
  return p.toFixed(4);
}

function scientific(x, digits = 1) {
  const [mantissa, exponent] = x.toExponential(digits).split("e");
  return `${mantissa}·10${superscript(Number(exponent))}`;
}

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
export const superscript = (n) => [...String(n)].map((c) => RAISED[c]).join("");

export function number(x, digits = 2) {
  x = Number(x);
  if (!Number.isFinite(x)) return x > 0 ? "∞" : x < 0 ? "−∞" : "–";
  return x.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function exact(x) {
  x = Number(x);
  if (Number.isInteger(x)) return x.toLocaleString("en");
  if (x !== 0 && Math.abs(x) < 1e-4) return scientific(x, 4);
  return x.toPrecision(6).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

export function count(x) { return Number(x).toLocaleString("en"); }

// A probability as a product goes on: exp of a natural logarithm that may be far below all numbers.
export function power(logP) {
  logP = Number(logP);
  if (logP === -Infinity) return "0";
  if (logP > -6.9) return Math.exp(logP).toFixed(4);
  const ten = logP / Math.LN10;
  const exponent = Math.floor(ten + 0.00215); // what rounds to ten is one more
  return `${(10 ** (ten - exponent)).toFixed(1)}·10${superscript(exponent)}`;
}

const SHOWN = { "\n": "⏎", "\t": "⇥", " ": "␣", "</s>": "end", "<s>": "begin", "<unk>": "‹unknown›" };
export const visible = (token) => SHOWN[token] ?? token.replaceAll("\n", "⏎").replaceAll("\t", "⇥");

// How a context stands after the bar: its tokens in a row.
export function row(tokens, separator) {
  return tokens.map((t) => (separator === "" && t === " " ? "␣" : visible(t))).join(separator === "" ? "" : " ");
}

// White space as Python has it, inside the brackets of a regular expression: not quite JavaScript's.
export const WHITE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const IS_WHITE = new RegExp(`^[${WHITE}]$`, "u");
export const isWhite = (letter) => IS_WHITE.test(letter);

// What counts as the same guess of a letter: no case, and all white space alike.
export function folded(letter) {
  if (isWhite(letter)) return " ";
  const lower = letter.toLowerCase();
  return [...lower].length === 1 ? lower : letter;
}

// 0 to 1 by surprisal in bits: white at none, full at fifteen.
export const heat = (bits) => Math.max(0, Math.min(1, Number(bits) / 15));

export const COLOURS = ["--m0", "--m1", "--m2", "--m3", "--m4", "--m5", "--m6", "--m7"];
