"""The style sheet of HTML reports."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --dim: #5c6670; --paper: #fdfdfc;
  --rule: #d5d9dd; --shade: #f1f3f4; --heat: 214 69 38; --most: 0.75; --accent: #0b62a3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --dim: #9aa4ad; --paper: #15181b;
  --rule: #363c42; --shade: #1f2428; --heat: 255 122 82; --most: 0.5; --accent: #6cb6f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0 1rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 0.8rem; padding-bottom: 0.3rem;
  border-bottom: 2px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.6rem 0 0.4rem; }
p, ul { margin: 0.5rem 0; max-width: 48rem; }
h1, h2, h3, p, li, figcaption { overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; }
.lead { font-size: 1.15rem; }
.note { color: var(--dim); font-size: 0.85rem; }
pre, blockquote { background: var(--shade); border-radius: 6px; padding: 0.7rem 0.9rem;
  margin: 0.5rem 0; max-width: 48rem; white-space: pre-wrap; overflow-wrap: anywhere; }
pre { font-size: 0.85rem; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem; text-align: right; white-space: nowrap; }
th { color: var(--dim); font-weight: 600; border-bottom: 1px solid var(--rule); }
th.name, td.name { text-align: left; }
td.name + td.name { white-space: normal; }
td span { display: inline-block; max-width: 18rem; white-space: normal; overflow-wrap: break-word; }
th:first-child, td:first-child { padding-left: 0.2rem; position: sticky; left: 0;
  background: var(--paper); }
tbody tr:nth-child(even) td { background: var(--shade); }
tr.apart td { font-style: italic; color: var(--accent); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr));
  gap: 1.2rem; margin: 1.2rem 0; }
figure { margin: 0; min-width: 0; }
figure svg { width: 100%; height: auto; max-width: 34rem; display: block; }
figcaption { color: var(--dim); font-size: 0.85rem; }
.heat { line-height: 1.9; overflow-wrap: anywhere; max-width: 60rem; }
.heat span { unicode-bidi: plaintext; /* each in its own direction */
  background: rgb(var(--heat) / calc(var(--c) * var(--most))); border-radius: 3px;
  padding: 0.1rem 0.05rem; white-space: pre-wrap; }
.legend span { padding: 0.1rem 0.5rem; }
@media (max-width: 40rem) { body { font-size: 15px; } th, td { padding: 0.25rem 0.5rem; }
  h1 { font-size: 1.35rem; } }
@media print { :root { --ink: #000; --dim: #444; --paper: #fff; --rule: #aaa; --shade: #f4f4f4;
  --most: 0.75; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; }
  .scroll { overflow: visible; } table { font-size: 8pt; } th, td { padding: 0.1rem 0.4rem; }
  figure, blockquote, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .heat span { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
