// A row of units as a picture: blue below zero, red above.

import { h } from "./dom.js";
import { number } from "./format.js";

// `told` is called with what is under the pointer, as a sentence.
export function strip(values, { name = "the state", told = null, most = Math.max(1, ...values.map(Math.abs)) } = {}) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const canvas = h("canvas", {
    class: "strip", width: values.length, height: 1, role: "img", "data-first": values[0], title: told ? null : `${name}: mean ${number(mean)}`,
    onpointermove: told && ((event) => {
      const box = canvas.getBoundingClientRect();
      const i = Math.max(0, Math.min(values.length - 1, Math.floor(((event.clientX - box.left) / box.width) * values.length)));
      told(`${name}: unit ${i + 1} is at ${number(values[i])}`);
    }),
    "aria-label": `${name}: mean ${number(mean)}, from ${number(Math.min(...values))} to ${number(Math.max(...values))}`,
  });
  const context = canvas.getContext("2d");
  const image = context.createImageData(values.length, 1);
  const style = getComputedStyle(document.documentElement);
  const [hot, cool] = ["--hot", "--cool"].map((n) => style.getPropertyValue(n).split(",").map(Number));
  values.forEach((v, i) => image.data.set([...(v < 0 ? cool : hot), Math.round(255 * Math.min(1, Math.abs(v) / most))], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}
