// Compare: the models on the part of the text that none has seen, character for character; and the report.

import { ticks, usual } from "../chart.js";
import { h, replace, s, trouble } from "../dom.js";
import { count, exact, number } from "../format.js";

export const compare = { key: "compare", title: "Compare", open };

function open(app, place) {
  let asked = 0;
  let timer = 0;
  let drawn = "";
  const again = h("button", { onclick: () => look(true), hidden: true }, "Try again");
  const status = h("p", { class: "quiet", role: "status" });
  const shown = h("div", { class: "stack", id: "comparison" });
  replace(place,
    h("p", { class: "lead" }, "All models that are switched on, on the last tenth of the text, which none of them has seen. Bits per character are the fair figure: every model pays for every character, whatever its tokens are."),
    h("div", { class: "row" }, status, again), shown);

  // Measured as soon as the panel is opened, and anew when another model is ready, or switched on or off.
  async function look(begin) {
    const mine = (asked += 1);
    clearTimeout(timer);
    const models = app.chosen;
    const learning = app.room.models.filter((m) => m.status === "waiting" || m.status === "training").map((m) => m.name);
    const rest = learning.length ? ` Still learning: ${learning.join(", ")}; the table grows as they are ready.` : "";
    if (!models.length) {
      status.textContent = app.nothing + rest;
      again.hidden = true;
      drawn = "";
      shown.replaceChildren();
      return;
    }
    try {
      const job = await app.ask("compare", { models, begin });
      if (mine !== asked) return;
      const busy = job.status === "waiting" || job.status === "running";
      again.hidden = busy || job.status === "ready";
      status.textContent = (busy ? `Measuring ${models.length} models.` : job.status === "failed" ? job.note : "") + rest;
      if (job.status === "ready" && drawn !== job.result.report) { drawn = job.result.report; draw(job.result); }
      if (busy) timer = setTimeout(() => look(false), 500);
    } catch (error) {
      if (mine !== asked) return;
      trouble(error);
      again.hidden = false;
      status.textContent = error.message;
    }
  }

  function draw(result) {
    const models = result.models.map((m) => ({ ...m, bits: Number(m.bits_per_character), low: Number(m.low ?? NaN), high: Number(m.high ?? NaN) }));
    const best = models[0];
    const bars = Math.max(...models.map((m) => (Number.isFinite(m.bits) ? m.bits : 0)));
    replace(shown,
      best && Number.isFinite(best.bits) ? h("section", { class: "card best", style: { "--colour": app.colour(best.model) } },
        h("p", {}, h("b", {}, best.model), ` predicts this text best: ${number(best.bits, 3)} bits per character`),
        h("p", { class: "quiet" }, `Perplexity ${number(best.perplexity, 1)}: on average it is as unsure as among ${count(Math.round(best.perplexity))} equally probable tokens. `, result.verdicts[0] ?? "")) : null,
      h("section", { class: "card" }, h("div", { class: "title" }, h("h2", {}, "Quality, best first"),
        h("a", { class: "button", href: `report/${result.report}`, download: "comparison.html" }, "Download the report")),
      h("div", { class: "scroll" }, h("table", {},
        h("thead", {}, h("tr", {}, ["model", "perplexity", "bits / token", "bits / character", "95 % interval", "p = 0", "numbers learnt", "size", "tokens / s"].map((t) => h("th", { scope: "col" }, t)))),
        h("tbody", {}, models.map((m) => h("tr", { "data-model": m.model },
          h("th", { scope: "row" }, h("span", { class: "lined" }, h("span", { class: "dot", style: { "--colour": app.colour(m.model) } }), m.model)),
          h("td", { "data-perplexity": m.perplexity }, number(m.perplexity, Number(m.perplexity) < 1000 ? 2 : 0)), h("td", {}, number(m.bits_per_token, 3)),
          h("td", { class: "gauge" }, h("b", {}, number(m.bits, 3)), h("i", { style: { width: Number.isFinite(m.bits) ? `${(100 * m.bits) / bars}%` : "100%", "--colour": app.colour(m.model) } })), h("td", {}, Number.isFinite(m.low) ? `${number(m.low, 3)} – ${number(m.high, 3)}` : "–"),
          h("td", {}, m.zero_share ? `${number(100 * m.zero_share, 1)} %` : "–"), h("td", {}, count(m.parameters)), h("td", {}, bytes(m.bytes)),
          h("td", {}, m.tokens_per_second ? count(Math.round(m.tokens_per_second)) : "–")))))),
      Object.entries(result.failures).map(([name, why]) => h("p", { class: "warn small" }, `${name}: ${why}`))),
      h("div", { class: "cards wide" },
        h("section", { class: "card" }, h("h2", {}, "Bits per character, with 95 % intervals"), dots(models.filter((m) => Number.isFinite(m.bits)))),
        h("section", { class: "card" }, h("h2", {}, "Who is better?"), h("ul", { class: "verdicts" }, result.verdicts.map((v) => h("li", {}, v))),
          h("p", { class: "small quiet" }, "“Better” is said where a paired test on pieces of the text says so."))));
  }

  // Figures with their intervals, a line a model.
  function dots(models) {
    const [line, left, right, width] = [30, 130, 24, usual()];
    const height = models.length * line + 44;
    const low = Math.min(...models.map((m) => (Number.isFinite(m.low) ? m.low : m.bits)));
    const high = Math.max(...models.map((m) => (Number.isFinite(m.high) ? m.high : m.bits)));
    const x = (v) => left + ((v - low) / (high - low || 1)) * (width - left - right);
    const marks = ticks(low, high, 5);
    return h("div", { class: "scroll" }, s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Bits per character of each model with its interval; the table has the figures" },
      marks.map((v) => [s("line", { class: "axis", x1: x(v), x2: x(v), y1: 4, y2: height - 40 }), s("text", { class: "faint", x: x(v), y: height - 22, "text-anchor": "middle" }, exact(Number(v.toPrecision(3))))]),
      s("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, "bits per character (less is better)"),
      models.map((m, i) => {
        const y = i * line + 18;
        const style = { stroke: app.colour(m.model), fill: app.colour(m.model) };
        return s("g", {}, s("text", { x: left - 12, y: y + 4, "text-anchor": "end" }, m.model.length > 18 ? `${m.model.slice(0, 17)}…` : m.model),
          Number.isFinite(m.low) ? s("line", { x1: x(m.low), x2: x(m.high), y1: y, y2: y, style, "stroke-width": 3, "stroke-linecap": "round", opacity: 0.5 }) : null,
          s("circle", { cx: x(m.bits), cy: y, r: 5, style }));
      })));
  }

  return { update: () => look(true), close: () => clearTimeout(timer) };
}

function bytes(n) {
  if (!Number.isFinite(n)) return "–";
  return n >= 1e6 ? `${number(n / 1e6, 1)} MB` : `${number(n / 1e3, 0)} kB`;
}
