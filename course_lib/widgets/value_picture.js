// Values of two numbers as points, the convex hull they span, and the output inside it.

const PICTURE = { width: 300, height: 210, margin: 34 };

/** Corners of the convex hull, in order (Andrew's monotone chain). */
function hull(points) {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const turn = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
  const chain = (list) => {
    const corners = [];
    for (const point of list) {
      while (corners.length > 1 && turn(...corners.slice(-2), point) <= 0) corners.pop();
      corners.push(point);
    }
    return corners.slice(0, -1);
  };
  return [...chain(sorted), ...chain(sorted.reverse())];
}

/** A map from the plane of the values to the drawing; each direction fills its room. */
function projection(points) {
  const { width, height, margin } = PICTURE;
  const along = (axis, from, to) => {
    const all = points.map((point) => point[axis]);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    if (low === high) return () => (from + to) / 2;
    return (point) => from + ((to - from) * (point[axis] - low)) / (high - low);
  };
  const x = along(0, margin, width - margin);
  const y = along(1, height - margin, margin);
  return (point) => [x(point), y(point)];
}

/** "capital (2, 0)": one text for all words whose values coincide. */
function pointLabels(value, labels) {
  const words = new Map();
  value.forEach((point, i) => {
    const at = vector(point);
    words.set(at, { point, words: [...(words.get(at)?.words ?? []), labels[i]] });
  });
  return [...words].map(([at, group]) => {
    const more = group.words.length > 3 ? ` +${group.words.length - 2}` : "";
    const named = group.words.slice(0, more ? 2 : 3).join(", ");
    return { point: group.point, text: `${named}${more} ${at}` };
  });
}

function drawPicture(svg, { weights, output }, value, labels) {
  const { width, height } = PICTURE;
  const project = projection([...value, output]);
  const text = (content, [x, y], className) => {
    const side = x < width / 3 ? "start" : x > (2 * width) / 3 ? "end" : "middle";
    return make("text", { x, y, "text-anchor": side, class: className }, content);
  };
  const corners = hull(value).map((point) => project(point).join(",")).join(" ");
  const dots = value.map((point, i) => {
    const [cx, cy] = project(point);
    return make("circle", { cx, cy, r: 3 + 9 * Math.sqrt(weights[i]) });
  });
  const names = pointLabels(value, labels).map(({ point, text: name }) => {
    const [x, y] = project(point);
    return text(name, [x, y > height / 2 ? y + 26 : y - 18], "qkv-point-name");
  });
  const [x, y] = project(output);
  const mark = make("path", { d: `M${x - 7} ${y}h14M${x} ${y - 7}v14`, class: "qkv-mark" });
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-label",
    `The values as points, the shape they span, and the output ${vector(output)} inside it`);
  svg.replaceChildren(make("polygon", { points: corners }), ...dots, ...names, mark,
    text("output", [x, y - 11], "qkv-mark-name"));
}
