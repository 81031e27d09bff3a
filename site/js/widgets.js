// The widgets of a page, without Jupyter's widget manager: each is a module with
// render({ model, el }), and here is a model that needs no kernel. A widget starts when
// the reader comes near it; until then its place holds the static form.
(function () {
  const STATES = "script[type='application/vnd.jupyter.widget-state+json']";
  const NEAR = "800px 0px";
  const given = new Map(); // states that came in a file of their own, by its address
  const started = new Map(); // place -> promise
  let stored; // states that stand in the page, by model

  /** What a widget's module asks of Jupyter's model, over a plain object. */
  function plainModel(state) {
    const listeners = [];
    return {
      get: (name) => state[name],
      set(name, x) {
        if (JSON.stringify(state[name]) === JSON.stringify(x)) return;
        state[name] = x;
        for (const [event, f] of [...listeners]) if (event === `change:${name}`) f();
      },
      save_changes() {},
      on: (event, f) => listeners.push([event, f]),
      off(event, f) {
        const i = listeners.findIndex((each) => each[0] === event && each[1] === f);
        if (i >= 0) listeners.splice(i, 1);
      },
    };
  }

  /** Run a script that calls courseWidgets.give; works where fetch does not (file:). */
  function load(src) {
    return new Promise((onload, onerror) => {
      const script = document.createElement("script");
      document.head.append(Object.assign(script, { src, onload, onerror }));
    });
  }

  async function stateOf({ dataset: { model, source } }) {
    if (source) {
      const address = new URL(source, document.baseURI).href;
      if (!given.has(address)) await load(address);
      return given.get(address);
    }
    stored ??= JSON.parse(document.querySelector(STATES).textContent).state;
    return stored[model].state;
  }

  async function start(place) {
    const state = { ...(await stateOf(place)) };
    const module = new Blob([state._esm], { type: "text/javascript" });
    const address = URL.createObjectURL(module);
    const { default: widget } = await import(address);
    URL.revokeObjectURL(address);
    const el = document.createElement("div");
    place.append(el);
    await widget.render({ model: plainModel(state), el });
    place.classList.add("course-live"); // only now the static form steps back
  }

  function startOnce(place) {
    if (!started.has(place)) started.set(place, start(place));
    return started.get(place);
  }

  const places = [...document.querySelectorAll(".course-place")];
  window.courseWidgets = {
    give: (state) => given.set(document.currentScript.src, state),
    startAll: () => Promise.all(places.map(startOnce)),
  };
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      startOnce(target);
    }
  }, { rootMargin: NEAR });
  places.forEach((place) => observer.observe(place));
})();
