"""A widget alone on a page, without a kernel: a small model replaces Jupyter's."""

import json
from pathlib import Path

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


ROOT = Path(__file__).parents[1]
PAGE = """<!doctype html>
<html lang="en" data-content_root="./"><title>Widgets</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="course_widgets.css">
<script defer src="widgets.js"></script>
<body style="margin: 1rem; font-family: sans-serif"><main>
<div style="height: {above}px"></div>
{places}
<h2 id="below">Below</h2><a href="#below">anchor</a>
<script type="application/vnd.jupyter.widget-state+json">{states}</script>
</main></html>"""


def write_page(folder, *widgets, above=0):
    """Put widgets in their places on a page of a folder, as the book does."""
    places, states = [], {}
    for number, widget in enumerate(widgets):
        static = widget.static_html()
        places.append(f'<div class="course-place" data-model="{number}">{static}</div>')
        states[number] = {"state": json.loads(json.dumps(widget.get_state()))}
    texts = {
        "page.html": PAGE.format(
            above=above,
            places="\n".join(places),
            states=json.dumps({"state": states}).replace("</", "<\\/"),
        ),
        "course_widgets.css": "".join({widget._css: 0 for widget in widgets}),
        "widgets.js": (ROOT / "site" / "js" / "widgets.js").read_text(),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def start(page):
    """Start every widget of a page that `write_page` wrote."""
    page.evaluate("() => courseWidgets.startAll().then(() => true)")
    return page
