// Every visible text of the page that is harder to read than WCAG 2.2 AA allows: 4.5 to 1, or 3 to 1 where it is large.
(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  // A colour as the browser computes it, as red, green, blue and opacity between 0 and 1.
  function read(text) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red / 255, green / 255, blue / 255, alpha / 255];
  }
  const over = (above, below) => [0, 1, 2].map((at) => above[at] * above[3] + below[at] * (1 - above[3]));
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  function ratio(one, other) {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }

  // What lies behind an element: the backgrounds of those around it, and the shapes of a figure below its middle.
  function behind(element) {
    const layers = [];
    const box = element.getBoundingClientRect();
    for (let one = element; one; one = one.parentElement) {
      if (!one.closest("svg")) layers.unshift(read(getComputedStyle(one).backgroundColor));
    }
    const svg = element.closest("svg");
    if (svg) {
      for (const shape of svg.querySelectorAll("path, rect, image")) {
        if (shape.closest("defs") || !(shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
        const at = new DOMPoint(box.x + box.width / 2, box.y + box.height / 2).matrixTransform(shape.getScreenCTM().inverse());
        if (shape.tagName === "image") {
          const own = shape.getBBox();
          if (at.x >= own.x && at.x <= own.x + own.width && at.y >= own.y && at.y <= own.y + own.height) return null;
        } else if (getComputedStyle(shape).fill !== "none" && shape.isPointInFill(at)) {
          const look = getComputedStyle(shape);
          const colour = read(look.fill);
          colour[3] *= Number(look.fillOpacity) * Number(look.opacity);
          layers.push(colour);
        }
      }
    }
    return layers.reduce((below, above) => over(above, below), [1, 1, 1]);
  }

  const found = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const look = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const isSeen = walker.currentNode.textContent.trim() && element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
      && box.width > 1 && box.height > 1 && !element.closest("script, style, title, desc");
    if (!isSeen) continue;
    count += 1;
    const inks = element.closest("svg") ? look.fill : look.color;
    const size = parseFloat(look.fontSize) * (element.closest("svg")?.getScreenCTM?.().a ?? 1);
    const isLarge = size >= 24 || (size >= 18.66 && Number(look.fontWeight) >= 700);
    const place = `${inks} ${isLarge} ${element.closest("svg") ? element.closest("svg").id + box.x + box.y : element.className + element.tagName + (element.closest("[class]")?.className ?? "")}`;
    if (found.has(place)) continue;
    const below = behind(element);
    if (below === null) { found.set(place, null); continue; } // on a picture: see the test of that figure
    const value = ratio(over(read(inks), below), below);
    found.set(place, value < (isLarge ? 3 : 4.5) ? `${value.toFixed(2)} ${element.tagName} .${element.className.baseVal ?? element.className}: ${walker.currentNode.textContent.trim().slice(0, 40)}` : null);
  }
  return { count, bad: [...found.values()].filter(Boolean) };
})()
