// What is behind a cell of a table: how many values, their interval, each of them, and its run.
{
  const pages = document.body.dataset.pages;
  const { element } = bubble;

  function about(cell) {
    const row = cell.parentElement;
    const column = cell.closest("table").tHead.rows[1].cells[cell.cellIndex];
    const title = [...row.querySelectorAll("th"), column].map((one) => plain(one)).filter(Boolean);
    const { n, interval, values } = cell.dataset;
    const head = [element("b", title.join(" · ")), element("p", interval ? `${n}, 95 % interval ${interval}` : n)];
    if (!values) return head;
    const list = element("ul", "");
    for (const value of values.split("|")) {
      const [name, text, run] = value.split(";");
      const item = element("li", `${name}: ${text} `);
      const isThere = pages && text !== "missing";
      item.append(isThere ? element("a", run, { href: `${pages}${run}.html` }) : element("code", run));
      list.append(item);
    }
    return [...head, list];
  }

  function plain(cell) {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll("sup, .unseen").forEach((one) => one.remove());
    return copy.textContent.trim();
  }
  bubble.on("td[data-n]", about);

  // One stop of the tab key per table; arrows go on from there.
  const focusable = (table) => [...table.querySelectorAll("td[data-n]")];
  for (const table of document.querySelectorAll(".table table")) {
    focusable(table).forEach((cell, at) => { cell.tabIndex = at ? -1 : 0; });
  }
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  addEventListener("keydown", (event) => {
    const cell = event.target.closest?.("td[data-n]");
    const step = cell && steps[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...cell.closest("table").rows];
    let [row, column, next] = [rows.indexOf(cell.parentElement), cell.cellIndex, cell];
    do {
      [row, column] = [row + step[0], column + step[1]];
      next = rows[row]?.cells[column];
    } while (!isStop(next) && rows[row] && (step[0] || next));
    if (!isStop(next)) return;
    [cell.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  });
  const isStop = (cell) => cell?.dataset.n !== undefined && cell.offsetParent !== null;
}
