// The library sorts; here are what it sorts by, the way back to the printed order, and what a reader is told.
for (const table of document.querySelectorAll("table.sortable")) {
  table.classList.add("is-live");
  const printed = [...table.tBodies].map((body) => [...body.rows]);
  const back = bubble.element("button", "printed order", { type: "button", className: "back", hidden: true });
  table.closest(".scroll").before(back);

  // A row bears the keys of its columns; those below it that stay with it have the same.
  table.addEventListener("sort-start", () => {
    let keys = [];
    for (const row of printed.flat()) {
      keys = row.dataset.keys?.split("|") ?? keys;
      row.querySelectorAll("td").forEach((cell, at) => { cell.dataset.sort = keys[at] ?? ""; });
    }
  }, { once: true });
  table.addEventListener("sort-end", () => {
    table.dataset.sorted = "";
    back.hidden = false;
  });
  back.addEventListener("click", () => {
    printed.forEach((rows, at) => table.tBodies[at].append(...rows));
    delete table.dataset.sorted;
    const sorted = table.querySelector("th[aria-sort]");
    sorted?.removeAttribute("aria-sort");
    sorted?.querySelector("button").focus(); // the button that had the focus goes
    back.hidden = true;
  });
}
