// The values in a figure: pointed at, or reached by the tab key, from where arrows go on.
{
  bubble.on("[data-tip]", (point) => [bubble.element("p", point.dataset.tip)]);
  for (const group of document.querySelectorAll("g.points")) group.firstElementChild?.setAttribute("tabindex", 0);
  const steps = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" };
  addEventListener("keydown", (event) => {
    const point = event.target.closest?.("[data-tip]");
    const next = point?.[steps[event.key]];
    if (!next) return;
    event.preventDefault();
    point.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  });
}
