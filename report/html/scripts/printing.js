// Paper is not dark, and nothing on it can be opened: what is folded is folded out, save long lists.
addEventListener("beforeprint", () => {
  bubble.hide();
  document.querySelectorAll("details.card, .claims details:not(.behind)").forEach((one) => {
    if (!one.open) one.dataset.printed = one.open = true;
  });
});
addEventListener("afterprint", () => {
  document.querySelectorAll("details[data-printed]").forEach((one) => {
    one.open = false;
    delete one.dataset.printed;
  });
});
