// Where each word looks, head by head. Stands behind attention_math.js, base.js, link.js.

const STATE = ["sentence", "layer", "head", "word", "compare"];
const STEPS = 100; // a weight is stored as a whole number of them (a test compares)
const NAMES = { left: 76, top: 66 }; // room for the words beside and above the map
const LARGEST_CELL = 22;
const MAP_HEIGHT = NAMES.top + 16 * LARGEST_CELL;
const NAMED = 3; // how many words the sentence below names

/** Function (layer, head, i, j) -> weight, from the bytes of a sentence. */
function weightsOf({ weights, heads, tokens }) {
  const bytes = Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0));
  const n = tokens.length;
  return (layer, head, i, j) =>
    bytes[(((layer - 1) * heads + head - 1) * n + i) * n + j] / STEPS;
}

/** Where the twin has the word that stands at `i`: the same place, else the same word. */
function inTwin(sentence, twin, i) {
  return sentence.tokens.length === twin.tokens.length
    ? i : twin.tokens.indexOf(sentence.tokens[i]);
}

/** All that the parts show: the state and, for one or two sentences, a row of weights. */
function look({ model, hovered }) {
  const state = Object.fromEntries(STATE.map((name) => [name, model.get(name)]));
  const sentences = model.get("sentences");
  const first = sentences[state.sentence - 1];
  const twin = first.twin && sentences[first.twin - 1];
  const word = hovered ?? (first.tokens[state.word] === undefined ? first.focus : state.word);
  const panel = (sentence, asks) => {
    const weight = weightsOf(sentence);
    const at = (i, j) => weight(state.layer, state.head, i, j);
    const { text, tokens } = sentence;
    return { text, tokens, asks, at, row: tokens.map((_, j) => (asks < 0 ? 0 : at(asks, j))) };
  };
  const panels = [panel(first, word)];
  if (twin && state.compare) panels.push(panel(twin, inTwin(first, twin, word)));
  return { state, sentences, first, twin, word, panels };
}

// ---- text

const quoted = (text) => `\u201c${text}\u201d`;

/** The words that get most, with their weights. */
function most({ tokens, asks, row }) {
  if (asks < 0) return "there is no such word";
  const order = [...row.keys()].sort((i, j) => row[j] - row[i]).slice(0, NAMED);
  return order.map((i) => `${tokens[i]} ${row[i].toFixed(2)}`).join(", ");
}

/** One sentence, or two: where the chosen word looks. */
function outcome({ state, word, first, panels: [panel, other] }) {
  const beside = other ? ` In the sentence below: ${most(other)}.` : "";
  return `Layer ${state.layer}, head ${state.head}: ${quoted(first.tokens[word])} takes ` +
    `most from ${most(panel)}.${beside}`;
}

// ---- the words

/** A sentence as words to choose from or, if it is the twin, to read. */
function strip(page, which) {
  const element = make("ol", { className: "heatmap-strip" });
  const choose = (i) => page.set("word", i);
  let known;
  const word = (token, i) => {
    const face = make("span", { className: "heatmap-word" }, token);
    const input = make("input", { type: "radio", name: "word", onchange: () => choose(i) });
    input.setAttribute("aria-label", `${token}, word ${i + 1}`);
    const item = which ? face : make("label",
      { onpointerenter: () => page.hover(i), onpointerleave: () => page.hover() },
      input, face);
    return make("li", {}, item, make("span", { className: "heatmap-weight" }));
  };
  const show = ({ panels, state }) => {
    element.hidden = !panels[which];
    if (!panels[which]) return;
    const { text, tokens, asks, row } = panels[which];
    if (text !== known) element.replaceChildren(...tokens.map(word));
    known = text;
    element.setAttribute("aria-label", quoted(text));
    [...element.children].forEach((item, i) => {
      item.style.setProperty("--weight", row[i]);
      item.lastChild.textContent = row[i].toFixed(2);
      item.querySelector(".heatmap-word").classList.toggle("heatmap-asks", i === asks);
      if (!which) item.querySelector("input").checked = i === state.word;
    });
  };
  return { element: which ? element : make("fieldset", {},
    make("legend", {}, "Choose the word that asks"), element), show };
}

// ---- the map of all words

function drawMap(svg, { text, tokens, asks, at }, width, pick) {
  const n = tokens.length;
  const size = Math.min(LARGEST_CELL, (width - NAMES.left) / n);
  const [x, y] = [(j) => NAMES.left + j * size, (i) => NAMES.top + i * size];
  const box = (i, j) => make("rect", { x: x(j), y: y(i), width: size, height: size,
    "fill-opacity": at(i, j) });
  const column = (token, j) => make("text", { class: "heatmap-key", "text-anchor": "start",
    transform: `translate(${x(j) + size / 2 + 4} ${NAMES.top - 6}) rotate(-60)` }, token);
  const line = (token, i) => make("g", { class: i === asks ? "heatmap-row heatmap-asks"
    : "heatmap-row", onclick: () => pick(i) },
    make("rect", { x: 0, y: y(i), width: x(n), height: size, class: "heatmap-ground" }),
    svgText(token, NAMES.left - 6, y(i) + size / 2 + 4, "end"),
    ...tokens.map((_, j) => box(i, j)),
    make("rect", { x: x(0), y: y(i), width: n * size, height: size, class: "heatmap-frame" }));
  svg.setAttribute("height", y(n) + 2);
  svg.setAttribute("aria-label", `Heatmap of all weights in ${quoted(text)}: a row for each ` +
    "word that asks, a column for each word it may take from. The table has the numbers.");
  svg.replaceChildren(...tokens.map(column), ...tokens.map(line));
}

function maps(page) {
  const drawings = [0, 1].map((which) => drawing(MAP_HEIGHT, (svg, { panels }, width) =>
    panels[which] && drawMap(svg, panels[which], width,
      which ? () => {} : (i) => page.set("word", i))));
  const show = (view) => drawings.forEach((each, which) => {
    each.element.hidden = !view.panels[which];
    each.show(view);
  });
  const element = make("div", { className: "heatmap-maps" },
    ...drawings.map((each) => each.element));
  return { element, show, stop: () => drawings.forEach((each) => each.stop()) };
}

// ---- the tools

function tools(page) {
  const count = (n) => [...Array(n).keys()].map((i) => `${i + 1}`);
  const choice = (label, name, options) => selectBox(label,
    (view) => ({ options: options(view), chosen: view.state[name] - 1 }),
    (i) => page.set(name, i + 1));
  const selects = [
    choice("Sentence", "sentence", ({ sentences }) => sentences.map(({ text }) => text)),
    choice("Layer", "layer", ({ first }) => count(first.layers)),
    choice("Head", "head", ({ first }) => count(first.heads)),
  ];
  const box = make("input", { type: "checkbox",
    onchange: () => page.set("compare", box.checked) });
  const beside = make("label", {}, box, make("span", {}));
  const show = (view) => {
    for (const each of selects) each.show(view);
    beside.hidden = !view.twin;
    box.checked = view.state.compare;
    beside.lastChild.textContent = view.twin ? `compare with ${quoted(view.twin.text)}` : "";
  };
  return { element: make("div", { className: "heatmap-tools" },
    ...selects.map((each) => each.element), beside), show };
}

/** The weights shown as numbers: all words of the sentence and of its twin. */
function numbers() {
  return foldedTable("All weights of this head as a table", ({ state, panels }) =>
    panels.map(({ text, tokens, at }) => ({
      caption: `${text} Layer ${state.layer}, head ${state.head}. ` +
        "Each row: a word that asks, and its weight on each word.",
      header: ["asks", ...tokens],
      rows: tokens.map((token, i) => [token, ...tokens.map((_, j) => at(i, j).toFixed(2))]),
    })));
}

// ---- the page

/** What a link may ask for: sentence, layer and head that are there, a word of it. */
function linkable(sentences) {
  const within = (last) => (x) => Number.isInteger(x) && x >= 1 && x <= last;
  return {
    sentence: within(sentences.length),
    layer: within(sentences[0].layers),
    head: within(sentences[0].heads),
    word: (i, { sentence }) => sentences[sentence - 1].tokens[i] !== undefined,
    compare: () => true,
  };
}

function render({ model, el }) {
  const sentences = model.get("sentences");
  const page = { model };
  const live = make("p", { className: "heatmap-live", "aria-live": "polite" });
  const said = { element: live, show: (view) => (live.textContent = outcome(view)) };
  const map = maps(page);
  const views = [tools(page), said, strip(page, 0), strip(page, 1), map, numbers()];
  const refresh = () => {
    const view = look(page);
    for (const part of views) part.show(view);
  };
  page.hover = (i) => {
    page.hovered = i;
    refresh();
  };
  page.set = (name, x) => {
    if (name === "sentence") model.set("word", sentences[x - 1].focus);
    model.set(name, x);
    model.save_changes();
  };
  return card({ model, el }, {
    tag: "form",
    name: "heatmap",
    elements: views.map((view) => view.element),
    linked: linkable(sentences),
    refresh,
    stop: map.stop,
  });
}

export default { render };
