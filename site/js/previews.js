// What a term or a citation leads to, beside it: on pointing at it, on reaching it with
// the keyboard, on a first tap. Escape closes it, and the pointer may go into it.
(function () {
  const LINKS =
    "a.course-term, .bd-article a[href*='glossary.html#'], " +
    ".bd-article a[href*='references.html#'], .bd-article a[href*='arxiv.org/abs/']";
  const OPEN_MS = 250; // a pointer that passes by opens nothing
  const CLOSE_MS = 200; // time to move into the preview
  const GAP = 6;
  const root = new URL(document.documentElement.dataset.content_root, document.baseURI);
  const box = Object.assign(document.createElement("div"), { id: "course-preview" });
  box.setAttribute("role", "tooltip");
  box.popover = "manual";
  let texts; // a promise of {address: HTML}
  let shown; // the link whose preview is open
  let timer;

  /** The texts come in a script: that also works for pages from a disk. */
  function load() {
    return (texts ??= new Promise((done) => {
      window.coursePreviews = done;
      const src = new URL("_static/preview_texts.js", root).href;
      document.head.append(Object.assign(document.createElement("script"), { src }));
    }));
  }

  const key = (link) => link.href.replace(root.href, "");

  function place(link) {
    const line = link.getClientRects()[0];
    const left = Math.min(line.left, innerWidth - box.offsetWidth - GAP);
    const above = line.bottom + GAP + box.offsetHeight > innerHeight;
    const top = above ? line.top - GAP - box.offsetHeight : line.bottom + GAP;
    box.style.left = `${Math.max(GAP, left) + scrollX}px`;
    box.style.top = `${Math.max(GAP, top) + scrollY}px`;
  }

  async function show(link) {
    const html = (await load())[key(link)];
    if (!html || wanted !== link) return;
    hide();
    box.innerHTML = html; // our own build made it
    document.querySelector("main").append(box);
    box.showPopover?.();
    place(link);
    link.setAttribute("aria-describedby", box.id);
    shown = link;
  }

  function hide() {
    shown?.removeAttribute("aria-describedby");
    shown = undefined;
    box.remove();
  }

  let wanted; // the link that the reader is at
  function later(link, delay) {
    wanted = link;
    clearTimeout(timer);
    timer = setTimeout(() => (link ? show(link) : hide()), delay);
  }

  function tap(event) {
    if (event.pointerType !== "touch" || shown === event.currentTarget) return;
    event.preventDefault(); // the second tap follows the link
    later(event.currentTarget, 0);
  }

  for (const link of document.querySelectorAll(LINKS)) {
    const away = () => later(undefined, CLOSE_MS);
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "touch") later(link, OPEN_MS);
    });
    link.addEventListener("pointerleave", (event) => {
      if (event.pointerType !== "touch") away();
    });
    link.addEventListener("focus", () => {
      if (link.matches(":focus-visible")) later(link, 0);
    });
    link.addEventListener("blur", away);
    link.addEventListener("click", tap);
  }
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("pointerleave", () => later(undefined, CLOSE_MS));
  addEventListener("keydown", ({ key: pressed }) => {
    if (pressed === "Escape") later(undefined, 0);
  });
  addEventListener("pointerdown", ({ target }) => {
    if (shown && ![box, shown].some((each) => each.contains(target))) later(undefined, 0);
  });
})();
