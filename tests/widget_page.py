"""A widget alone on a page, without a kernel: a small model replaces Jupyter's."""

import json

MOUNT = """async ([esm, css, state]) => {
  const listeners = [];
  const model = {
    saved: 0,
    get: (name) => state[name],
    set(name, x) {
      if (JSON.stringify(state[name]) === JSON.stringify(x)) return;
      state[name] = x;
      for (const [event, f] of listeners) if (event === `change:${name}`) f(model, x);
    },
    save_changes: () => { model.saved += 1; },
    on: (event, f) => listeners.push([event, f]),
    off: (event, f) =>
      listeners.splice(listeners.findIndex((l) => l[0] === event && l[1] === f), 1),
  };
  const style = document.head.appendChild(document.createElement("style"));
  style.textContent = css;
  const address = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const { default: widget } = await import(address);
  const el = document.querySelector("main").appendChild(document.createElement("div"));
  const cleanUp = widget.render({ model, el });
  (window.mounted ??= []).push({ model, el, cleanUp, listeners });
}"""
BLANK = (
    '<html lang="en"><title>Widget</title><meta name="viewport" '
    'content="width=device-width"><body style="margin: 1rem; font-family: sans-serif">'
    "<main></main></html>"
)


def mount(page, widget):
    """Put a widget on a page as a static site does: its texts and its state."""
    if not page.locator("main").count():
        page.set_content(BLANK)
    state = json.loads(json.dumps(widget.get_state()))
    page.evaluate(MOUNT, [widget._esm, widget._css, state])
    return page


def model(page, script):
    """Evaluate a script on the first widget's model, called `model`."""
    return page.evaluate(
        f"() => {{ const {{ model }} = mounted[0]; return {script}; }}"
    )
