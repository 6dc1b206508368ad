// What every page does: tables that scroll can be reached by keyboard, and paper has what is folded away.
(() => {
  "use strict";

  const boxes = [...document.querySelectorAll(".table > .scroll")];

  // A table that scrolls sideways is a stop of the Tab key and has a name; one that does not is neither.
  function mark(box) {
    const scrolls = box.scrollWidth > box.clientWidth;
    const own = { tabindex: "0", role: "region", "aria-label": box.querySelector("caption").textContent };
    for (const [name, value] of Object.entries(own))
      if (scrolls) box.setAttribute(name, value);
      else box.removeAttribute(name);
  }
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  boxes.forEach((box) => sizes.observe(box));

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });
})();
