"use strict";
(() => {
  const table = document.getElementById("table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const cards = Array.from(document.querySelectorAll(".card"));
  const headers = Array.from(table.tHead.rows[0].cells);
  const search = document.getElementById("search");
  const state = document.getElementById("status");
  const order = document.getElementById("sort");
  const shown = document.getElementById("shown");
  document.getElementById("controls").hidden = false;

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = new Set();
    let count = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.words.includes(word)) &&
        (!state.value || row.dataset.status === state.value);
      row.hidden = !fits;
      if (fits) { count += 1; chosen.add(row.dataset.card); }
    }
    for (const card of cards) card.hidden = !chosen.has(card.dataset.card);
    shown.textContent = count === rows.length ? "" : `${count} of ${rows.length} shown`;
  };

  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  // What is not known comes last, whichever way it is sorted.
  const sort = (column, way) => {
    const key = (row) => row.cells[column].dataset.key;
    const sorted = column < 0 ? rows : rows.slice().sort((a, b) =>
      !key(a) || !key(b) ? Number(!key(a)) - Number(!key(b)) : way * compare(key(a), key(b)));
    body.append(...sorted);
    headers.forEach((header, index) => {
      if (index === column) header.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      else header.removeAttribute("aria-sort");
    });
    order.value = column < 0 ? "" : String(column);
  };

  headers.forEach((header, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => {
      sort(index, header.getAttribute("aria-sort") === "ascending" ? -1 : 1);
    });
    header.replaceChildren(button);
  });
  order.addEventListener("change", () => sort(order.value === "" ? -1 : Number(order.value), 1));
  search.addEventListener("input", filter);
  state.addEventListener("change", filter);
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  filter(); // a browser may have kept what was typed before a reload
})();
