// The explorer of chapter 1. Stands behind attention_math.js, base.js and link.js.

const CHOICES = ["task", "hidden", "budget"];
const MODELS = [
  { name: "attention", mark: "\u25cf", attention: true, className: "explorer-attention" },
  { name: "one vector", mark: "\u25a0", attention: false, className: "explorer-vector" },
];
const HEIGHT = 270;
const MARGIN = { top: 28, right: 92, bottom: 46, left: 28 };
const LINE = 18; // how far apart two names must stand

// ---- text

const accuracy = (x) => x.toFixed(2);
const between = ([first, last], to) => (first === last ? `${first}` : first + to + last);
const isBeyond = (task, bin) => bin >= task.trained;
const effort = (budget) => (budget === 1 ? "one budget" : `${budget} budgets`);

/** The lengths of a bin in words: "13 to 16 digits". */
function lengths(task, bin) {
  const [one, several] = task.units;
  const unit = task.bins[bin][1] === 1 ? one : several;
  return `${between(task.bins[bin], " to ")} ${unit}`;
}

/** One sentence: what each model reaches at the chosen length. */
function outcome({ state, task, runs, bin }) {
  const beyond = isBeyond(task, bin) ? ", longer than in training" : "";
  const reached = MODELS.map(({ name }, i) =>
    `${name} ${runs[i] ? accuracy(runs[i].mean[bin]) : "not trained"}`).join(", ");
  return `With ${state.hidden} numbers of state and ${effort(state.budget)}, ` +
    `${lengths(task, bin)}${beyond}: ${reached}.`;
}

// ---- what is chosen

/** Everything the parts of the page show: the task, its two runs, the chosen bin. */
function look(page) {
  const state = Object.fromEntries(CHOICES.map((name) => [name, page.model.get(name)]));
  const task = page.model.get("tasks").find(({ name }) => name === state.task);
  const runs = MODELS.map(({ attention: seen }) => task.runs.find((run) =>
    run.attention === seen && run.hidden === state.hidden && run.budget === state.budget));
  const bin = page.model.get("bin"); // of another task, if it was changed from outside
  return { state, task, runs, bin: task.bins[bin] ? bin : task.trained - 1 };
}

/** The settings of a run that has the choice just made and as many others as can be. */
function nearest(tasks, wanted, chosen) {
  const settings = tasks.flatMap(({ name, runs }) =>
    runs.map(({ hidden, budget }) => ({ task: name, hidden, budget })));
  const order = [chosen, ...CHOICES.filter((name) => name !== chosen)];
  const fit = (setting) =>
    order.reduce((sum, name) => 2 * sum + (setting[name] === wanted[name]), 0);
  return settings.reduce((best, each) => (fit(each) > fit(best) ? each : best));
}

/** The groups for task, hidden size and budget. */
function tools(page) {
  const tasks = page.model.get("tasks");
  const distinct = (task, name) =>
    [...new Set(task.runs.map((run) => run[name]))].sort((a, b) => a - b);
  const training = (task, budget) =>
    `${effort(budget)} (${(budget * task.steps).toLocaleString("en")} steps)`;
  const group = (name, legend, options) => radioGroup(name, legend,
    ({ state, task }) => ({ options: options(task), chosen: state[name] }),
    (x) => page.choose(name, x));
  const groups = [
    group("task", "Task", () => tasks.map(({ name, title }) => [name, title])),
    group("hidden", "Hidden size", (task) => distinct(task, "hidden").map((x) => [x, `${x}`])),
    group("budget", "Training", (task) =>
      distinct(task, "budget").map((x) => [x, training(task, x)])),
  ];
  const elements = groups.map((group) => group.element);
  const show = (view) => groups.forEach((group) => group.show(view));
  return { element: make("div", { className: "explorer-tools" }, ...elements), show };
}

// ---- the chart

/** Where things go in a drawing of this width. */
function places(task, width) {
  const { top, right, bottom, left } = MARGIN;
  const step = (width - left - right) / task.bins.length;
  return {
    step,
    end: width - right,
    x: (bin) => left + step * (bin + 0.5),
    y: (share) => HEIGHT - bottom - share * (HEIGHT - top - bottom),
  };
}

/** The ground the lines stand on; what was not trained on is shaded and says so. */
function ground({ task, bin }, { x, y, step, end }) {
  const start = x(task.trained) - step / 2;
  const beyond = task.trained === task.bins.length ? [] : [
    make("path", { d: `M${start} ${y(0)}V${y(1)}H${end}V${y(0)}`, class: "explorer-beyond" }),
    svgText("longer than in training", end, y(1) - 11, "end"),
  ];
  const grid = [0, 0.5, 1].flatMap((share) => [
    make("path", { d: `M${MARGIN.left} ${y(share)}H${end}`, class: "explorer-grid" }),
    svgText(share, MARGIN.left - 7, y(share) + 4, "end"),
  ]);
  const names = task.bins.map((lengths, i) => svgText(between(lengths, "\u2013"),
    x(i), y(0) + 19, "middle", i === bin ? "explorer-chosen" : ""));
  const chosen = make("path", { d: `M${x(bin)} ${y(0)}V${y(1)}`, class: "explorer-here" });
  const middle = (MARGIN.left + end) / 2;
  return [...beyond, ...grid, chosen, ...names,
    svgText("accuracy", 0, y(1) - 11, "start"),
    svgText(`length in ${task.units[1]}`, middle, HEIGHT - 6, "middle")];
}

/** One model: a band from the lowest to the highest seed, the mean, its markers. */
function curve({ low, mean, high }, { mark, className }, { x, y }) {
  const points = (shares) => shares.map((share, i) => `${x(i)},${y(share)}`);
  const band = [...points(high), ...points(low).reverse()].join(" ");
  const marker = (share, i) => mark === "\u25cf"
    ? make("circle", { cx: x(i), cy: y(share), r: 4.5 })
    : make("path", { d: `M${x(i) - 4} ${y(share) - 4}h8v8h-8z`, class: "explorer-square" });
  return make("g", { class: className },
    make("polygon", { points: band }),
    make("path", { d: `M${points(mean).join("L")}`, class: "explorer-line" }),
    ...mean.map(marker));
}

/** Each line's name at its end; two that would touch move apart. */
function lineNames(runs, { x, y, end }) {
  const ends = runs.map((run) => run && y(run.mean.at(-1)));
  const gap = ends[1] - ends[0]; // how far the second is below the first
  const apart = Math.abs(gap) < LINE ? (gap < 0 ? gap + LINE : gap - LINE) / 2 : 0;
  return MODELS.map(({ name, mark, className }, i) => runs[i] ? svgText(`${mark} ${name}`,
    end + 4, ends[i] + 4 + (i ? -apart : apart), "start", `${className} explorer-name`) : "");
}

function drawChart(svg, view, width) {
  const at = places(view.task, width);
  const curves = view.runs.map((run, i) => (run ? curve(run, MODELS[i], at) : ""));
  svg.setAttribute("aria-label", "Line chart of sequence accuracy against length, for " +
    `${view.task.title}; the table below has its numbers`);
  svg.replaceChildren(...ground(view, at), ...curves, ...lineNames(view.runs, at));
}

// ---- the numbers and the examples, as text

const small = (text) => make("small", {}, text);
const shade = (i, bin) => (i === bin ? "explorer-chosen" : "");

function resultRow({ name, mark, className }, run, { task, bin }) {
  const header = rowHeader(`${mark} ${name}`, "");
  header.append(small(run ? `seeds ${run.seeds.join(", ")}` : "not trained"));
  const numbers = (i) => [accuracy(run.mean[i]),
    small(`${accuracy(run.low[i])} to ${accuracy(run.high[i])}`)];
  return row(className, header, ...task.bins.map((_, i) =>
    cell(shade(i, bin), ...(run ? numbers(i) : ["\u2013"]))));
}

function resultTable() {
  const element = make("table", { role: "table" });
  const show = (view) => {
    const { task, runs, bin } = view;
    const headers = task.bins.map((each, i) => {
      const header = columnHeader(between(each, " to "), shade(i, bin));
      if (isBeyond(task, i)) header.append(small("not trained on"));
      return header;
    });
    const corner = columnHeader(`length in ${task.units[1]}`);
    element.replaceChildren(
      make("caption", {}, `Sequence accuracy on ${task.title}, the share of answers ` +
        "without a mistake: the mean, and the lowest to the highest seed."),
      make("thead", { role: "rowgroup" }, row("", corner, ...headers)),
      make("tbody", { role: "rowgroup" },
        ...MODELS.map((each, i) => resultRow(each, runs[i], view))),
    );
  };
  return { element, show };
}

/** What a model wrote: wrong words are marked, gaps say how many words they miss. */
function written({ verdict, pieces }, target) {
  const kinds = {
    same: (text) => text,
    wrong: (text) => make("mark", {}, text),
    missing: (n) => make("i", {}, `[${n} missing]`),
  };
  const all = pieces.length ? pieces : [["same", target]]; // nothing cut: all is right
  const text = all.flatMap(([kind, x]) => [" ", kinds[kind](x)]);
  return [make("strong", {}, `${verdict}:`), ...text];
}

function example(task, runs, index) {
  const line = (name, ...children) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, ...children));
  const { source, target } = task.examples[index];
  const answers = MODELS.map(({ name, mark }, i) => runs[i] ? line(`${mark} ${name}`,
    ...written(runs[i].written[index], target)) : "");
  return make("dl", {}, line("source", source), line("right answer", target), ...answers);
}

/** The examples of the chosen length, and the buttons that choose it. */
function examples(page) {
  const read = ({ task, bin }) =>
    ({ options: task.bins.map((_, i) => [i, lengths(task, i)]), chosen: bin });
  const group = radioGroup("bin", "Examples of length", read,
    (bin) => page.pick(bin));
  const note = make("p", {});
  const list = make("div", {});
  const show = (view) => {
    const { task, runs, bin } = view;
    const inside = [...task.examples.keys()].filter((i) => task.examples[i].bin === bin);
    group.show(view);
    note.textContent = `${inside.length} of the ${task.tested[bin]} inputs tested ` +
      "at this length, and what the first seed of each model wrote.";
    list.replaceChildren(...inside.map((i) => example(task, runs, i)));
  };
  return { element: make("div", {}, group.element, note, list), show };
}

// ---- the page

/** What a link may ask for: a task, a size and a budget that some run has, and a bin. */
function linkable(tasks) {
  const some = (name) => (x) => tasks.some(({ runs }) => runs.some((run) => run[name] === x));
  const named = (name) => tasks.find((task) => task.name === name);
  return {
    task: named,
    hidden: some("hidden"),
    budget: some("budget"),
    bin: (x, { task }) => named(task).bins[x] !== undefined,
  };
}

function render({ model, el }) {
  const tasks = model.get("tasks");
  const picture = drawing(HEIGHT, drawChart);
  const page = { model };
  page.choose = (name, x) => {
    const { state, bin } = look(page);
    const asked = { ...state, bin, [name]: x };
    if (name === "task") asked.bin = tasks.find((task) => task.name === x).trained - 1;
    apply(asked, name);
  };
  page.pick = (bin) => {
    model.set("bin", bin);
    model.save_changes();
  };
  const apply = ({ bin, ...wanted }, chosen = "task") => {
    const settings = { ...nearest(tasks, wanted, chosen), bin };
    for (const [name, x] of Object.entries(settings)) model.set(name, x);
    model.save_changes();
  };
  const live = make("p", { className: "explorer-live", "aria-live": "polite" });
  const sentence = { element: live, show: (view) => (live.textContent = outcome(view)) };
  const views = [tools(page), sentence, picture, resultTable(), examples(page)];
  const refresh = () => {
    const view = look(page);
    for (const part of views) part.show(view);
  };
  const stop = card({ model, el }, {
    tag: "form",
    name: "explorer",
    elements: views.map((view) => view.element),
    linked: linkable(tasks),
    apply,
    refresh,
    stop: picture.stop,
  });
  el.firstElementChild.addEventListener("submit", (event) => event.preventDefault());
  return stop;
}

export default { render };
