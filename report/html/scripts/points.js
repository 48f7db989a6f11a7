// The values in a figure.
bubble.on("[data-tip]", (point) => [bubble.element("p", point.dataset.tip)]);
