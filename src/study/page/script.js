"use strict";
// The table is sorted by the column whose head is pressed; a second press turns it round. Empty cells stay last.
const table = document.querySelector("table.study");
const body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];
heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
  const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  heads.forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  const key = (row) => {
    const cell = row.cells[column];
    if (!cell) return null;
    if ("number" in cell.dataset) return cell.dataset.number === "" ? null : Number(cell.dataset.number);
    return cell.textContent;
  };
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return direction * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
  };
  [...body.rows].sort(compare).forEach((row) => body.append(row));
}));
// The filter hides rows that lack its words.
document.querySelector("#filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of body.rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  document.querySelector("#shown").textContent = words.length ? `${shown} of ${body.rows.length} rows` : "";
});
