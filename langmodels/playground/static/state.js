// What is on the screen, in the address: a link reproduces it.

const listeners = new Set();
let fields = read();
let own = "";

function read() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

export const get = (name, otherwise = "") => fields[name] ?? otherwise;
// A link may say anything: what is no number is `otherwise`, and others are brought within bounds.
export const numberOf = (name, otherwise, low, high) => {
  const value = Number(fields[name]);
  return !fields[name] || !Number.isFinite(value) ? otherwise : Math.min(high, Math.max(low, value));
};
export const wholeOf = (...asked) => Math.round(numberOf(...asked));
export const oneOf = (name, choices) => (choices.includes(fields[name]) ? fields[name] : choices[0]);

export function set(changes, { tell = false, push = false } = {}) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === "" || value === null || value === undefined) delete fields[name];
    else fields[name] = String(value);
  }
  own = `#${new URLSearchParams(fields)}`;
  history[push ? "pushState" : "replaceState"](null, "", own);
  if (tell) for (const listener of listeners) listener();
}

export const onChange = (listener) => listeners.add(listener);

addEventListener("hashchange", () => {
  if (location.hash === own) return;
  fields = read();
  for (const listener of listeners) listener();
});
addEventListener("popstate", () => {
  if (location.hash === own) return;
  own = location.hash;
  fields = read();
  for (const listener of listeners) listener();
});
