// Which rows and columns of all tables are shown.
for (const form of document.querySelectorAll("form.filters")) {
  const bodies = [...document.querySelectorAll(".table tbody.rows")].map((body) => body.closest("table"));
  const tables = [...new Set(bodies)];
  const told = form.querySelector("output");

  function offer(name, sort) {
    const found = new Set([...document.querySelectorAll(`.table [data-${name}]`)].map((one) => one.dataset[name]));
    form.elements[name].append(...[...found].sort(sort).map((text) => new Option(text)));
    form.elements[name].closest("label").hidden = found.size < 2;
  }
  offer("network");
  offer("method");
  offer("bits", (one, other) => other - one);
  offer("kd");

  // A place that says nothing of a question is never hidden for it.
  const fits = (place, name, wanted) =>
    !wanted[name] || place.dataset[name] === undefined || place.dataset[name] === wanted[name];

  function apply(wanted) {
    let [shown, all] = [0, 0];
    for (const table of tables) {
      const heads = [...table.tHead.rows[1].cells];
      hideColumns(table, heads.map((head) => !fits(head, "bits", wanted)));
      let title = null;
      let isEmpty = true;
      for (const body of table.tBodies) {
        if (body.classList.contains("title")) { title = body; continue; }
        const isThere = fits(body, "network", wanted);
        const rows = [...body.rows];
        for (const row of rows) {
          const isOn = isThere && ["method", "kd", "bits"].every((name) => fits(row, name, wanted))
            && !(wanted.absent && row.dataset.absent !== undefined);
          row.classList.toggle("off", !isOn);
          [shown, all] = [shown + isOn, all + 1];
        }
        const isOn = rows.some((row) => !row.classList.contains("off"));
        title.classList.toggle("off", !isOn);
        isEmpty &&= !isOn;
      }
      table.closest(".scroll").classList.toggle("off", isEmpty);
    }
    for (const figure of document.querySelectorAll("figure.table")) {
      const isEmpty = !figure.querySelector(".scroll:not(.off)");
      figure.classList.toggle("empty", isEmpty);
    }
    told.textContent = shown === all ? `all ${all} rows` : `${shown} of ${all} rows`;
  }

  function hideColumns(table, isOff) {
    for (const row of table.rows) {
      let at = 0;
      for (const cell of row.cells) {
        if (cell.hidden) { at += 1; continue; }
        const whole = Number((cell.dataset.span ??= cell.colSpan));
        const left = isOff.slice(at, at + whole).filter((off) => !off).length;
        cell.classList.toggle("off", left === 0);
        if (left) cell.colSpan = left;
        at += cell.nextElementSibling?.hidden ? 1 : whole;
      }
    }
  }

  const chosen = () => ({
    ...Object.fromEntries(["network", "method", "bits", "kd"].map((name) => [name, form.elements[name].value])),
    absent: form.elements.absent.checked,
  });
  form.addEventListener("input", () => apply(chosen()));
  form.addEventListener("reset", () => setTimeout(() => apply(chosen())));
  form.addEventListener("submit", (event) => event.preventDefault());
  // Paper shows everything.
  addEventListener("beforeprint", () => apply({}));
  addEventListener("afterprint", () => apply(chosen()));
  form.hidden = false;
}
