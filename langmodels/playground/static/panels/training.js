// Training, live: loss, norm of the gradient and samples of a small network, step by step.

import { chart } from "../chart.js";
import { field, h, replace, select, slider, trouble } from "../dom.js";
import { count, exact, number } from "../format.js";
import * as state from "../state.js";

export const training = { key: "training", title: "Training", open };

const CELLS = [{ value: "rnn", label: "RNN (tanh)" }, { value: "relu-rnn", label: "RNN (relu)" }, { value: "gru", label: "GRU" }, { value: "lstm", label: "LSTM" }];

function open(app, place) {
  let asked = 0; // how often a training was begun or given up
  let beginning = false;
  let course = null;
  let losses = [];
  let norms = [];
  let before = [];
  let timer = 0;
  // "hidden" and "cell" in links are of the models, and of the chain rule.
  const cell = () => state.oneOf("kind", CELLS.map((each) => each.value));
  const optimizer = () => state.oneOf("optimizer", ["adam", "sgd"]);
  const units = () => state.wholeOf("units", 32, 1, 128);
  const rate = () => state.numberOf("rate", 0.01, 1e-4, 100);
  const steps = () => state.wholeOf("steps", 16, 1, 128);
  const knob = (name, plain) => (v) => state.set({ [name]: v === plain ? "" : v });
  const clip = h("input", { type: "checkbox", id: "clip", onchange: () => state.set({ clip: clip.checked ? "" : "off" }) });
  clip.checked = state.get("clip") !== "off";
  const controls = h("div", { class: "sliders" },
    field("Cell", select(CELLS, cell(), (v) => state.set({ kind: v }))),
    field("Optimizer", select(["adam", "sgd"], optimizer(), (v) => state.set({ optimizer: v }))),
    slider("Units", { min: 4, max: 128, step: 4, value: units(), show: String, change: knob("units", 32) }),
    slider("Learning rate", { min: -4, max: 2, step: 0.1, value: Math.log10(rate()), show: (v) => exact(Number((10 ** v).toPrecision(2))), change: (v) => state.set({ rate: Number((10 ** v).toPrecision(2)) }) }),
    slider("Steps back in time", { min: 1, max: 64, step: 1, value: steps(), show: String, change: knob("steps", 16) }));
  const start = h("button", { class: "primary", onclick: begin }, "Train");
  const pause = h("button", { onclick: turn, disabled: true }, "Stop");
  const reset = h("button", { onclick: clear, disabled: true }, "Reset");
  const status = h("p", { class: "quiet number", role: "status" }, "Nothing is being trained.");
  const loss = h("section", { class: "card", id: "loss" });
  const norm = h("section", { class: "card", id: "norm" });
  const samples = h("section", { class: "card", id: "samples" });
  replace(place,
    h("p", { class: "lead" }, "A small network learns the text while you watch. Raise the learning rate, switch clipping off, and see what becomes of the gradient."),
    h("section", { class: "card" }, controls,
      h("div", { class: "row" }, h("label", { class: "check", for: "clip" }, clip, "Clip the gradient at norm 1"), start, pause, reset), status),
    h("div", { class: "cards wide" }, loss, norm), samples);

  async function begin() {
    if (beginning) return; // the server keeps one training for each visitor
    const mine = (asked += 1);
    beginning = true;
    clearTimeout(timer);
    try {
      const begun = await app.ask("train", { cell: cell(), optimizer: optimizer(), hidden: units(), rate: rate(), steps: steps(), clip: clip.checked ? 1 : null });
      if (mine !== asked) return;
      if (losses.length) before = losses;
      losses = []; norms = [];
      course = begun;
    } catch (error) { trouble(error); } finally { beginning = false; }
    follow();
  }
  async function turn() {
    const mine = asked;
    try {
      const set = course.status === "running" ? "stop" : "go on";
      take(await app.ask("course", { key: course.key, since: losses.length, set }));
      if (mine === asked) follow();
    } catch (error) { if (mine === asked) trouble(error); }
  }
  async function clear() {
    asked += 1;
    clearTimeout(timer);
    const gone = course;
    course = null; losses = []; norms = []; before = [];
    draw();
    try { if (gone?.status === "running") await app.ask("course", { key: gone.key, since: 0, set: "stop" }); } catch { /* it is gone already */ }
  }
  function take(record) {
    if (!course || record.key !== course.key || record.from !== losses.length) return;
    course = record;
    losses = losses.concat(record.losses.map(Number));
    norms = norms.concat(record.norms.map(Number));
    draw();
  }
  function follow() {
    clearTimeout(timer);
    draw();
    if (course?.status !== "running") return;
    const mine = asked;
    timer = setTimeout(async () => {
      try {
        const record = await app.ask("course", { key: course.key, since: losses.length });
        if (mine !== asked) return;
        take(record);
        follow();
      } catch (error) {
        if (mine !== asked) return;
        course = { ...course, status: "stopped", note: error.message };
        draw();
        trouble(error);
      }
    }, 400);
  }

  function draw() {
    const running = course?.status === "running";
    pause.disabled = !course || !(running || course.status === "stopped");
    pause.textContent = course?.status === "stopped" ? "Go on" : "Stop";
    reset.disabled = !course;
    start.textContent = course ? "Train anew" : "Train";
    status.className = course?.status === "failed" ? "warn number" : "quiet number";
    status.textContent = !course ? "Nothing is being trained."
      : `Step ${count(losses.length)}${losses.length ? `: loss ${number(losses.at(-1), 3)} nats, perplexity ${number(Math.exp(losses.at(-1)), 1)}, gradient ${exact(Number(norms.at(-1).toPrecision(3)))}` : ""}. ${course.note}`;
    status.dataset.step = losses.length;
    const smooth = mean(losses, 20);
    replace(loss, h("h2", {}, "Loss"), losses.length < 2 ? h("p", { class: "quiet" }, "Nats a token, one point a step.") : chart({
      series: [{ name: "loss, mean of 20 steps", colour: "var(--m0)", points: smooth, dashed: 0 }, ...(before.length ? [{ name: "the training before", colour: "var(--dim)", points: mean(before, 20), dashed: 1 }] : [])],
      x: "step", y: "nats a token", label: `The loss over ${losses.length} steps` }));
    replace(norm, h("h2", {}, "Norm of the gradient"), norms.length < 2 ? h("p", { class: "quiet" }, "Before clipping.") : chart({
      series: [{ name: "before clipping", colour: "var(--m1)", points: norms.map((v, i) => [i + 1, v]), dashed: 0 },
        ...(course?.clip ? [{ name: "what is left of it", colour: "var(--m2)", points: norms.map((v, i) => [i + 1, Math.min(v, course.clip)]), dashed: 1 }] : [])],
      x: "step", y: "norm", log: true, label: `The norm of the gradient over ${norms.length} steps` }));
    replace(samples, h("h2", {}, "Samples as it learns"), course?.samples?.length
      ? h("ul", { class: "samples" }, course.samples.toReversed().map((each) => h("li", {}, h("span", { class: "quiet small" }, `step ${count(each.step)}`), h("p", { ...app.written }, each.text || "(it ends at once)"))))
      : h("p", { class: "quiet" }, "Every hundred steps."));
  }

  return { update: draw, close: () => clearTimeout(timer) };
}

function mean(values, n) {
  let sum = 0;
  return values.map((v, i) => {
    sum += v - (i >= n ? values[i - n] : 0);
    return [i + 1, sum / Math.min(i + 1, n)];
  });
}
