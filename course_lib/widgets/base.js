// What every widget's page half needs: elements, tables, number texts.

const SVG_TAGS = ["svg", "g", "polygon", "circle", "path", "text"];

/** An element; children that are strings become text, never markup. */
function make(tag, properties = {}, ...children) {
  const isSvg = SVG_TAGS.includes(tag);
  const element = isSvg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, x] of Object.entries(properties)) {
    if (!isSvg && name in element) element[name] = x;
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
