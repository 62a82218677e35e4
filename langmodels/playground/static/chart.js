// Curves with axes, in SVG. Sizes are those of the drawing; the page scales it.

import { h, s } from "./dom.js";
import { exact, superscript } from "./format.js";

// Narrower on a phone and where type is large, so that letters come out larger.
export const usual = () => Math.max(280, Math.min(560, innerWidth - 64)) / (document.documentElement.classList.contains("large") ? 1.3 : 1);

const DASHES = ["", "6 4", "2 3", "10 4 2 4"];

// series: [{ name, colour, points: [[x, y], ...], dashed }]; y may be logarithmic.
export function chart({ series, x, y, log = false, label, low = null, high = null, width = usual(), height = 260 }) {
  const points = series.flatMap((each) => each.points).filter(([, v]) => Number.isFinite(v) && (!log || v > 0));
  const [left, right, top, bottom] = [52, 12, 10, 40];
  const xs = points.map(([v]) => v);
  const ys = points.map(([, v]) => (log ? Math.log10(v) : v));
  const [x0, x1] = xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
  let [y0, y1] = ys.length ? [low ?? Math.min(...ys), high ?? Math.max(...ys)] : [0, 1];
  if (y1 - y0 < 1e-9) { y0 -= 0.5; y1 += 0.5; }
  const pad = low === null || high === null ? (y1 - y0) * 0.05 : 0;
  if (low === null) y0 -= pad;
  if (high === null) y1 += pad;
  const px = (v) => left + ((v - x0) / (x1 - x0 || 1)) * (width - left - right);
  const py = (v) => height - bottom - ((v - y0) / (y1 - y0)) * (height - top - bottom);
  const raw = (v) => py(log ? Math.log10(v) : v);
  const tick = (v) => (!log ? exact(v) : Math.abs(v) <= 2.5 || v % 1 ? exact(Number((10 ** v).toPrecision(3))) : `10${superscript(v)}`);
  const yTicks = log ? whole(y0, y1) : ticks(y0, y1, 5);
  const figure = h("figure", {},
    s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, preserveAspectRatio: "xMidYMid meet" },
      yTicks.map((v) => [s("line", { class: "axis", x1: left, x2: width - right, y1: py(v), y2: py(v) }),
        s("text", { class: "faint", x: left - 6, y: py(v) + 4, "text-anchor": "end" }, tick(v))]),
      ticks(x0, x1, 6).map((v) => s("text", { class: "faint", x: px(v), y: height - bottom + 17, "text-anchor": "middle" }, exact(v))),
      s("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
      s("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle" }, x),
      s("text", { x: 12, y: (height - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(height - bottom) / 2})` }, y),
      series.map((each, i) => s("polyline", {
        fill: "none", style: { stroke: each.colour }, "stroke-width": 2, "stroke-linejoin": "round", "stroke-dasharray": DASHES[(each.dashed ?? i) % DASHES.length] || null,
        points: thin(each.points).filter(([, v]) => Number.isFinite(v) && (!log || v > 0)).map(([a, b]) => `${px(a).toFixed(1)},${raw(b).toFixed(1)}`).join(" "),
      }))),
    h("figcaption", { class: "legend" }, series.map((each, i) => h("span", {},
      s("svg", { width: 26, height: 8, "aria-hidden": "true" }, s("line", { x1: 0, x2: 26, y1: 4, y2: 4, style: { stroke: each.colour }, "stroke-width": 2.5, "stroke-dasharray": DASHES[(each.dashed ?? i) % DASHES.length] || null })),
      each.name))));
  return figure;
}

function thin(points, most = 600) {
  const step = Math.ceil(points.length / most);
  return step < 2 ? points : points.filter((_, i) => i % step === 0 || i === points.length - 1);
}

export function ticks(low, high, n) {
  const rough = (high - low) / n;
  if (!(rough > 0)) return [low];
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * unit).find((k) => k >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) found.push(Number((k * step).toPrecision(12)));
  return found;
}

function whole(low, high) {
  if (high - low < 1.4) { // less than some decades: 1, 2, 5, 10
    const fine = [];
    for (let k = Math.floor(low); k <= high; k += 1) for (const m of [1, 2, 5]) fine.push(k + Math.log10(m));
    return fine.filter((v) => v >= low && v <= high);
  }
  const step = Math.max(1, Math.ceil((high - low) / 6));
  const found = [];
  for (let v = Math.ceil(low); v <= high; v += step) found.push(v);
  return found.length ? found : [Math.round(low)];
}
