// What is behind a cell of a table: how many values, their interval, each of them, and its job.
{
  const { element } = bubble;
  // A cell has values of its own, or those of its row.
  const TOLD = "td[data-n], tr[data-n] > td:not(:empty, [hidden])";

  function about(cell) {
    const row = cell.parentElement;
    const column = cell.closest("table").tHead.rows[1].cells[cell.cellIndex];
    const title = [...row.querySelectorAll("th"), column].map((one) => plain(one)).filter(Boolean);
    const { n, interval, values } = { ...row.dataset, ...cell.dataset };
    const told = [element("b", title.join(" · ")), element("p", interval ? `n = ${n}, 95 % interval ${interval}` : `n = ${n}`)];
    const figure = cell.closest("figure");
    const mark = cell.querySelector("[data-mark]");
    if (mark) told.push(element("p", `${mark.textContent} ${figure.dataset.marks.split("|")[mark.dataset.mark]}`));
    return values ? [...told, listed(values, jobs.names(figure))] : told;
  }

  // Values with their jobs; the number of a job stands before one that is not of the next.
  function listed(values, names) {
    const list = element("ul", "");
    let number = -1;
    for (const value of values.split("|")) {
      const [, given, text] = value.match(/^(?:(\d+)=)?(.*)$/s);
      number = given === undefined ? number + 1 : Number(given);
      const [job] = names[number].split(" ", 1);
      const item = element("li", `${names[number].slice(job.length + 1)}: ${text} `);
      item.append(jobs.link(job));
      list.append(item);
    }
    return list;
  }

  function plain(cell) {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll("sup, .unseen").forEach((one) => one.remove());
    return copy.textContent.trim();
  }
  bubble.on(TOLD, about);

  // One stop of the tab key per table; arrows go on from there.
  for (const table of document.querySelectorAll(".table table")) {
    table.querySelectorAll(TOLD).forEach((cell, at) => { cell.tabIndex = at ? -1 : 0; });
  }
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  addEventListener("keydown", (event) => {
    const cell = event.target.closest?.(TOLD);
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
  const isStop = (cell) => cell?.matches(TOLD) && cell.offsetParent !== null;
}
