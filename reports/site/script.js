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

// A click on a number follows its row's link, unless it ends a selection of text.
document.addEventListener("click", ({ target }) => {
  const number = target.closest?.("[data-opens] .num");
  if (number && getSelection().isCollapsed) number.parentElement.querySelector("a").click();
});

// Tips: titles become readable boxes that hovering, focus and touch show, and Escape hides.
const tip = document.createElement("div");
tip.id = "tip";
tip.setAttribute("role", "tooltip");
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll("svg title")) {
  const mark = title.closest("a") || title.parentElement;
  mark.dataset.tip = title.textContent;
  mark.setAttribute("aria-label", title.textContent);
  title.remove();
}
for (const titled of document.querySelectorAll("[title]")) {
  titled.dataset.tip = titled.title;
  titled.removeAttribute("title");
}

let owner = null;

function show(event) {
  hide();
  owner = event.target.closest?.("[data-tip]");
  if (!owner) return;
  tip.textContent = owner.dataset.tip;
  tip.hidden = false;
  owner.setAttribute("aria-describedby", "tip");
  const spread = event.type === "mouseover" && owner.matches(".curve");
  place(spread ? new DOMRect(event.clientX, event.clientY, 0, 0) : undefined);
}

function place(box = (owner.querySelector(".shape") || owner).getBoundingClientRect()) {
  const right = document.documentElement.clientWidth - tip.offsetWidth - 8;
  const left = Math.min(box.left + (box.width - tip.offsetWidth) / 2, right);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${above < 8 ? box.bottom + 8 : above}px`;
}

function hide() {
  tip.hidden = true;
  owner?.removeAttribute("aria-describedby");
  owner = null;
}

document.addEventListener("mouseover", show);
document.addEventListener("focusin", show);
document.addEventListener("focusout", hide);
document.addEventListener("scroll", () => owner && (owner === document.activeElement ? place() : hide()), true);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
});

// Cells with tips: one stop of the Tab key for each figure, in which arrow keys go on.
for (const figure of document.querySelectorAll(".heat, .findings")) {
  const cells = [...figure.querySelectorAll("[data-tip]:not(th)")];
  cells.forEach((cell, number) => (cell.tabIndex = number ? -1 : 0));
  figure.addEventListener("keydown", (event) => {
    const sign = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!sign || !cells.includes(event.target)) return;
    event.preventDefault();
    const upright = event.key === "ArrowUp" || event.key === "ArrowDown";
    const here = event.target.getBoundingClientRect();
    const ahead = (cell) => {
      const there = cell.getBoundingClientRect();
      const [along, across] = [there.left - here.left, there.top - here.top];
      return upright ? [sign * across, Math.abs(along)] : [sign * along, Math.abs(across)];
    };
    const reached = cells.map((cell) => [cell, ...ahead(cell)]).filter(([, far]) => far > 1);
    const [next] = reached.sort((a, b) => a[1] + 9 * a[2] - (b[1] + 9 * b[2]))[0] || [];
    if (!next) return;
    cells.forEach((cell) => (cell.tabIndex = cell === next ? 0 : -1));
    next.focus();
  });
}

// What is folded opens for the address that leads into it.
function unfold() {
  const inside = document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest("details");
  if (inside && !inside.open) {
    inside.open = true;
    document.getElementById(decodeURIComponent(location.hash.slice(1))).scrollIntoView();
  }
}
window.addEventListener("hashchange", unfold);
unfold();

// What reaches beyond its frame says so, until its end is seen.
for (const frame of document.querySelectorAll(".scroll")) {
  const more = () => frame.classList.toggle("more", frame.scrollWidth - frame.clientWidth - frame.scrollLeft > 8);
  frame.addEventListener("scroll", more, { passive: true });
  new ResizeObserver(more).observe(frame);
}

// The gallery: what the address asks for (#corpus=scenes&sort=drift) is shown, and the form writes the address.
const form = document.getElementById("filter");
if (form) {
  const list = document.querySelector(".gallery");
  const entries = [...list.children];
  const nothing = document.getElementById("nothing");
  let asked = new URLSearchParams();
  const filter = () => {
    if (/=|^(#all)?$/.test(location.hash)) asked = new URLSearchParams(location.hash.slice(1));
    for (const select of form.elements) if (select.name) select.value = asked.get(select.name) || "";
    const { sort: by, error, ...names } = Object.fromEntries(
      [...asked].filter(([name, value]) => value && form.elements[name]),
    );
    for (const entry of entries) {
      const other = Object.entries(names).some(([axis, name]) => entry.dataset[axis] !== name);
      entry.hidden = other || (error && !entry.dataset.error.split("|").includes(error));
    }
    const rank = (entry) => (by in entry.dataset ? Number(entry.dataset[by]) : Infinity);
    list.append(...(by ? [...entries].sort((a, b) => rank(a) - rank(b) || 0) : entries));
    const shown = entries.filter((entry) => !entry.hidden).length;
    document.getElementById("shown").value = `${shown} of ${entries.length} shown`;
    nothing.hidden = shown > 0;
  };
  form.addEventListener("change", () => {
    const wanted = [...new FormData(form)].filter(([, value]) => value);
    location.replace(`#${new URLSearchParams(wanted).toString() || "all"}`);
  });
  window.addEventListener("hashchange", filter);
  form.hidden = false;
  filter();
}
