// The library sorts; here are the way back to the printed order, and what a reader is told.
for (const table of document.querySelectorAll("table.sortable")) {
  table.classList.add("is-live");
  const printed = [...table.tBodies].map((body) => [...body.rows]);
  const back = bubble.element("button", "printed order", { type: "button", className: "back", hidden: true });
  table.closest(".scroll").before(back);
  table.addEventListener("sort-end", () => {
    table.dataset.sorted = "";
    back.hidden = false;
  });
  back.addEventListener("click", () => {
    printed.forEach((rows, at) => table.tBodies[at].append(...rows));
    delete table.dataset.sorted;
    table.querySelector("th[aria-sort]")?.removeAttribute("aria-sort");
    back.hidden = true;
  });
}
