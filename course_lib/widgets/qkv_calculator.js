// The three-step calculator. Stands behind attention_math.js, base.js, link.js and
// value_picture.js.

const LIMIT = 1e6; // numbers beyond it would not be readable
const PAUSE_MS = 500; // how long the reader must rest before the outcome is announced
const HOTTEST = 20; // the slider is even in log T: 1 / 20, 1 in the middle, 20
const readable = (x) => [x].flat(2).every((each) => Math.abs(each) <= LIMIT);
const EDITABLE = { // each with what a link may ask of it
  query: readable,
  key: readable,
  value: readable,
  mask: () => true,
  temperature: (x) => x >= 1 / HOTTEST && x <= HOTTEST,
  scale: () => true,
};
const SLIDER_END = 50;
const TERMS = 3; // how many summands of the output are written out

// ---- text

function share(weight) {
  if (weight === 0) return "0";
  return weight < 0.005 ? "<0.01" : weight.toFixed(2);
}

/** One sentence: who wins, and what comes out. */
function outcome({ weights, output }, labels) {
  const top = Math.max(...weights);
  if (top === 0) {
    return `No key may be attended to: every weight is 0, the output is ${vector(output)}.`;
  }
  const first = labels.filter((_, i) => weights[i] > top - 1e-9);
  const who = first.length < 3 ? first.join(" and ") : `${first.length} positions`;
  const gets = first.length === 1
    ? `gets ${share(top)} of the weight` : `get ${share(top)} of the weight each`;
  return `${who} ${gets}; the output is ${vector(output)}.`;
}

/** The weighted sum, written out for the summands that matter most. */
function arithmetic({ weights, output }, value) {
  const size = (i) => weights[i] * Math.hypot(...value[i]);
  const all = [...weights.keys()].filter((i) => weights[i] > 0);
  const bySize = [...all].sort((i, j) => size(j) - size(i) || weights[j] - weights[i]);
  const matters = (i, rank) => rank === 0 || (size(i) > 0 && weights[i] >= 0.005);
  const main = bySize.slice(0, TERMS).filter(matters);
  const parts = main.sort((i, j) => i - j).flatMap((i) => [
    `${share(weights[i])}\u00a0\u00d7\u00a0`,
    make("span", { className: "qkv-value" }, vector(value[i])),
    " + ",
  ]);
  const rest = all.length - main.length;
  if (rest > 0) parts.push(`${rest} more`);
  else parts.pop();
  return [...parts, " = ", make("strong", {}, vector(output))];
}

/** What is wrong with which numbers; nothing if all are good. */
function complaints(fields) {
  const bad = fields.filter((field) => field.bad);
  return bad.map(({ label, shown }) =>
    `The ${label}, must be a number: still using ${round(shown)}. `).join("");
}

// ---- inputs

/** The inputs of the vector that `path` leads to in the trait `name`. */
function vectorInputs(page, name, path, owner) {
  const numbers = path.reduce((part, i) => part[i], page.model.get(name));
  const inputs = numbers.map((_, j) =>
    numberInput(page, name, [...path, j], `${name}${owner}, number ${j + 1}`));
  return make("span", { className: "qkv-numbers" }, ...inputs);
}

function numberInput(page, name, path, label) {
  const input = make("input", { type: "number", step: 0.1, "aria-label": label });
  input.className = `qkv-${name}`;
  const field = { label, shown: null, bad: false };
  const flag = (bad) => input.setAttribute("aria-invalid", (field.bad = bad));
  field.show = () => {
    const x = path.reduce((part, i) => part[i], page.model.get(name));
    if (x === field.shown) return; // leave what is being typed alone
    input.value = field.shown = x;
    flag(false);
  };
  field.restore = () => {
    field.shown = null;
    field.show();
  };
  input.addEventListener("input", () => {
    const x = input.valueAsNumber;
    flag(!(Math.abs(x) <= LIMIT));
    if (field.bad) return page.refresh();
    field.shown = x;
    page.edit(name, replaced(page.model.get(name), path, x));
  });
  page.fields.push(field);
  return input;
}

/** A copy of nested arrays with another number at the end of `path`. */
function replaced(numbers, [i, ...rest], x) {
  const changed = rest.length ? replaced(numbers[i], rest, x) : x;
  return numbers.map((old, j) => (j === i ? changed : old));
}

function checkbox(properties, edited) {
  const input = make("input", { type: "checkbox", ...properties });
  input.addEventListener("change", () => edited(input.checked));
  return input;
}

function temperatureSlider(page) {
  const slider = make("input", { type: "range", min: -SLIDER_END, max: SLIDER_END });
  slider.setAttribute("aria-label", "Temperature T");
  const number = make("span", { className: "qkv-temperature" });
  slider.addEventListener("input", () => {
    const temperature = HOTTEST ** (slider.valueAsNumber / SLIDER_END);
    page.edit("temperature", Number(temperature.toPrecision(3)));
  });
  const show = (temperature) => {
    slider.value = (SLIDER_END * Math.log(temperature)) / Math.log(HOTTEST);
    number.textContent = Number(temperature.toPrecision(3));
    slider.setAttribute("aria-valuetext", number.textContent);
  };
  const label = make("label", {}, "Temperature ", make("i", {}, "T"), slider, number);
  return { label, show };
}

// ---- the table

function tableHead(page, scoreHeader) {
  const steps = row(
    "qkv-steps",
    cell("qkv-empty"),
    columnHeader("1 Scores: compare the query with every key", "", 2),
    columnHeader("2 Weights: softmax", "", 2),
    columnHeader("3 Output: weighted sum of the values"),
  );
  const query = row(
    "qkv-query-row",
    rowHeader("query q", "qkv-query"),
    cell("qkv-key-cell", vectorInputs(page, "query", [], "")),
    make("td", { role: "cell", className: "qkv-empty", colSpan: 4 }),
  );
  const names = row(
    "qkv-names",
    columnHeader("position"),
    columnHeader("key k", "qkv-key"),
    scoreHeader,
    columnHeader("may attend"),
    columnHeader("weight"),
    columnHeader("value v", "qkv-value"),
  );
  return make("thead", { role: "rowgroup" }, steps, query, names);
}

/** The row of position `i`, and a function that shows its numbers. */
function positionRow(page, i, label) {
  const score = cell("qkv-score");
  const bar = make("span", { className: "qkv-bar", "aria-hidden": "true" });
  const number = make("span", { className: "qkv-share" });
  const allowed = checkbox({ "aria-label": `may attend to ${label}` }, (checked) =>
    page.edit("mask", replaced(page.model.get("mask"), [i], checked)));
  const element = row(
    "qkv-position",
    rowHeader(label, "qkv-label"),
    cell("qkv-key-cell", vectorInputs(page, "key", [i], ` of ${label}`)),
    score,
    cell("qkv-mask", allowed),
    cell("qkv-weight", number, bar),
    cell("qkv-value-cell", vectorInputs(page, "value", [i], ` of ${label}`)),
  );
  const show = ({ scores, weights }, mask) => {
    score.textContent = round(scores[i]);
    number.textContent = share(weights[i]);
    bar.style.setProperty("--weight", weights[i]);
    allowed.checked = mask[i];
    element.classList.toggle("qkv-masked", !mask[i]);
  };
  return { element, show };
}

// ---- the page

/** What the model holds, and what attention makes of it: one query, so one row. */
function compute(model) {
  const names = Object.keys(EDITABLE);
  const state = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const rows = attention({ ...state, query: [state.query], mask: [state.mask] });
  const [scores, weights, output] = [rows.scores[0], rows.weights[0], rows.output[0]];
  return { state, result: { scores, weights, output } };
}

function tools(page) {
  const slider = temperatureSlider(page);
  const scale = checkbox({}, (on) => page.edit("scale", on));
  const root = make("span", {}, "divide by \u221ad", make("sub", {}, "k"));
  const divide = make("label", {}, scale, root);
  const reset = make("button", { type: "button", onclick: page.reset }, "Reset");
  const element = make("div", { className: "qkv-tools" }, slider.label, divide, reset);
  const show = (state) => {
    slider.show(state.temperature);
    scale.checked = state.scale;
  };
  return { element, show };
}

function positionTable(page, labels) {
  const scoreHeader = columnHeader("score");
  const rows = labels.map((label, i) => positionRow(page, i, label));
  const table = make(
    "table",
    { role: "table" },
    make("caption", {}, "Change any number: the three steps follow."),
    tableHead(page, scoreHeader),
    make("tbody", { role: "rowgroup" }, ...rows.map((each) => each.element)),
  );
  const element = make("div", { className: "qkv-scroll" }, table);
  const show = (state, result) => {
    const divisor = state.scale ? [" / \u221ad", make("sub", {}, "k")] : [];
    scoreHeader.replaceChildren("score q\u00a0\u00b7\u00a0k", ...divisor);
    for (const each of rows) each.show(result, state.mask);
  };
  return { element, show };
}

/** The sum written out, the outcome in a sentence and, for d_v = 2, the picture. */
function conclusion(page, labels) {
  const sum = make("p", { className: "qkv-sum" });
  const live = make("p", { className: "qkv-live", "aria-live": "polite" });
  const picture = make("svg", { role: "img" });
  const isPlane = page.model.get("value")[0].length === 2;
  const text = make("div", {}, sum, live);
  const element = make("div", { className: "qkv-result" }, text, isPlane ? picture : "");
  let timer;
  const show = (state, result) => {
    sum.replaceChildren(...arithmetic(result, state.value));
    if (isPlane) drawPicture(picture, result, state.value, labels);
    const say = () => {
      live.textContent = complaints(page.fields) + outcome(result, labels);
    };
    clearTimeout(timer);
    if (live.textContent) timer = setTimeout(say, PAUSE_MS);
    else say();
  };
  return { element, show };
}

function render({ model, el }) {
  const page = { model, fields: [] };
  page.edit = (name, x) => {
    model.set(name, x);
    model.save_changes();
  };
  page.reset = () => {
    for (const [name, x] of Object.entries(model.get("start"))) model.set(name, x);
    model.save_changes();
    for (const field of page.fields) field.restore();
    page.refresh();
  };
  const labels = model.get("labels");
  const views = [tools(page), positionTable(page, labels), conclusion(page, labels)];
  page.refresh = () => {
    const { state, result } = compute(model);
    for (const part of [...page.fields, ...views]) part.show(state, result);
  };
  const elements = views.map((view) => view.element);
  return card({ model, el }, {
    name: "qkv", elements, linked: EDITABLE, refresh: page.refresh });
}

export default { render };
