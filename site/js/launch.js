// Turns the links to a notebook in this browser to the notebook, once it is there.
(function () {
  const root = document.documentElement.dataset.content_root;
  const PATIENCE = 5000; // milliseconds between two looks at a site that is being built
  const NOTES = {
    ready: (state) =>
      `Nothing to install. Opens in a new tab, loads at most ${megabytes(state.start)} ` +
      "once, and starts in about half a minute.",
    building: () => "It is being built on this machine: a minute more.",
    missing: () => "This copy of the course was built without it.",
  };

  function megabytes(bytes) {
    return `${Math.ceil(bytes / 1e6)} MB`;
  }

  function say(selector, text) {
    for (const place of document.querySelectorAll(selector)) place.textContent = text;
  }

  function show(state) {
    const ready = state.state === "ready";
    const note = NOTES[state.state](state);
    say(".launch-note", note);
    say(".launch-state", ready ? "This copy of the course has it." : note);
    if (!ready) return;
    for (const name of ["start", "figures"]) {
      say(`.launch-${name}`, megabytes(state[name]));
    }
    const notebook = document.querySelector("a[data-notebook]")?.dataset.notebook;
    const links = ".launch-here, .btn-launch-here";
    for (const link of notebook ? document.querySelectorAll(links) : []) {
      link.href = `${root}lite/notebooks/index.html?path=${encodeURIComponent(notebook)}`;
      link.target = "_blank";
    }
  }

  async function look() {
    const answer = await fetch(`${root}lite.json`, { cache: "no-store" });
    const state = await answer.json();
    show(state);
    if (state.state === "building") setTimeout(look, PATIENCE);
  }

  if (location.protocol !== "file:") look();
})();
