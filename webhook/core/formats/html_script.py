"""The script of the HTML page: sorts and filters the table of findings, which is whole without it.

It only ever reads text from the page and writes text into it, so nothing in a report can become
markup. It is Python because the core reads no files.
"""

from typing import Final

SCRIPT: Final = r"""
"use strict";
(() => {
  const table = document.querySelector(".found");
  if (!table) return;
  const form = document.querySelector("form");
  const output = form.querySelector("output");
  const body = table.tBodies[0];
  const words = (node) => node.textContent.trim().replace(/\s+/g, " ");
  const rows = Array.from(body.rows, (row, place) => ({
    row,
    place,
    cells: Array.from(row.cells, words),
    text: words(row).toLowerCase(),
  }));
  const severity = { deny: 0, warn: 1, audit: 2 };
  const collator = new Intl.Collator("en", { numeric: true });

  const fill = (select) => {
    const column = Number(select.dataset.column);
    const values = [...new Set(rows.map((each) => each.cells[column]))].sort(collator.compare);
    for (const value of values) {
      const option = document.createElement("option");
      option.value = option.textContent = value;
      select.append(option);
    }
  };
  const selects = [...form.querySelectorAll("select")];
  selects.forEach(fill);

  const filter = () => {
    const query = form.elements.query.value.trim().toLowerCase().replace(/\s+/g, " ");
    const actions = new Set(
      [...form.querySelectorAll("[name=action]:checked")].map((box) => box.value),
    );
    const wanted = selects.filter((select) => select.value);
    let shown = 0;
    for (const { row, cells, text } of rows) {
      const fits =
        actions.has(cells[0]) &&
        text.includes(query) &&
        wanted.every((select) => cells[Number(select.dataset.column)] === select.value);
      row.hidden = !fits;
      shown += fits;
    }
    const number = (count) => count.toLocaleString("en");
    output.textContent = `${number(shown)} of ${number(rows.length)} shown`;
  };

  const keys = (column) =>
    column === 0 ? (each) => severity[each.cells[0]] : (each) => each.cells[column];
  const sort = (header, column) => {
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = keys(column);
    const compare = column === 0 ? (a, b) => a - b : collator.compare;
    const sorted = [...rows].sort(
      (a, b) => (descending ? -1 : 1) * compare(key(a), key(b)) || a.place - b.place,
    );
    body.append(...sorted.map((each) => each.row));
  };
  Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words(header);
    button.addEventListener("click", () => sort(header, column));
    header.replaceChildren(button);
  });

  for (const link of document.querySelectorAll("a[data-column]")) {
    link.addEventListener("click", () => {
      form.reset();
      const select = selects.find((each) => each.dataset.column === link.dataset.column);
      select.value = words(link);
      filter();
    });
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector("button").addEventListener("click", () => {
    form.reset();
    filter();
  });
  form.hidden = false;
  filter();
})();
"""
