// What every widget's page half needs: elements, tables, number texts.

const SVG_TAGS = ["svg", "polygon", "circle", "path", "text"];

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
