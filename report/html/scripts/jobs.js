// Jobs and their pages: lists that unfold into tables, and names that parts of the page count.
const jobs = (() => {
  const { element } = bubble;
  const folder = document.body.dataset.pages;

  // Names, of which only what they do not share with the one before is written, and the number of letters that they do.
  function whole(names) {
    let last = "";
    return names.map((one) => {
      const [shared] = one.split("~", 1);
      last = last.slice(0, Number(shared)) + one.slice(shared.length + 1);
      return last;
    });
  }
  // Texts, each written once with the number of times that it stands there.
  const spread = (texts) => texts.flatMap((one) => {
    const [, times = 1, text] = one.match(/^(?:(\d+)\*)?(.*)$/s);
    return Array(Number(times)).fill(text);
  });

  // A list, written column by column, as lines; names of columns first.
  function read(list) {
    const [names, ...others] = list.dataset.list.split("\n").map((column) => column.split("|"));
    const columns = [[names[0], ...whole(names.slice(1))], ...others.map(([title, ...texts]) => [title, ...spread(texts)])];
    return columns[0].map((_, at) => columns.map((column) => column[at]));
  }
  const lists = new Map([...document.querySelectorAll(".jobs")].map((list) => [list, read(list)]));
  const known = new Map([...lists.values()].flatMap((lines) => lines.slice(1)));

  // A link to the page of a job that ended; the name alone of any other.
  function link(name) {
    const hasEnded = folder && (known.get(name) ?? "missing") !== "missing";
    return hasEnded ? element("a", name, { href: `${folder}${name}.html` }) : element("code", name);
  }

  // Names as an element lists them; a number is that of a job in the lists of the page.
  const listed = [...known.keys()];
  const decoded = new Map();
  function names(place) {
    if (!decoded.has(place)) {
      const found = whole(place.dataset.jobs.split("|"));
      decoded.set(place, found.map((one) => one.replace(/^\d+(?= |$)/, (number) => listed[number])));
    }
    return decoded.get(place);
  }

  // A list becomes a table with links when it comes in sight.
  function unfold(list) {
    const [head, ...rows] = lists.get(list);
    const table = element("table", "", { className: "runs" });
    const caption = table.createCaption();
    [caption.className, caption.textContent] = ["unseen", list.dataset.title];
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
    const found = [...lists].find(([list, lines]) => list.isConnected && lines.some(([job]) => job === name));
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
