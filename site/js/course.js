// A box that scrolls sideways must be reachable without a mouse.
(function () {
  const BOXES =
    "pre, div.math, mjx-container, .cell_output, .output, " +
    ".pst-scrollable-table-container";

  function update() {
    for (const box of document.querySelectorAll(BOXES)) {
      const scrolls =
        box.scrollWidth > box.clientWidth + 1 &&
        ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
      if (scrolls) box.tabIndex = 0;
      else if (box.tabIndex === 0) box.removeAttribute("tabindex");
    }
  }

  addEventListener("load", update);
  addEventListener("resize", update);
  addEventListener("toggle", update, true); // a hint was opened
})();
