"""The style sheet of the HTML page. It is Python because the core reads no files.

Text keeps a contrast of 4.5 to 1 with its ground, light and dark; no meaning is in colour alone.
"""

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #1c2126; --soft: #565e68; --line: #dfe3e8;
  --deny: #b3261e; --warn: #8a5700; --audit: #2a5db0; --allow: #2e6b3f; --link: #1f56a8;
  --deny-bar: #c9473f; --warn-bar: #c98a1b; --audit-bar: #5b88cf; --track: #e9ecf0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151a; --card: #1a1f26; --ink: #e6e9ed; --soft: #a3acb8; --line: #303843;
    --deny: #ff9a92; --warn: #f0bd5e; --audit: #98bcf7; --allow: #8fd0a3; --link: #98bcf7;
    --deny-bar: #e5695f; --warn-bar: #d9a13c; --audit-bar: #6f9be0; --track: #29303a;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
header, main, footer { max-width: 78rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.25rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0; font-weight: 650; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 0 0 .75rem; font-weight: 650; }
h3 { font-size: .95rem; margin: 0 0 .6rem; font-weight: 600; }
p { margin: 0 0 .5rem; }
a { color: var(--link); text-underline-offset: .15em; }
code {
  font: .92em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .5rem 1rem; }
.lead { font-size: 1.05rem; margin: .35rem 0 0; }
.soft { color: var(--soft); }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.1rem 1.25rem;
}
section { margin-top: 1.75rem; }
.numbers {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr));
  margin: 0;
}
.numbers div { display: flex; flex-direction: column-reverse; }
.numbers dt { color: var(--soft); font-size: .875rem; }
.numbers dd {
  margin: 0; font-size: 1.8rem; line-height: 1.2; font-weight: 600;
  font-variant-numeric: tabular-nums;
}
.deny { color: var(--deny); } .warn { color: var(--warn); }
.audit { color: var(--audit); } .allow { color: var(--allow); }
.unread { border-left: 4px solid var(--deny-bar); }
.unread ul { margin: .25rem 0 0; padding-left: 1.2rem; }
.unread li { overflow-wrap: anywhere; }
.charts { display: grid; gap: 1rem; grid-template-columns: 14rem 1fr 1fr; }
@media (max-width: 60rem) { .charts { grid-template-columns: 1fr; } }
figure { margin: 0; }
.ring { display: block; width: 9.5rem; margin: .25rem auto .75rem; }
.ring text { fill: var(--ink); font-size: 9px; font-weight: 600; text-anchor: middle; }
.ring circle { fill: none; stroke: var(--track); stroke-width: 5; }
.ring .deny { stroke: var(--deny-bar); } .ring .warn { stroke: var(--warn-bar); }
.ring .audit { stroke: var(--audit-bar); }
.legend { width: 100%; border-collapse: collapse; font-size: .9rem; }
.legend th { text-align: left; font-weight: 400; padding: .15rem 0; }
.legend td { text-align: right; font-variant-numeric: tabular-nums; }
.key {
  display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .5rem;
}
.key.deny { background: var(--deny-bar); } .key.warn { background: var(--warn-bar); }
.key.audit { background: var(--audit-bar); }
.bars { width: 100%; border-collapse: collapse; font-size: .87rem; table-layout: fixed; }
.bars caption { text-align: left; font-weight: 600; font-size: .95rem; padding-bottom: .5rem; }
.bars th { font-weight: 400; text-align: left; width: 52%; padding: .18rem .6rem .18rem 0;
  overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.bars td:last-child { width: 3.2rem; text-align: right; font-variant-numeric: tabular-nums; }
.bars a { color: inherit; text-decoration-color: var(--line); }
.bars a:hover { text-decoration-color: currentColor; }
.bars svg {
  display: block; width: 100%; height: .8rem; border-radius: 3px; background: var(--track);
}
.bars .deny { fill: var(--deny-bar); } .bars .warn { fill: var(--warn-bar); }
.bars .audit { fill: var(--audit-bar); }
details summary { cursor: pointer; color: var(--link); font-size: .9rem; padding: .35rem 0; }
form { display: flex; flex-wrap: wrap; gap: .75rem 1rem; align-items: end; margin-bottom: 1rem; }
form[hidden] { display: none; }
form label, legend { font-size: .82rem; color: var(--soft); display: block; padding: 0; }
fieldset {
  border: 0; margin: 0; padding: 0; display: flex; gap: .9rem;
}
fieldset label { color: var(--ink); font-size: .9rem; line-height: 2.1rem; }
input[type=search], select, form button {
  font: inherit; color: inherit; background: var(--card); border: 1px solid var(--soft);
  border-radius: 6px;
  padding: .3rem .55rem; min-height: 2.1rem; max-width: 12rem;
}
input[type=search] { width: 12rem; }
form button { cursor: pointer; }
output { margin-left: auto; color: var(--soft); font-variant-numeric: tabular-nums; }
.found { width: 100%; border-collapse: collapse; table-layout: fixed; }
.found thead th {
  position: sticky; top: 0; background: var(--card); text-align: left; font-size: .82rem;
  font-weight: 600;
  color: var(--soft); padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line);
}
.found th:nth-child(1) { width: 5.5rem; } .found th:nth-child(2) { width: 12rem; }
.found th:nth-child(3) { width: 11rem; } .found th:nth-child(4) { width: 14rem; }
.found td { vertical-align: top; padding: .6rem .75rem .6rem 0;
  border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
.found th button {
  font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer;
}
.found th button::after { content: "\\2195"; margin-left: .35rem; opacity: .45; }
.found th[aria-sort=ascending] button::after { content: "\\2191"; opacity: 1; }
.found th[aria-sort=descending] button::after { content: "\\2193"; opacity: 1; }
.found .action { font-weight: 600; }
.found .kind, .found .slug { color: var(--soft); font-size: .88rem; display: block; }
.found .message { display: block; }
.found .detail, .found .field, .found .place {
  color: var(--soft); font-size: .88rem; display: block;
}
.found .command {
  font-size: .82rem; display: block; margin-top: .25rem; overflow-wrap: anywhere; user-select: all;
}
.found tr[hidden] { display: none; }
@media (max-width: 48rem) {
  .found thead { display: none; }
  .found, .found tbody, .found tr, .found td { display: block; width: auto; }
  .found tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  .found td { border: 0; padding: .1rem 0; }
}
.rule + .rule { margin-top: 1rem; border-top: 1px solid var(--line); padding-top: 1rem; }
.rule h3 span { font-weight: 400; color: var(--soft); }
.rule p { max-width: 48rem; }
footer { padding-top: 2rem; padding-bottom: 2.5rem; font-size: .85rem; color: var(--soft); }
@media print {
  :root {
    color-scheme: light;
    --ground: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --link: #000;
    --deny: #8c1d18; --warn: #6b4400; --audit: #1d4a91; --allow: #1f5230;
    --deny-bar: #c9473f; --warn-bar: #c98a1b; --audit-bar: #5b88cf; --track: #eee;
  }
  body { font-size: 10pt; }
  form, .skip, .found th button::after { display: none; }
  .found thead { display: table-header-group; }
  .found thead th { position: static; }
  .found tr, .rule, figure { break-inside: avoid; }
  svg, .key { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
