"use strict";
// Sorts, filters and pages the tables of videos. Everything is set as text: rows may hold foreign words.
(() => {
  const SHEET = 100;
  const OUTCOME = 6;
  const compare = (column, numeric, down) => (one, other) => {
    const a = one[column], b = other[column];
    if (a === null || b === null) return (a === null) - (b === null); // what has no value comes last
    const order = numeric ? a - b : a < b ? -1 : a > b ? 1 : 0;
    return down ? -order : order;
  };
  const build = card => {
    const { columns, rows } = JSON.parse(card.querySelector("script").textContent);
    const [search, outcome] = [card.querySelector("input"), card.querySelector("select")];
    const [head, body] = [card.querySelector("thead"), card.querySelector("tbody")];
    const status = card.querySelector("[role=status]");
    const state = { column: 5, down: true, sheet: 0, found: rows };
    const texts = rows.map(row => row.join("\u0001").toLowerCase());
    for (const kind of [...new Set(rows.map(row => row[OUTCOME]))].sort()) {
      const option = document.createElement("option");
      option.textContent = option.value = kind;
      outcome.append(option);
    }
    const line = document.createElement("tr");
    columns.forEach(([title, numeric], column) => {
      const cell = document.createElement("th"), button = document.createElement("button");
      cell.scope = "col";
      if (numeric) cell.className = "figure";
      button.type = "button";
      button.textContent = title;
      button.addEventListener("click", () => {
        state.down = state.column === column ? !state.down : numeric;
        state.column = column;
        choose();
      });
      cell.append(button);
      line.append(cell);
    });
    head.append(line);
    const draw = () => {
      const last = Math.max(0, Math.ceil(state.found.length / SHEET) - 1);
      state.sheet = Math.min(Math.max(0, state.sheet), last);
      const first = state.sheet * SHEET;
      const drawn = document.createDocumentFragment();
      for (const row of state.found.slice(first, first + SHEET)) {
        const entry = document.createElement("tr");
        row.forEach((value, column) => {
          const cell = document.createElement("td");
          if (columns[column][1]) cell.className = "figure";
          cell.textContent = value === null ? "–" : value;
          entry.append(cell);
        });
        drawn.append(entry);
      }
      body.replaceChildren(drawn);
      const count = state.found.length;
      const to = Math.min(first + SHEET, count);
      status.textContent = count ? `${first + 1} to ${to} of ${count}` : "no video matches";
      [...line.children].forEach((cell, column) => {
        if (column === state.column) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      });
      card.querySelectorAll("[data-step]").forEach(button => {
        button.disabled = button.dataset.step < 0 ? state.sheet === 0 : state.sheet === last;
      });
    };
    const choose = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kind = outcome.value;
      state.found = rows.filter(
        (row, index) => (!kind || row[OUTCOME] === kind) && words.every(word => texts[index].includes(word)),
      );
      state.found.sort(compare(state.column, columns[state.column][1], state.down));
      state.sheet = 0;
      draw();
    };
    search.addEventListener("input", choose);
    outcome.addEventListener("change", choose);
    card.querySelectorAll("[data-step]").forEach(button =>
      button.addEventListener("click", () => {
        state.sheet += Number(button.dataset.step);
        draw();
      }),
    );
    card.querySelector(".controls").hidden = false;
    choose();
  };
  document.querySelectorAll(".table-of-videos").forEach(build);
})();
