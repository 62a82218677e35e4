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
  die: [["rect", { x: 3, y: 3, width: 18, height: 18, rx: 4 }], ...[[8, 8], [16, 8], [12, 12], [8, 16], [16, 16]].map(([cx, cy]) => ["circle", { cx, cy, r: 1.3, fill: "currentColor" }])],
};
export const icon = (name) => s("svg", { class: "icon", viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": 2, "aria-hidden": "true" },
  ICONS[name].map(([tag, attributes]) => s(tag, attributes)));

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
