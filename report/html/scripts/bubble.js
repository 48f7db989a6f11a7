// The one bubble of a page: what is behind the place that is pointed at or focused.
const bubble = (() => {
  const box = document.createElement("div");
  box.id = "bubble";
  box.setAttribute("role", "tooltip");
  box.popover = "manual";
  document.body.append(box);
  let place = null;
  let timer = 0;

  function hide() {
    if (!place) return;
    place.removeAttribute("aria-describedby");
    place = null;
    box.hidePopover();
  }
  const hideSoon = () => { clearTimeout(timer); timer = setTimeout(hide, 200); };

  function show(target, content) {
    clearTimeout(timer);
    if (target === place) return;
    hide();
    place = target;
    place.setAttribute("aria-describedby", box.id);
    box.replaceChildren(...content);
    box.showPopover();
    put();
  }

  function put() {
    const at = place.getBoundingClientRect();
    const own = box.getBoundingClientRect();
    const isRoom = at.bottom + own.height + 8 < innerHeight || at.top < own.height + 8;
    box.style.top = `${isRoom ? at.bottom + 4 : at.top - own.height - 4}px`;
    const left = at.left + at.width / 2 - own.width / 2;
    box.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - own.width - 4))}px`;
  }

  // Whoever points at the bubble, or moves the focus into it, reads on.
  box.addEventListener("mouseenter", () => clearTimeout(timer));
  box.addEventListener("mouseleave", hideSoon);
  box.addEventListener("focusout", hideSoon);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && place) {
      if (box.contains(document.activeElement)) place.focus(); // which shows nothing new
      hide();
    } else if (event.key === "Enter" && event.target === place) {
      box.querySelector("a")?.focus();
    }
  });
  addEventListener("focusin", (event) => { if (box.contains(event.target)) clearTimeout(timer); });
  addEventListener("scroll", (event) => { if (place && !box.contains(event.target)) put(); }, { capture: true });

  // Shows `content(place)` for places that match a selector.
  function on(selector, content) {
    const tell = (event) => {
      const found = event.target.closest?.(selector);
      if (found) show(found, content(found));
    };
    const leave = (event) => { if (event.target.closest?.(selector)) hideSoon(); };
    addEventListener("mouseover", tell);
    addEventListener("focusin", tell);
    addEventListener("mouseout", leave);
    addEventListener("focusout", leave);
  }

  function element(name, text, settings = {}) {
    return Object.assign(document.createElement(name), { textContent: text }, settings);
  }
  return { on, element, hide, isOpen: () => place !== null };
})();
