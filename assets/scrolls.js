// What is wider than its column scrolls by itself (book.css); mark it, so that its reader is told.
const WIDE = "figure, table.table, div.cell_output, div.math, pre";
const mark = () => {
  for (const box of document.querySelectorAll(WIDE)) {
    box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth + 1);
  }
};
addEventListener("load", () => {
  mark();
  new ResizeObserver(mark).observe(document.body); // a fold that opens, a phone that is turned, formulas that are set
});
