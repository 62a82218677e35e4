// Elements made of data. Text only ever becomes text: nothing here, and nothing elsewhere, is parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name in node && !(node instanceof SVGElement) && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  put(node, children);
  return node;
}

export function put(node, children) {
  node.append(...[children].flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false)
    .map((c) => (c instanceof Node ? c : document.createTextNode(String(c)))));
  return node;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const replace = (node, ...children) => { node.replaceChildren(); return put(node, children); };

export function field(label, control, attributes) {
  const id = control.id || (control.id = unique());
  return h("div", { class: "field", ...attributes }, h("label", { for: id }, label), control);
}

let counter = 0;
const unique = () => `id${(counter += 1)}`;

export function slider(label, { min, max, step, value, show, change }) {
  const id = unique();
  const output = h("output", { for: id }, show(value));
  const input = h("input", {
    id, type: "range", min: String(min), max: String(max), step: String(step), "aria-valuetext": show(value),
    oninput: () => set(Number(input.value), true),
  });
  input.value = String(value);
  const set = (v, tell) => {
    input.value = String(v);
    output.textContent = show(v);
    input.setAttribute("aria-valuetext", show(v));
    if (tell) change(v);
  };
  const node = h("div", { class: "slider" }, h("label", { for: id }, label), output, input);
  node.set = (v) => set(v, false);
  return node;
}

export function select(options, value, change, attributes) {
  const node = h("select", { ...attributes, onchange: () => change(node.value) },
    options.map((o) => h("option", { value: o.value ?? o }, o.label ?? o)));
  node.value = value;
  return node;
}

const ICONS = {
  die: "M6 3h12a3 3 0 0 1 3 3v12a3 3 0 0 1-3 3H6a3 3 0 0 1-3-3V6a3 3 0 0 1 3-3zM8 8h.01M16 8h.01M12 12h.01M8 16h.01M16 16h.01",
  letters: "M2 18 7.5 5 13 18M4 14h7M15 18l3.5-8 3.5 8M16.2 15.4h4.6",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  link: "M10 14a4.5 4.5 0 0 0 6.4 0l3-3A4.5 4.5 0 0 0 13 4.6l-1.4 1.4M14 10a4.5 4.5 0 0 0-6.4 0l-3 3a4.5 4.5 0 0 0 6.4 6.4l1.4-1.4",
  file: "M12 16V4M7 9l5-5 5 5M4 16v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3",
  play: "M7 4.5v15l12-7.5z",
  undo: "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
};
export const icon = (name) => s("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, s("path", { d: ICONS[name] }));

// What is said at the foot of the page, to readers of screens too.
export function say(text) {
  const place = document.getElementById("said");
  const line = h("p", {}, text);
  replace(place, line);
  setTimeout(() => line.remove(), 6000);
}

// What went wrong: a sentence for people; what nobody foresaw goes to the console, too.
export function trouble(error) {
  if (error.name !== "Refused") console.error(error);
  say(error.message);
}

// One call after others have ceased for a moment.
export function calm(call, ms = 120) {
  let timer = 0;
  return (...args) => { clearTimeout(timer); timer = setTimeout(() => call(...args), ms); };
}
