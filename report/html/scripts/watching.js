// A page that loads itself anew keeps what its reader has chosen, and waits while it is being read.
{
  const PERIOD_MS = 30000;
  const QUIET_MS = 10000;
  const key = `state ${location.pathname}`;
  const form = document.querySelector("form.filters");
  const tables = [...document.querySelectorAll("table.sortable")];
  const folds = [...document.querySelectorAll("details")];
  const nameOf = (fold) => `${fold.closest("[id]")?.id} ${fold.querySelector("summary").textContent}`;

  // What is at the top of the window, and how far above it begins.
  function place() {
    const named = [...document.querySelectorAll("main [id]")].filter((one) => one.getClientRects().length);
    const above = named.filter((one) => one.getBoundingClientRect().top <= 1).at(-1);
    return above ? [above.id, above.getBoundingClientRect().top] : null;
  }

  function keep() {
    const sorted = tables.flatMap((table, at) => {
      const head = table.querySelector("th[aria-sort]");
      return head ? [[at, head.cellIndex, head.getAttribute("aria-sort")]] : [];
    });
    const chosen = form ? [...form.elements].filter((one) => one.name).map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value]) : [];
    const state = { place: place(), open: folds.filter((fold) => fold.open).map(nameOf), sorted, chosen };
    try { sessionStorage.setItem(key, JSON.stringify(state)); } catch { /* not kept, then */ }
  }

  function restore({ place: [id, top] = [], open, sorted, chosen }) {
    for (const [name, value] of chosen) {
      const one = form?.elements[name];
      if (one) one[one.type === "checkbox" ? "checked" : "value"] = value;
    }
    form?.dispatchEvent(new Event("input"));
    for (const fold of folds) if (open.includes(nameOf(fold))) fold.open = true;
    for (const [at, column, direction] of sorted) {
      const head = tables[at]?.tHead.rows[1].cells[column];
      head?.click();
      if (direction === "ascending") head?.click();
    }
    const back = () => { if (id) scrollBy({ top: document.getElementById(id)?.getBoundingClientRect().top - top, behavior: "instant" }); };
    setTimeout(back, 50); // tables are sorted by then, and what is open has been unfolded
  }

  if (document.body.dataset.pages && !document.body.classList.contains("alone")) {
    const isAgain = performance.getEntriesByType("navigation")[0]?.type === "reload";
    let state = null;
    try { state = JSON.parse(sessionStorage.getItem(key)); } catch { /* none */ }
    if (isAgain && state) {
      history.scrollRestoration = "manual";
      restore({ ...state, place: state.place ?? [] });
    }
    addEventListener("pagehide", keep);
  }

  if (document.querySelector("#progress[data-growing]")) {
    let touched = 0;
    for (const kind of ["pointermove", "pointerdown", "keydown", "wheel", "scroll"]) {
      addEventListener(kind, () => { touched = performance.now(); }, { capture: true, passive: true });
    }
    const isFree = () => performance.now() - touched > QUIET_MS && getSelection().isCollapsed && !bubble.isOpen();
    setInterval(() => { if (isFree()) location.reload(); }, PERIOD_MS);
  }
}
