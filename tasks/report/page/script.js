"use strict";
(() => {
  const { made, expires, reload } = document.body.dataset;
  const minutes = () => Math.floor((Date.now() - Date.parse(made)) / 60000);
  const words = (count) => count < 120 ? `${count} minutes` : count < 2880 ? `${Math.floor(count / 60)} hours` : `${Math.floor(count / 1440)} days`;
  const stale = document.getElementById("stale");
  const look = () => {
    if (minutes() >= 1) document.getElementById("ago").textContent = `, ${words(minutes())} ago`;
    if (Date.now() < Date.parse(expires)) return;
    document.getElementById("top").classList.add("outdated");
    document.title = `out of date: ${document.title.replace(/^out of date: /, "")}`;
    const fault = stale.dataset.fault ??= stale.textContent;
    stale.textContent = `This report is ${words(minutes())} old. Whatever it says, look why there is no newer one. ${fault}`;
    stale.hidden = false;
  };
  look();
  setInterval(look, 60000);
  if (Number(reload) > 0 && location.protocol.startsWith("http")) setTimeout(() => location.reload(), Number(reload) * 1000);

  const list = document.getElementById("apps");
  if (!list) return;
  const rows = Array.from(list.children);
  const problems = Array.from(document.querySelectorAll(".wrong > li"));
  const [search, state, order, shown] = ["search", "status", "sort", "shown"].map((id) => document.getElementById(id));
  const buttons = new Map();
  document.getElementById("controls").hidden = false;

  const filter = () => {
    const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = new Set();
    for (const row of rows) {
      const fits = terms.every((term) => row.dataset.words.includes(term)) &&
        (!state.value || row.dataset.status.split(" ").includes(state.value));
      row.hidden = !fits;
      if (fits) chosen.add(`#${row.id}`);
    }
    for (const each of problems) {
      each.hidden = !chosen.has(decodeURIComponent(each.querySelector("a").getAttribute("href"))) &&
        !chosen.has(each.querySelector("a").getAttribute("href"));
    }
    shown.textContent = chosen.size === rows.length ? "" : `${chosen.size} of ${rows.length} apps`;
    for (const [status, button] of buttons) button.setAttribute("aria-pressed", String(status === state.value));
  };

  // What is not known comes last, whichever way the list is sorted.
  const sort = () => {
    const name = order.value;
    const descends = name === "size" || name === "added";
    const key = (row) => row.dataset[name];
    const compare = (a, b) => name === "app" ? key(a).localeCompare(key(b)) : (key(a) - key(b)) * (descends ? -1 : 1);
    list.append(...(!name ? rows : rows.slice().sort((a, b) =>
      !key(a) || !key(b) ? Number(!key(a)) - Number(!key(b)) : compare(a, b))));
  };

  const fields = { q: search, status: state, sort: order };
  const keep = () => {
    const query = new URLSearchParams();
    for (const [name, field] of Object.entries(fields)) if (field.value) query.set(name, field.value);
    history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`);
  };
  const changed = () => { filter(); sort(); keep(); };
  const given = new URLSearchParams(location.search);
  for (const [name, field] of Object.entries(fields)) if (given.has(name)) field.value = given.get(name);
  for (const item of document.querySelectorAll(".legend li")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...item.childNodes);
    button.addEventListener("click", () => {
      state.value = state.value === item.dataset.status ? "" : item.dataset.status;
      changed();
    });
    item.append(button);
    buttons.set(item.dataset.status, button);
  }
  search.addEventListener("input", changed);
  state.addEventListener("change", changed);
  order.addEventListener("change", changed);
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  filter();
  if (order.value) sort();

  const open = () => {
    const target = document.querySelector(":target > details");
    if (!target) return;
    target.open = true;
    target.parentElement.scrollIntoView();
  };
  window.addEventListener("hashchange", open);
  open();

  // The value below the pointer is read from the line itself: one unit across is a day, the height is the share of the top.
  const size = (bytes) => {
    const unit = Math.min(5, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
    return `${(bytes / 1000 ** unit).toPrecision(3)} ${["B", "kB", "MB", "GB", "TB", "PB"][unit]}`;
  };
  const points = (path) => {
    let [x, y] = [0, 0];
    return path.match(/[Ml][^Ml]+/g).map((step) => {
      const [right, down] = step.slice(1).split(" ").map(Number);
      [x, y] = step[0] === "M" ? [right, down] : [x + right, y + down];
      return [x, y];
    });
  };
  list.addEventListener("pointermove", (event) => {
    const svg = event.target.closest("svg.size");
    if (!svg) return;
    const box = svg.getBoundingClientRect();
    const day = (event.clientX - box.left) / box.width * 127 - 1;
    const [x, y] = points(svg.querySelector(".line").getAttribute("d"))
      .reduce((best, point) => Math.abs(point[0] - day) < Math.abs(best[0] - day) ? point : best);
    const ago = Number(svg.dataset.today) - x;
    svg.closest("figure").querySelector(".value").textContent =
      `${ago ? `${ago} days before` : "that day"}: ${size((500 - y) / 500 * Number(svg.dataset.top))}`;
  });
  for (const code of document.querySelectorAll(".commands code")) {
    if (!navigator.clipboard) break; // not on pages of plain http
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "copy";
    button.setAttribute("aria-label", `copy ${code.textContent}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    });
    code.after(button);
  }
})();
