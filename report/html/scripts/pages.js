// Pages of runs lie beside this one. A copy of it alone says so instead of leading nowhere.
{
  const folder = document.body.dataset.pages;

  // Resolves to whether a page is there: it tells so itself, as soon as it is loaded in a frame.
  function isThere(address) {
    return new Promise((tell) => {
      const frame = bubble.element("iframe", "", { src: address, hidden: true });
      const end = (found) => { removeEventListener("message", hear); frame.remove(); tell(found); };
      const hear = (event) => { if (event.source === frame.contentWindow) end(true); };
      addEventListener("message", hear);
      setTimeout(() => end(false), 10000);
      frame.addEventListener("load", () => setTimeout(() => end(false), 300));
      document.body.append(frame);
    });
  }

  addEventListener("click", async (event) => {
    const link = folder && event.target.closest?.(`a[href^="${folder}"]`);
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (await isThere(link.href)) {
      location.href = link.href;
      return;
    }
    const told = bubble.element("small", ` not beside this page: copy the folder ${folder} too`);
    told.setAttribute("role", "status");
    link.replaceWith(bubble.element("code", link.textContent), told);
  });
}
