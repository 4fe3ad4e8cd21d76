"use strict";

// Sorting: headings become buttons; rows move within their group, the reference row stays on top.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const first = heading.dataset.first || "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const direction = heading.getAttribute("aria-sort") === first ? other : first;
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction);
      for (const body of table.tBodies) sort(body, column, direction === "ascending" ? 1 : -1);
    });
  });
}

function sort(body, column, sign) {
  const rows = [...body.rows].filter((row) => !row.matches(".group, .reference"));
  const value = (row) => row.cells[column].dataset.value;
  const compare = (a, b) => {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    const difference = a - b;
    return sign * (Number.isNaN(difference) ? a.localeCompare(b) : difference);
  };
  body.append(...rows.sort((a, b) => compare(value(a), value(b))));
}

// The gallery's filter.
const form = document.getElementById("filter");
if (form) {
  const entries = [...document.querySelectorAll(".gallery > li")];
  const filter = () => {
    const wanted = Object.entries(Object.fromEntries(new FormData(form)));
    for (const entry of entries) entry.hidden = wanted.some(([axis, name]) => name && entry.dataset[axis] !== name);
    const shown = entries.filter((entry) => !entry.hidden).length;
    document.getElementById("shown").value = `${shown} of ${entries.length} shown`;
  };
  form.addEventListener("change", filter);
  form.hidden = false;
  filter();
}
