"use strict";
// The behaviour of the page. Names from outside enter by textContent only, never as HTML.

const report = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const dark = matchMedia("screen and (prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)");

// What is looked at. `cursor` is a place in the plane, in the data's own units.
const hasMaps = report.frames.length > 0;
const hasPoints = report.axes.length > 0;
const steps = hasMaps ? report.frames : Array.from({ length: report.epochs }, (_, k) => k + 1);
const state = {
  protocol: Object.keys(report.protocols)[0],
  step: steps.length - 1,
  read: null, // the epoch under the mouse in a chart
  replica: "median", // or "best" or "worst" of each architecture
  cursor: null,
  marked: null, // [true class, predicted class]
  hidden: new Set(), // labels whose curves are switched off
  sort: { key: "place", descending: false },
};
const standings = () => report.protocols[state.protocol].standings;
const percent = (share) => (100 * share).toFixed(1);
const unbroken = (text) => text.replaceAll(" ", "\u00a0").replaceAll(",\u00a0", ", ");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function coloured(made, one) {
  made.classList.add("coloured");
  made.style.setProperty("--family", one.colour);
  return made;
}

// --- markers: each class has a shape, of about the radius 1 -------------------------------------

const polygon = (...points) => `M${points.map((point) => point.join(" ")).join("L")}Z`;
const plus = [[-1, -0.35], [-0.35, -0.35], [-0.35, -1], [0.35, -1], [0.35, -0.35], [1, -0.35],
  [1, 0.35], [0.35, 0.35], [0.35, 1], [-0.35, 1], [-0.35, 0.35], [-1, 0.35]];
const SHAPES = {
  o: "M1 0A1 1 0 1 1 -1 0A1 1 0 1 1 1 0Z",
  s: polygon([-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]),
  D: polygon([0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]),
  "^": polygon([0, -1.15], [1.1, 0.85], [-1.1, 0.85]),
  v: polygon([0, 1.15], [-1.1, -0.85], [1.1, -0.85]),
  P: polygon(...plus),
  X: polygon(...plus.map(([x, y]) => [0.75 * (x - y), 0.75 * (x + y)])),
};

function marker(c) {
  const { marker, colour } = report.classes[c];
  return svg("svg", { width: 14, height: 14, viewBox: "-1.4 -1.4 2.8 2.8", "aria-hidden": "true" },
    svg("path", { d: SHAPES[marker], fill: colour }));
}

// --- the replica shown, and the probabilities: see pack() in build.py -----------------------------

const replicaOf = (one) => one.shown[state.replica] ?? one.shown.median;
const here = (one) => {
  const accuracy = `${percent(one.accuracies[replicaOf(one)])} %`;
  return report.replicas === 1 ? accuracy : `here ${accuracy}, all ${one.says.replace(" %", "")}`;
};

async function unpack({ sizes, planes, bytes }) {
  const packed = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const data = new Uint8Array(await new Response(stream).arrayBuffer());
  const half = data.length / 2;
  const classes = report.classes.length;
  let at = 0;
  return sizes.map((n) => {
    const values = new Int16Array(planes * n * n); // class by class, row by row from the bottom
    const total = new Int16Array(n * n);
    for (let c = 0; c < planes; c++)
      for (let k = 0, value = 0; k < n * n; k++, at++) {
        if (k % n === 0) value = 0;
        value += ((data[half + at] << 24) >> 16) | data[at];
        const p = c === classes - 1 ? 1000 - total[k] - value : value;
        values[c * n * n + k] = p;
        total[k] += p;
      }
    return { n, values, hasDoubt: planes > classes };
  });
}

/** The probabilities, in thousandths, at the point of the frame's grid that is nearest. */
function probabilities({ n, values }, [x, y]) {
  const k = Math.round(y * (n - 1)) * n + Math.round(x * (n - 1));
  return report.classes.map((_, c) => values[c * n * n + k]);
}

/** How unsure the prediction is in all, and the part of it on which the samples disagree: nats. */
function uncertainty(frame, at) {
  const total = probabilities(frame, at).reduce((sum, p) => sum - (p > 0 ? (p / 1000) * Math.log(p / 1000) : 0), 0);
  if (!frame.hasDoubt) return { total };
  const { n, values } = frame;
  const k = Math.round(at[1] * (n - 1)) * n + Math.round(at[0] * (n - 1));
  return { total, epistemic: Math.min(total, values[report.classes.length * n * n + k] / 1000) };
}

// --- the maps ---------------------------------------------------------------------------------

const SIDE = 256; // pixels of the painted plane; points and cross-hair are drawn finer
const BARS = 7; // of more classes only the most probable have a bar
const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;
let maps = []; // for each standing: {one, figure, says, canvas, plane, bars, unsure}
let bayes = null;
let mostDoubt = 0; // in thousandths of a nat

async function buildMaps() {
  if (!hasPoints) return;
  const built = await Promise.all(standings().map(async (one) => {
    const made = { one, canvas: element("canvas", { role: "img" }), says: element("small"), bars: [],
      plane: element("canvas", { width: SIDE, height: SIDE }), unsure: element("p", { class: "unsure" }) };
    if (hasMaps) {
      made.bars = report.classes.slice(0, BARS).map(() => {
        const [fill, number] = [element("i"), element("b")];
        return { row: element("div", { class: "bar" }, "", element("span", {}, fill), number), fill, number };
      });
      one.unpacked ??= Object.fromEntries(await Promise.all(
        Object.entries(report.maps[one.map]).map(async ([replica, packed]) => [replica, await unpack(packed)])));
      made.canvas.setAttribute("tabindex", 0);
      for (const kind of ["pointermove", "pointerdown"])
        made.canvas.addEventListener(kind, (event) => pointAt(made, event));
      made.canvas.addEventListener("keydown", (event) => moveByKey(made, event));
    }
    made.figure = element("figure", { class: "map" }, element("figcaption", {}, one.label, made.says),
      made.canvas, ...made.bars.map((bar) => bar.row), ...(hasMaps ? [made.unsure] : []));
    return made;
  }));
  if (report.bayes) bayes ??= (await unpack(report.bayes))[0];
  maps = built;
  if (hasMaps) state.cursor ??= placeAt(maps[0], [0.5, 0.5]);
  for (const { n, values, hasDoubt } of standings().flatMap((one) => Object.values(one.unpacked ?? {}).flat()))
    if (hasDoubt) mostDoubt = values.subarray(report.classes.length * n * n).reduce((a, b) => Math.max(a, b), mostDoubt);
  find("doubt-choice").hidden = !mostDoubt;
  find("maps").replaceChildren(...maps.map((map) => map.figure));
  nameMaps();
}

/** Each map says which replica it shows, and how that did. */
function nameMaps() {
  for (const { one, says, canvas } of maps) {
    says.textContent = unbroken(here(one));
    canvas.setAttribute("aria-label", hasMaps
      ? `Map of ${one.label}, ${here(one)}. Arrow keys move the cross-hair.`
      : `Test points of ${one.label}, ${here(one)}.`);
  }
}

/** What a map shows now: of the median replica there is a frame for each step, of others the last. */
function frameOf({ one }) {
  const frames = one.unpacked[replicaOf(one)];
  return frames[Math.min(state.step, frames.length - 1)];
}

const inside = (value) => Math.min(1, Math.max(0, value));
const reachOf = ({ one }) => report.reach[replicaOf(one)];

/** A place in the plane as fractions of a map's width and height, and back. */
function fractions(map, [x, y]) {
  const [left, right, bottom, top] = reachOf(map);
  return [inside((x - left) / (right - left)), inside((y - bottom) / (top - bottom))];
}

function placeAt(map, [u, v]) {
  const [left, right, bottom, top] = reachOf(map);
  return [left + inside(u) * (right - left), bottom + inside(v) * (top - bottom)];
}

function pointAt(map, event) {
  const box = map.canvas.getBoundingClientRect();
  state.cursor = placeAt(map, [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height]);
  soon(drawCursor);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

function moveByKey(map, event) {
  const arrow = ARROWS[event.key];
  if (!arrow) return;
  event.preventDefault();
  const far = event.shiftKey ? 0.1 : 0.02;
  state.cursor = placeAt(map, fractions(map, state.cursor).map((value, k) => value + far * arrow[k]));
  drawCursor();
  find("spoken").textContent = `${place()}: ` + maps.map((other) => {
    const p = probabilities(frameOf(other), fractions(other, state.cursor));
    const most = p.indexOf(Math.max(...p));
    return `${other.one.label}: ${report.classes[most].name}, ${(p[most] / 1000).toFixed(3)}`;
  }).join("; ");
}

/** Probabilities, winner and doubt on SIDE x SIDE pixels: bilinear between the grid's points. */
function upsample({ n, values, hasDoubt }, visit) {
  const classes = report.classes.length;
  const p = new Float32Array(classes);
  for (let row = 0; row < SIDE; row++) {
    const y = (1 - (row + 0.5) / SIDE) * (n - 1);
    const bottom = Math.min(Math.floor(y), n - 2);
    for (let column = 0; column < SIDE; column++) {
      const x = ((column + 0.5) / SIDE) * (n - 1);
      const left = Math.min(Math.floor(x), n - 2);
      const [u, v] = [x - left, y - bottom];
      const between = (plane) => {
        const k = plane * n * n + bottom * n + left;
        return (1 - v) * ((1 - u) * values[k] + u * values[k + 1]) +
          v * ((1 - u) * values[k + n] + u * values[k + n + 1]);
      };
      let winner = 0;
      for (let c = 0; c < classes; c++) {
        p[c] = between(c) / 1000;
        if (p[c] > p[winner]) winner = c;
      }
      visit(row * SIDE + column, p, winner, hasDoubt ? between(classes) : 0);
    }
  }
}

/** Where the winner changes: 1 for the pixels on a boundary. */
function boundary(winners) {
  return winners.map((winner, k) => Number(
    (k % SIDE && winners[k - 1] !== winner) || (k >= SIDE && winners[k - SIDE] !== winner)));
}

// What tells the classes' regions apart without their colours: where a class has a stroke.
const near = (value, step) => ((value % step) + step) % step < 1;
const STROKES = [
  () => false,
  (x, y) => near(x + y, 12),
  (x, y) => near(x - y, 12),
  (x) => near(x, 9),
  (x, y) => near(y, 9),
  (x, y) => near(x, 13) || near(y, 13),
  (x, y) => near(x + y, 17) || near(x - y, 17),
];

/** What a class's region looks like, for the legend. */
function swatch(c) {
  const made = element("canvas", { class: "swatch", width: 26, height: 13, "aria-hidden": "true" });
  const context = made.getContext("2d");
  context.fillStyle = report.classes[c].colour;
  for (let y = 0; y < 13; y++)
    for (let x = 0; x < 26; x++) {
      context.globalAlpha = STROKES[c % STROKES.length](x, y) ? 0.9 : 0.5;
      context.fillRect(x, y, 1, 1);
    }
  return made;
}

function paintPlane({ plane, ...map }) {
  const frame = frameOf(map);
  const context = plane.getContext("2d");
  const picture = context.createImageData(SIDE, SIDE);
  const [ground, ink] = dark.matches ? [24, 255] : [255, 0];
  const colours = report.classes.map(({ colour }) => rgb(colour));
  const winners = new Uint8Array(SIDE * SIDE);
  const paint = chosen("paint");
  const strokes = find("show-strokes").checked && paint === "class";
  upsample(frame, (k, p, winner, doubt) => {
    winners[k] = winner;
    const stroke = strokes && STROKES[winner % STROKES.length](k % SIDE, Math.floor(k / SIDE));
    const grey = paint === "doubt" ? (frame.hasDoubt ? doubt / mostDoubt : 0) : p[winner];
    for (let channel = 0; channel < 3; channel++) {
      let mixed = 0;
      if (paint === "class") {
        for (let c = 0; c < p.length; c++) mixed += p[c] * colours[c][channel];
        mixed = ground + (stroke ? 0.75 : 0.5) * (mixed - ground);
      } else mixed = ground + 0.85 * grey * (ink - ground);
      picture.data[4 * k + channel] = mixed;
    }
    picture.data[4 * k + 3] = 255;
  });
  const line = dark.matches ? 235 : 34;
  boundary(winners).forEach((on, k) => { if (on) picture.data.fill(line, 4 * k, 4 * k + 3); });
  if (bayes && find("show-bayes").checked) paintBayes(picture);
  context.putImageData(picture, 0, 0);
}

/** Bayes' boundary, as a dashed line of its own colour. */
function paintBayes(picture) {
  const winners = new Uint8Array(SIDE * SIDE);
  upsample(bayes, (k, p, winner) => { winners[k] = winner; });
  const colour = dark.matches ? [255, 255, 255] : [200, 0, 0];
  boundary(winners).forEach((on, k) => {
    if (on && ((k % SIDE) + Math.floor(k / SIDE)) % 9 < 5)
      for (const near of [k, k + 1]) colour.forEach((value, channel) => { picture.data[4 * near + channel] = value; });
  });
}

const PAINTS = {
  class: () => "",
  confidence: () => "The stronger the shade, the more probable the winner.",
  doubt: () => "The stronger the shade, the more the samples of a network disagree: its epistemic uncertainty, up to " +
    `${(mostDoubt / 1000).toFixed(2)} nats. A network that does not sample has none.`,
};

function paintPlanes() {
  if (hasMaps) maps.forEach(paintPlane);
  find("paint-says").textContent = PAINTS[chosen("paint")]();
  find("spoken").textContent = find("paint-says").textContent;
  drawCursor();
}

/** The painted plane, the points and the cross-hair of all maps, and their bars. */
function drawCursor() {
  for (const map of maps) {
    const { one, canvas, plane } = map;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    if (hasMaps) context.drawImage(plane, 0, 0, side, side);
    else {
      context.fillStyle = getComputedStyle(document.body).getPropertyValue("--panel");
      context.fillRect(0, 0, side, side);
    }
    if (!hasMaps || find("show-points").checked) drawPoints(context, side, one);
    if (hasMaps) drawCross(map, context, side);
  }
  if (hasMaps && maps.length) find("place").textContent = `At the cross-hair: ${place()}. Move it with the mouse, or with the arrow keys in a map.`;
}

function drawCross(map, context, side) {
  const frame = frameOf(map);
  const at = fractions(map, state.cursor);
  const [x, y] = at.map((value) => (Math.round(value * (frame.n - 1)) / (frame.n - 1)) * side);
  for (const [width, colour] of [[3, dark.matches ? "#000" : "#fff"], [1.2, dark.matches ? "#fff" : "#000"]]) {
    context.lineWidth = width * devicePixelRatio;
    context.strokeStyle = colour;
    context.stroke(new Path2D(`M${x} 0V${side}M0 ${side - y}H${side}`));
  }
  const p = probabilities(frame, at);
  const most = Math.max(...p);
  const shown = p.map((_, c) => c);
  if (shown.length > BARS) shown.sort((a, b) => p[b] - p[a]);
  map.bars.forEach(({ row, fill, number }, k) => {
    const c = shown[k];
    row.firstChild.replaceWith(marker(c));
    row.classList.toggle("most", p[c] === most);
    row.title = report.classes[c].name;
    fill.style.background = report.classes[c].colour;
    fill.style.width = `${p[c] / 10}%`;
    number.textContent = (p[c] / 1000).toFixed(3);
  });
  const { total, epistemic } = uncertainty(frame, at);
  if (!most) map.unsure.textContent = "no numbers: it diverged";
  else map.unsure.textContent = `entropy ${total.toFixed(2)}${epistemic === undefined ? "" : `, epistemic ${epistemic.toFixed(2)}`} nats`;
}

function place() {
  const [left, right, bottom, top] = reachOf(maps[0]);
  return report.axes.map((name, k) => `${name} = ${inUnits(state.cursor[k], k ? top - bottom : right - left)}`).join(", ");
}

/** A number with as many digits as a map of that width can tell apart. */
function inUnits(value, width) {
  const decimals = 2 - Math.floor(Math.log10(width));
  return decimals >= 0 && decimals <= 12 && Math.abs(value) < 1e9 ? value.toFixed(decimals) : value.toPrecision(4);
}

function drawPoints(context, side, one) {
  const size = Math.max(side / 85, 1.8 * devicePixelRatio);
  const guesses = one.guesses[replicaOf(one)];
  report.points[replicaOf(one)].forEach(([x, y, is], k) => {
    // Beside a map's colours a mistake is seen; without a map it is the larger point.
    const marked = state.marked ? state.marked[0] === is && state.marked[1] === guesses[k] : !hasMaps && is !== guesses[k];
    const radius = marked ? 2 * size : size;
    context.save();
    context.globalAlpha = (state.marked || !hasMaps) && !marked ? 0.25 : 1;
    context.translate((x / 1000) * side, (1 - y / 1000) * side);
    context.scale(radius, radius);
    context.lineWidth = 0.35;
    context.strokeStyle = dark.matches && hasMaps ? "#000" : dark.matches ? "#eee" : "#222";
    context.fillStyle = report.classes[is].colour;
    const shape = new Path2D(SHAPES[report.classes[is].marker]);
    context.fill(shape);
    context.stroke(shape);
    context.restore();
  });
}

// --- the ranking ------------------------------------------------------------------------------

function columns() {
  const others = Object.keys(report.protocols).filter((name) => name !== state.protocol);
  const elsewhere = (name, one) => report.protocols[name].standings.find((other) => other.label === one.label);
  return [
    { key: "place", title: "Rank", value: (one) => one.place, text: (one) => `#${one.place}${one.ties.includes(one.place - 1) ? " =" : ""}` },
    { key: "label", title: "Architecture", value: (one) => one.label.toLowerCase(), text: (one) => one.label },
    { key: "mean", title: "Accuracy", value: (one) => one.mean, text: (one) => one.says, kind: "number mean" },
    { key: "dots", kind: "dots" },
    ...others.map((name) => ({ key: `in ${name}`, title: `${name} protocol`, kind: "number detail",
      value: (one) => elsewhere(name, one)?.mean ?? -1, text: (one) => elsewhere(name, one)?.says ?? "" })),
    ...(report.ceiling === null ? [] : [{ key: "to_ceiling", title: "To ceiling", kind: "number detail",
      value: (one) => one.to_ceiling, text: (one) => one.to_ceiling.toFixed(1) }]),
    { key: "family", title: "Family", kind: "detail", value: (one) => one.family, text: (one) => one.family },
    { key: "seconds", title: "Time", kind: "number detail", value: (one) => one.seconds, text: (one) => `${one.seconds.toFixed(2)} s` },
    { key: "parameters", title: "Parameters", kind: "number detail", value: (one) => one.parameters, text: (one) => one.parameters.toLocaleString("en") },
  ];
}

function drawRanking() {
  const { key, descending } = state.sort;
  const shown = columns();
  const sorter = shown.find((column) => column.key === key) ?? shown[0];
  const order = [...standings()].sort((a, b) => {
    const [x, y] = [sorter.value(a), sorter.value(b)];
    return ((x > y) - (x < y)) * (descending ? -1 : 1) || a.place - b.place;
  });
  find("ranking").tHead.rows[0].replaceChildren(...shown.map((column) => {
    const cell = element("th", { scope: "col", class: column.kind ?? "" });
    if (!column.title) {
      cell.append(...span().map((share) => element("span", {}, `${(100 * share).toFixed(0)} %`)));
      return cell;
    }
    const button = element("button", { type: "button" }, column.title);
    if (column.key === key) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    button.addEventListener("click", () => {
      state.sort = { key: column.key, descending: column.key === key && !descending };
      drawRanking();
      [...find("ranking").tHead.querySelectorAll("button")].find((other) => other.textContent === column.title).focus();
    });
    cell.append(button);
    return cell;
  }));
  find("ranking").tBodies[0].replaceChildren(...order.map((one) => element("tr", {}, ...shown.map((column) => {
    if (column.key === "dots") return element("td", { class: "dots" }, dots(one));
    return element(column.key === "label" ? "th" : "td",
      { class: column.kind ?? "", "data-label": column.title, ...(column.key === "label" ? { scope: "row" } : {}) }, column.text(one));
  }))));
}

/** The whole percents between which all dots and intervals lie. */
function span() {
  const all = standings().flatMap((one) => [...one.accuracies, one.mean - (one.half_width ?? 0)]);
  return [Math.max(0, Math.floor(100 * Math.min(...all)) / 100), Math.min(1, Math.ceil(100 * Math.max(...all, report.ceiling ?? 0)) / 100)];
}

/** A strip of all replicas. */
function dots(one) {
  const [low, high] = span();
  const x = (share) => `${(100 * (Math.min(high, Math.max(low, share)) - low)) / (high - low || 1)}%`;
  const half = one.half_width ?? 0;
  const strip = svg("svg", { role: "img", "aria-label":
    `${one.says}; replicas: ${one.accuracies.map(percent).join(", ")}` });
  if (report.ceiling !== null)
    strip.append(svg("line", { class: "ceiling-line", x1: x(report.ceiling), x2: x(report.ceiling), y1: 0, y2: "100%" }));
  strip.append(svg("line", { x1: x(one.mean - half), x2: x(one.mean + half), y1: "38%", y2: "38%", stroke: "currentColor", "stroke-width": 5, opacity: 0.4 }));
  for (const accuracy of one.accuracies)
    strip.append(svg("circle", { cx: x(accuracy), cy: "78%", r: 2.5, fill: "currentColor", opacity: 0.65 }));
  strip.append(svg("circle", { cx: x(one.mean), cy: "38%", r: 5, fill: "currentColor" }));
  return coloured(strip, one);
}

// --- the curves -------------------------------------------------------------------------------

const DASHES = ["", "7 4", "2 4", "8 3 2 3", "12 2"];

function drawCurves() {
  const epoch = state.read ?? steps[state.step];
  for (const [id, values, title] of [
    ["loss", (one) => one.loss, `Training loss${state.protocol === "native" ? " (objectives differ)" : ""}`],
    ["accuracy", (one) => one.accuracy.map((share) => 100 * share), `Test accuracy (%)${report.watched < report.replicas ? `, first ${report.watched} replicas` : ""}`],
  ]) {
    find(`${id}-title`).textContent = title;
    find(id).setAttribute("aria-label", `${title} by epoch; the values are in the legend below`);
    drawChart(find(id), values, id === "loss", epoch);
  }
  find("lines").replaceChildren(...standings().map((one) => {
    const sample = svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, svg("line",
      { x1: 0, x2: 26, y1: 5, y2: 5, stroke: "currentColor", "stroke-width": 2.5, "stroke-dasharray": DASHES[one.member % DASHES.length] }));
    const numbers = epoch ? `: ${one.loss[epoch - 1]?.toPrecision(3) ?? "diverged"}, ${percent(one.accuracy[epoch - 1])} %` : "";
    const button = element("button", { type: "button", "aria-pressed": !state.hidden.has(one.label) },
      coloured(sample, one), `${one.label}${numbers}`);
    button.addEventListener("click", () => {
      if (!state.hidden.delete(one.label)) state.hidden.add(one.label);
      drawCurves();
      [...find("lines").children][standings().indexOf(one)].focus();
    });
    return button;
  }));
}

function drawChart(chart, values, mayBeLog, now) {
  const { width, height } = chart.getBoundingClientRect();
  const [left, right, top, bottom] = [44, 10, 8, 34];
  const seen = standings().filter((one) => !state.hidden.has(one.label));
  const all = seen.flatMap(values).filter((value) => value !== null);
  if (!all.length || !width) return chart.replaceChildren();
  const scale = mayBeLog ? lossScale(all) : (value) => value;
  const [low, high] = [scale(Math.min(...all)), scale(Math.max(...all))];
  const first = hasMaps ? 0 : Math.min(1, report.epochs - 1);
  const x = (epoch) => left + ((width - left - right) * (epoch - first)) / (report.epochs - first || 1);
  const y = (value) => height - bottom - ((height - top - bottom) * (scale(value) - low)) / (high - low || 1);
  const parts = [];
  for (const tick of ticks(Math.min(...all), Math.max(...all), mayBeLog && scale))
    parts.push(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(Number(tick.toPrecision(6)))));
  for (const tick of ticks(first, report.epochs).filter(Number.isInteger))
    parts.push(svg("text", { x: x(tick), y: height - bottom + 17, "text-anchor": "middle" }, String(tick)));
  parts.push(svg("text", { x: (left + width - right) / 2, y: height - 2, "text-anchor": "middle" }, "epoch"));
  parts.push(svg("line", { class: "now", x1: x(now), x2: x(now), y1: top, y2: height - bottom }));
  for (const one of seen) {
    let path = "";
    values(one).forEach((value, k) => {
      if (value !== null) path += `${path ? "L" : "M"}${x(k + 1).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    parts.push(coloured(svg("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-dasharray": DASHES[one.member % DASHES.length] }), one));
    if (report.epochs === 1 && values(one)[0] !== null)
      parts.push(coloured(svg("circle", { cx: x(1), cy: y(values(one)[0]), r: 4, fill: "currentColor" }), one));
  }
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`); // so that it fits when it is printed
  chart.replaceChildren(...parts);
  const epochAt = (event) => {
    const share = (event.clientX - chart.getBoundingClientRect().left - left) / (width - left - right);
    return Math.min(report.epochs, Math.max(1, Math.round(first + share * (report.epochs - first))));
  };
  const readAt = (epoch) => { state.read = epoch; soon(drawCurves); };
  chart.onpointermove = (event) => readAt(epochAt(event));
  chart.onpointerleave = () => readAt(null);
  chart.onclick = (event) => goTo(nearestStep(epochAt(event)));
}

/** Logarithmic; if losses reach zero or below, linear around it and logarithmic further out. */
function lossScale(losses) {
  if (Math.min(...losses) > 0) return Math.log;
  const LINEAR = 0.1; // up to there, as in the picture
  return (loss) => Math.sign(loss) * Math.log1p(Math.abs(loss) / LINEAR);
}

/** Round numbers from low to high, evenly spaced; on a loss's scale 0, powers of ten and 5 and 2
    times these, as many as have room, if that is enough. */
function ticks(low, high, scale) {
  if (scale) {
    const sizes = [0];
    for (const digit of [1, 5, 2])
      for (let power = 15; power >= -9; power--) sizes.push(Number(`${digit}e${power}`), Number(`-${digit}e${power}`));
    const room = (scale(high) - scale(low)) / 12;
    const kept = [];
    for (const tick of sizes.filter((size) => size >= low && size <= high))
      if (kept.every((other) => Math.abs(scale(tick) - scale(other)) >= room)) kept.push(tick);
    if (kept.length > 2) return kept;
  }
  const rough = (high - low || 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-9); k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// --- the confusion ----------------------------------------------------------------------------

function drawConfusions() {
  const few = report.classes.length <= 20;
  find("confusion-says").textContent = few
    ? `In % of the true class (down); across: the predicted class.${hasPoints ? " Click a cell to mark those test points above; again, to unmark them." : ""}`
    : `${report.classes.length} classes are too many for a table that could be read.`;
  const names = report.classes.map(({ name }) => name.replace(/^class /, ""));
  find("confusions").replaceChildren(...(few ? standings() : []).map((one) => element("figure", {},
    element("figcaption", {}, one.label, element("small", {}, one.says)),
    confusion(one, names))));
}

function confusion(one, names) {
  const head = element("tr", {}, element("th"), ...names.map((name) => element("th", { scope: "col", title: name }, name)));
  const table = element("table", { "aria-label": `Confusion of ${one.label}`, class: names.length > 8 ? "many" : "few" }, head);
  one.confusion.forEach((counts, i) => {
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    const row = element("tr", {}, element("th", { scope: "row", title: names[i] }, names[i]));
    counts.forEach((count, j) => {
      const share = count / total;
      const cell = shaded(element("td", { tabindex: i + j ? -1 : 0, title: `${names[i]} taken for ${names[j]}: ${count}` },
        count ? (share < 0.005 ? "<1" : (100 * share).toFixed(0)) : ""), share);
      if (hasPoints) markable(cell, table, i, j);
      row.append(cell);
    });
    table.append(row);
  });
  return table;
}

function markable(cell, table, i, j) {
  const isMarked = () => state.marked?.[0] === i && state.marked[1] === j;
  cell.setAttribute("role", "button");
  cell.setAttribute("aria-pressed", isMarked());
  const toggle = () => {
    state.marked = isMarked() ? null : [i, j];
    for (const other of document.querySelectorAll("#confusions [aria-pressed]"))
      other.setAttribute("aria-pressed", Boolean(state.marked) && other.dataset.at === `${i} ${j}`);
    drawCursor();
  };
  cell.dataset.at = `${i} ${j}`;
  cell.addEventListener("click", toggle);
  cell.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (event.key === "Enter" || event.key === " ") toggle();
    else if (arrow) table.querySelector(`[data-at="${i - arrow[1]} ${j + arrow[0]}"]`)?.focus();
    else return;
    event.preventDefault();
  });
}

// --- what a network that chooses features looks at -----------------------------------------------

function drawMasks() {
  const choosing = standings().filter(({ masks }) => masks.length);
  find("masks-section").hidden = !choosing.length;
  find("masks").replaceChildren(...choosing.map(({ label, masks }) => {
    const steps = masks[0].length - 2;
    const heads = ["", ...Array.from({ length: steps }, (_, k) => `step ${k + 1}`), "in all"];
    const table = element("table", {}, element("caption", {}, label),
      element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head))));
    for (const [name, ...shares] of masks)
      table.append(element("tr", {}, element("th", { scope: "row", title: name }, name),
        ...shares.map((share) => shaded(element("td", {}, (100 * share).toFixed(0)), share))));
    return table;
  }));
}

/** A cell as dark as its share of a whole. */
function shaded(cell, share) {
  cell.style.background = `color-mix(in srgb, var(--ink) ${Math.round(72 * share)}%, var(--panel))`;
  if (share > 0.5) cell.style.color = "var(--paper)";
  return cell;
}

// --- the player -------------------------------------------------------------------------------

let timer = null;
const nearestStep = (epoch) => steps.reduce((best, other, k) => Math.abs(other - epoch) < Math.abs(steps[best] - epoch) ? k : best, 0);

function goTo(step) {
  const onlyLast = state.replica !== "median";
  if (onlyLast) step = steps.length - 1;
  for (const id of ["play", "epoch"]) find(id).disabled = onlyLast;
  find("only-last").hidden = !onlyLast;
  state.step = step;
  const slider = find("epoch");
  slider.value = step;
  const says = steps[step] ? `${steps[step]} of ${report.epochs}` : "untrained";
  find("epoch-says").textContent = says;
  slider.setAttribute("aria-valuetext", says);
  soon(drawStep);
}

function play(on) {
  clearInterval(timer);
  timer = null;
  find("play").textContent = on ? "Pause" : "Play";
  find("play").setAttribute("aria-pressed", on);
  if (!on) return;
  if (state.step === steps.length - 1) goTo(0);
  timer = setInterval(() => {
    if (state.step < steps.length - 1) goTo(state.step + 1);
    if (state.step === steps.length - 1) play(false);
  }, still.matches ? 1200 : 500);
}

function drawStep() {
  paintPlanes();
  drawCurves();
}

// Many events become one drawing, when the screen is next refreshed.
const waiting = new Set();
function soon(draw) {
  if (!waiting.size)
    requestAnimationFrame(() => {
      const draws = [...waiting];
      waiting.clear();
      for (const each of draws) each();
    });
  waiting.add(draw);
}

// --- all of it --------------------------------------------------------------------------------

async function drawAll() {
  const { notes, takeaways } = report.protocols[state.protocol];
  const items = (sentences) => sentences.map((sentence) => element("li", {}, sentence));
  find("notes").replaceChildren(...items(notes));
  find("takeaways").replaceChildren(...items(takeaways));
  drawRanking();
  drawConfusions();
  drawMasks();
  await buildMaps();
  goTo(state.step);
}

function begin() {
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  document.querySelector("h1").textContent = `${plural(standings().length, "architecture")}, one task: ${report.task}`;
  find("lead").textContent = `${plural(report.replicas, "replica")} of each, trained by one recipe for ${plural(report.epochs, "epoch")}` +
    (report.ceiling === null ? "." : `; the best possible accuracy is ${percent(report.ceiling)}\u00a0%.`) +
    (report.baselines.length ? ` To be beaten: ${report.baselines.map(([name, says]) => `${name.toLowerCase()}, ${says}`).join("; ")}.` : "");
  document.querySelector(".ceiling-key").hidden = report.ceiling === null;
  find("command").textContent = report.command;
  find("pictures-section").hidden = !report.pictures.length;
  find("pictures").replaceChildren(...report.pictures.map(([label, src]) =>
    element("figure", {}, element("figcaption", {}, label), element("img", { src, alt: `The signature picture of ${label}` }))));
  find("recipe").replaceChildren(...report.recipe.flatMap(([what, value]) => [element("dt", {}, what), element("dd", {}, value)]));

  const protocols = Object.keys(report.protocols);
  find("protocols").hidden = protocols.length < 2;
  protocols.forEach((name, k) => {
    const choice = element("input", { type: "radio", name: "protocol", value: name });
    choice.checked = k === 0;
    choice.addEventListener("change", () => { state.protocol = name; drawAll(); });
    find("protocols").append(element("label", {}, choice, ` ${name}`));
  });

  const several = standings().some(({ shown }) => new Set(Object.values(shown)).size > 1);
  find("replicas").hidden = !several;
  for (const choice of document.querySelectorAll("[name=replica]"))
    choice.addEventListener("change", () => {
      play(false);
      state.replica = choice.value;
      nameMaps();
      goTo(steps.length - 1);
    });

  find("classes").replaceChildren(...report.classes.map(({ name }, c) =>
    element("span", {}, ...(hasMaps ? [swatch(c)] : []), marker(c), name)));
  find("bayes-choice").hidden = !report.bayes;
  find("paints").hidden = !hasMaps;
  find("maps-section").hidden = !hasPoints;
  if (!hasMaps && hasPoints) {
    find("maps-title").textContent = "Which test points each gets wrong";
    find("place").textContent = `Across: ${report.axes[0]}; up: ${report.axes[1]}. Large points are taken for another class.`;
    find("no-maps").hidden = false;
    find("no-maps").textContent = report.features.length === 2
      ? "This run predicted no maps."
      : `The points have ${plural(report.features.length, "feature")}: a map of the plane needs exactly two` +
        (report.features.length > 2 ? ", and any plane through more dimensions would hide what happens beside it. So the points are projected, and there are no boundaries." : ".");
  }
  for (const choice of document.querySelectorAll("[name=paint], #show-bayes, #show-strokes")) choice.addEventListener("change", paintPlanes);
  find("show-points").addEventListener("change", drawCursor);

  find("epoch").max = steps.length - 1;
  find("epoch").addEventListener("input", (event) => { play(false); goTo(Number(event.target.value)); });
  find("play").addEventListener("click", () => play(timer === null));
  find("player").hidden = steps.length < 2;
  dark.addEventListener("change", paintPlanes);
  addEventListener("beforeprint", () => { drawCursor(); drawCurves(); });
  let width = 0; // a redrawn chart changes its height only
  new ResizeObserver(() => {
    if (width !== document.body.clientWidth) { width = document.body.clientWidth; drawCursor(); drawCurves(); }
  }).observe(document.body);
  drawAll();
}

begin();
