// Jobs and their pages: lists that unfold into tables, and names that parts of the page count.
const jobs = (() => {
  const { element } = bubble;
  const folder = document.body.dataset.pages;
  const lists = new Map([...document.querySelectorAll("pre.jobs")].map((list) => [list, list.textContent]));
  const read = (text) => text.trimEnd().split("\n").map((line) => line.split("\t"));

  let known = null;
  function statuses() {
    known ??= new Map([...lists.values()].flatMap((text) => read(text).slice(1)));
    return known;
  }

  // A link to the page of a job that ended; the name alone of any other.
  function link(name) {
    const hasEnded = folder && (statuses().get(name) ?? "missing") !== "missing";
    return hasEnded ? element("a", name, { href: `${folder}${name}.html` }) : element("code", name);
  }

  // Names as an element lists them: how many letters each shares with the last one, and the rest.
  const decoded = new Map();
  function names(place) {
    let last = "";
    if (!decoded.has(place)) {
      decoded.set(place, place.dataset.jobs.split("|").map((one) => {
        const [shared] = one.split("~", 1);
        last = last.slice(0, Number(shared)) + one.slice(shared.length + 1);
        return last;
      }));
    }
    return decoded.get(place);
  }

  // A list becomes a table with links when it comes in sight.
  function unfold(list) {
    const [head, ...rows] = read(lists.get(list));
    const table = element("table", "", { className: "runs" });
    const caption = table.createCaption();
    [caption.className, caption.textContent] = ["unseen", list.getAttribute("aria-label")];
    const shown = head.filter((_, at) => at !== 2); // what went wrong stands below the name
    table.createTHead().insertRow().append(...shown.map((text) => element("th", text, { scope: "col" })));
    const body = table.createTBody();
    for (const [name, status, wrong, ...rest] of rows) {
      const first = element("th", "", { scope: "row" });
      first.append(link(name), ...(wrong ? [element("br", ""), element("small", wrong)] : []));
      const state = element("td", "");
      state.append(element("span", status, { className: `badge ${status}` }));
      const others = shown.slice(2).map((_, at) => element("td", rest[at] ?? ""));
      const row = body.insertRow();
      row.id = `job-${name}`;
      row.append(first, state, ...others);
    }
    const frame = element("div", "", { className: "scroll" });
    frame.append(table);
    list.replaceWith(frame);
  }
  for (const list of lists.keys()) {
    const around = list.closest("details");
    const look = () => { if (around.open && list.isConnected) unfold(list); };
    around.addEventListener("toggle", look);
    look();
  }

  // An address that names a job leads to its row.
  function goTo() {
    const name = decodeURIComponent(location.hash).replace(/^#job-/, "");
    const found = [...lists].find(([list, text]) => list.isConnected && text.includes(`\n${name}\t`));
    if (!location.hash.startsWith("#job-") || !found) return;
    found[0].closest("details").open = true;
    unfold(found[0]);
    location.replace(location.href);
  }
  addEventListener("hashchange", goTo);
  addEventListener("load", goTo);

  // The runs behind a claim, which counts them.
  function fill(details) {
    const all = names(details.closest("[data-jobs]"));
    const found = details.dataset.runs.split(" ").flatMap((span) => {
      const [first, last = first] = span.split("-").map(Number);
      return all.slice(first, last + 1);
    });
    details.querySelector("p").replaceChildren(...found.flatMap((name) => [link(name), " "]));
  }
  for (const details of document.querySelectorAll("details[data-runs]")) {
    details.addEventListener("toggle", () => fill(details), { once: true });
  }

  return { link, names };
})();
