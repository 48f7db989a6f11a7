// The values in a figure: pointed at, or reached by the tab key, from where arrows go on.
{
  // A line says what all its values say, then where each stands and what it says itself.
  for (const line of document.querySelectorAll(".points > [data-at]")) {
    const words = line.dataset.tip.split("{}");
    const fields = line.dataset.at.split("|");
    for (let at = 0; at < fields.length; at += words.length + 1) {
      const [x, y, ...values] = fields.slice(at, at + words.length + 1);
      const point = document.createElementNS(line.namespaceURI, "circle");
      const text = words.map((word, number) => word + (values[number] ?? "")).join("");
      const told = { cx: x, cy: y, r: 3.5, role: "option", "aria-label": text, tabindex: -1 };
      for (const [name, value] of Object.entries(told)) point.setAttribute(name, value);
      point.dataset.tip = text;
      line.append(point);
    }
    line.setAttribute("role", "group");
    delete line.dataset.at;
    delete line.dataset.tip;
  }
  bubble.on("circle[data-tip]", (point) => [bubble.element("p", point.dataset.tip)]);
  // To aids, the values of a figure are one list: hundreds of pictures would stand between what is before and behind it.
  for (const group of document.querySelectorAll("g.points")) {
    const first = group.querySelector("circle");
    if (!first) continue;
    first.setAttribute("tabindex", 0);
    group.setAttribute("role", "listbox");
    group.setAttribute("aria-label", `Values: ${group.closest("svg").getAttribute("aria-label")}`);
  }
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 };
  addEventListener("keydown", (event) => {
    const point = event.target.closest?.("circle[data-tip]");
    if (!point || !steps[event.key]) return;
    const all = [...point.closest(".points").querySelectorAll("circle")];
    const next = all[all.indexOf(point) + steps[event.key]];
    event.preventDefault();
    if (!next) return;
    point.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  });
}
