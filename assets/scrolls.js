// What is wider than its column scrolls by itself (book.css); mark it, so that its reader is told.
const WIDE = "figure, table.table, div.cell_output, div.math, pre";
const mark = () => {
  for (const box of document.querySelectorAll(WIDE)) {
    box.classList.toggle("scrolls", box.scrollWidth > box.clientWidth + 1);
  }
};
// plotly takes the width of its column when it draws, before a scroll bar or a margin may have narrowed it
const fit = () => {
  const wide = (plot) => plot.scrollWidth > plot.parentElement.clientWidth + 1;
  if ([...document.querySelectorAll(".js-plotly-plot")].some(wide)) dispatchEvent(new Event("resize"));
};
addEventListener("DOMContentLoaded", () => {
  new ResizeObserver(mark).observe(document.body); // a fold that opens, a phone that is turned, formulas that are set
  document.fonts.ready.then(mark); // other letters are wider in a box that stays as it is
});
addEventListener("load", mark, true); // a picture, and the page with all of them
addEventListener("load", fit);
