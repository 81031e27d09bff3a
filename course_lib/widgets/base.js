// What every widget's page half needs: elements, tables, number texts.

const SVG_TAGS = ["svg", "g", "polygon", "circle", "path", "rect", "text"];

/** An element; children that are strings become text, never markup. */
function make(tag, properties = {}, ...children) {
  const isSvg = SVG_TAGS.includes(tag);
  const element = isSvg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, x] of Object.entries(properties)) {
    if ((!isSvg || name.startsWith("on")) && name in element) element[name] = x;
    else element.setAttribute(name, x);
  }
  element.append(...children);
  return element;
}

// Parts of a table. Roles are written out: CSS may lay the rows out as cards.
const row = (className, ...cells) => make("tr", { role: "row", className }, ...cells);
const cell = (className, ...children) =>
  make("td", { role: "cell", className }, ...children);
const columnHeader = (text, className = "", colSpan = 1) =>
  make("th", { role: "columnheader", scope: "col", className, colSpan }, text);
const rowHeader = (text, className) =>
  make("th", { role: "rowheader", scope: "row", className }, text);

/** At most two decimals, none that are not needed, and a real minus sign. */
const round = (x) => String(Number(x.toFixed(2))).replace("-", "\u2212");
const vector = (numbers) => `(${numbers.map(round).join(", ")})`;

/** Text in a drawing; `side` is the end of it, or its middle, that stands at x. */
const svgText = (content, x, y, side, className = "") =>
  make("text", { x, y, "text-anchor": side, class: className }, content);

/** A drawing as wide as its place: `draw(svg, view, width)` again when that changes. */
function drawing(height, draw) {
  const svg = make("svg", { role: "img", height });
  const element = make("div", {}, svg);
  let latest;
  const fit = () => element.clientWidth && draw(svg, latest, element.clientWidth);
  const observer = new ResizeObserver(fit);
  const show = (view) => {
    latest = view;
    fit();
  };
  observer.observe(element);
  return { element, show, stop: () => observer.disconnect() };
}

/** Radio buttons in a form. `read(view)` gives their [value, text] pairs and the chosen
 * value; they are made anew only when the pairs change, so the focus stays. */
function radioGroup(name, legend, read, pick) {
  const box = make("div", {});
  let known;
  const radio = ([value, text]) => make("label", {},
    make("input", { type: "radio", name, value, onchange: () => pick(value) }), text);
  const show = (view) => {
    const { options, chosen } = read(view);
    if (JSON.stringify(options) !== known) box.replaceChildren(...options.map(radio));
    known = JSON.stringify(options);
    options.forEach(([value], i) => {
      box.children[i].firstChild.checked = value === chosen;
    });
  };
  return { element: make("fieldset", {}, make("legend", {}, legend), box), show };
}

/** A choice from a list. `read(view)` gives its texts and the index of the chosen one. */
function selectBox(label, read, pick) {
  const box = make("select", { onchange: () => pick(box.selectedIndex) });
  let known;
  const show = (view) => {
    const { options, chosen } = read(view);
    if (JSON.stringify(options) !== known) {
      box.replaceChildren(...options.map((text) => make("option", {}, text)));
    }
    known = JSON.stringify(options);
    box.selectedIndex = chosen;
  };
  return { element: make("label", {}, make("span", {}, label), box), show };
}

/** The numbers of a picture, for who does not see it: a table that opens on demand.
 * `read(view)` gives a caption, the header's texts, and rows whose first text heads them. */
function foldedTable(summary, read) {
  const box = make("div", { className: "course-scroll", role: "region", tabIndex: 0 });
  box.setAttribute("aria-label", summary);
  const element = make("details", { className: "course-table" },
    make("summary", {}, summary), box);
  let latest;
  const fill = () => {
    if (!element.open) return;
    box.replaceChildren(...read(latest).map(({ caption, header, rows }) =>
      make("table", { role: "table" },
        make("caption", {}, caption),
        make("thead", { role: "rowgroup" }, row("", ...header.map((x) => columnHeader(x)))),
        make("tbody", { role: "rowgroup" }, ...rows.map(([first, ...others]) =>
          row("", rowHeader(first, ""), ...others.map((x) => cell("", x))))))));
  };
  element.addEventListener("toggle", fill);
  const show = (view) => {
    latest = view;
    fill();
  };
  return { element, show };
}

/** The card a widget stands on: its `elements`, and what all widgets have. `refresh` runs
 * when a trait of `linked` changes (see linkState). Gives what takes the widget away. */
function card({ model, el }, { tag = "div", name, elements, linked, apply, refresh, stop }) {
  const set = apply ?? ((asked) => {
    for (const [trait, x] of Object.entries(asked)) model.set(trait, x);
    model.save_changes();
  });
  const link = linkState(model, el, name, linked, set);
  const element = make(tag, { className: `course-widget ${name}` }, ...elements);
  if (link) element.append(copyLink(link));
  el.append(element);
  const events = Object.keys(linked).map((trait) => `change:${trait}`);
  const changed = () => {
    refresh();
    link?.changed();
  };
  for (const event of events) model.on(event, changed);
  link?.read();
  refresh();
  return () => {
    for (const event of events) model.off(event, changed);
    link?.stop();
    stop?.();
  };
}
