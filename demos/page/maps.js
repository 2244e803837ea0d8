// The linked maps: the plane as each sees it, test points, the cross-hair and what is said there.

const SIDE = 256; // pixels of the painted plane; points and cross-hair are drawn finer
const BARS = 7; // of more classes only the most probable have a bar
const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
const chosen = (name) => document.querySelector(`[name=${name}]:checked`).value;
let maps = []; // for each standing: {one, figure, says, canvas, plane, bars, unsure}
let bayes = null;
let mostDoubt = 0; // in thousandths of a nat

async function buildMaps() {
  if (!hasPoints) return;
  const asked = state.protocol;
  const built = await Promise.all(
    standings().map(async (one) => {
      const made = {
        one,
        canvas: element("canvas", { role: "img" }),
        says: element("small"),
        bars: [],
        plane: element("canvas", { width: SIDE, height: SIDE }),
        unsure: element("p", { class: "unsure" }),
      };
      if (hasMaps) {
        made.bars = report.classes.slice(0, BARS).map(() => {
          const [fill, number] = [element("i"), element("b")];
          return {
            row: element("div", { class: "bar" }, "", element("span", {}, fill), number),
            fill,
            number,
          };
        });
        one.unpacked ??= Object.fromEntries(
          await Promise.all(
            Object.entries(report.maps[one.map]).map(async ([replica, packed]) => [
              replica,
              await unpack(packed),
            ]),
          ),
        );
        made.canvas.setAttribute("tabindex", 0);
        for (const kind of ["pointermove", "pointerdown"])
          made.canvas.addEventListener(kind, (event) => pointAt(made, event));
        made.canvas.addEventListener("keydown", (event) => moveByKey(made, event));
      }
      made.figure = element(
        "figure",
        { class: "map" },
        element("figcaption", {}, one.label, made.says),
        made.canvas,
        ...made.bars.map((bar) => bar.row),
        ...(hasMaps ? [made.unsure] : []),
      );
      return made;
    }),
  );
  if (report.bayes) bayes ??= (await unpack(report.bayes))[0];
  if (asked !== state.protocol) return; // another one was asked for meanwhile
  maps = built;
  if (hasMaps) state.cursor ??= placeAt(maps[0], [0.5, 0.5]);
  for (const { n, values, hasDoubt } of standings().flatMap((one) =>
    Object.values(one.unpacked ?? {}).flat(),
  ))
    if (hasDoubt)
      mostDoubt = values
        .subarray(report.classes.length * n * n)
        .reduce((a, b) => Math.max(a, b), mostDoubt);
  find("doubt-choice").hidden = !mostDoubt;
  find("maps").replaceChildren(...maps.map((map) => map.figure));
  nameMaps();
}

/** Each map says which replica it shows, and how that did. */
function nameMaps() {
  for (const { one, says, canvas } of maps) {
    says.textContent = unbroken(here(one));
    canvas.setAttribute(
      "aria-label",
      hasMaps
        ? `Map of ${one.label}, ${here(one)}. Arrow keys move the cross-hair.`
        : `Test points of ${one.label}, ${here(one)}.`,
    );
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
  state.cursor = placeAt(map, [
    (event.clientX - box.left) / box.width,
    1 - (event.clientY - box.top) / box.height,
  ]);
  soon(drawCursor);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

function moveByKey(map, event) {
  const arrow = ARROWS[event.key];
  if (!arrow) return;
  event.preventDefault();
  const far = event.shiftKey ? 0.1 : 0.02;
  state.cursor = placeAt(
    map,
    fractions(map, state.cursor).map((value, k) => value + far * arrow[k]),
  );
  drawCursor();
  find("spoken").textContent =
    `${place()}: ` +
    maps
      .map((other) => {
        const p = probabilities(frameOf(other), fractions(other, state.cursor));
        const most = p.indexOf(Math.max(...p));
        return `${other.one.label}: ${report.classes[most].name}, ${(p[most] / 1000).toFixed(3)}`;
      })
      .join("; ");
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
        return (
          (1 - v) * ((1 - u) * values[k] + u * values[k + 1]) +
          v * ((1 - u) * values[k + n] + u * values[k + n + 1])
        );
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
  return winners.map((winner, k) =>
    Number((k % SIDE && winners[k - 1] !== winner) || (k >= SIDE && winners[k - SIDE] !== winner)),
  );
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
  boundary(winners).forEach((on, k) => {
    if (on) picture.data.fill(line, 4 * k, 4 * k + 3);
  });
  if (bayes && find("show-bayes").checked) paintBayes(picture);
  context.putImageData(picture, 0, 0);
}

/** Bayes' boundary, as a dashed line of its own colour. */
function paintBayes(picture) {
  const winners = new Uint8Array(SIDE * SIDE);
  upsample(bayes, (k, p, winner) => {
    winners[k] = winner;
  });
  const colour = dark.matches ? [255, 255, 255] : [200, 0, 0];
  boundary(winners).forEach((on, k) => {
    if (on && ((k % SIDE) + Math.floor(k / SIDE)) % 9 < 5)
      for (const near of [k, k + 1])
        colour.forEach((value, channel) => {
          picture.data[4 * near + channel] = value;
        });
  });
}

const PAINTS = {
  class: () => "",
  confidence: () => "The stronger the shade, the more probable the winner.",
  doubt: () =>
    "The stronger the shade, the more the samples of a network disagree: its epistemic uncertainty, up to " +
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
  if (hasMaps && maps.length)
    find("place").textContent =
      `At the cross-hair: ${place()}. Move it with the mouse, or with the arrow keys in a map.`;
}

function drawCross(map, context, side) {
  const frame = frameOf(map);
  const at = fractions(map, state.cursor);
  const [x, y] = at.map((value) => (Math.round(value * (frame.n - 1)) / (frame.n - 1)) * side);
  for (const [width, colour] of [
    [3, dark.matches ? "#000" : "#fff"],
    [1.2, dark.matches ? "#fff" : "#000"],
  ]) {
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
  else
    map.unsure.textContent = `entropy ${total.toFixed(2)}${epistemic === undefined ? "" : `, epistemic ${epistemic.toFixed(2)}`} nats`;
}

function place() {
  const [left, right, bottom, top] = reachOf(maps[0]);
  return report.axes
    .map((name, k) => `${name} = ${inUnits(state.cursor[k], k ? top - bottom : right - left)}`)
    .join(", ");
}

/** A number with as many digits as a map of that width can tell apart. */
function inUnits(value, width) {
  const decimals = 2 - Math.floor(Math.log10(width));
  return decimals >= 0 && decimals <= 12 && Math.abs(value) < 1e9
    ? value.toFixed(decimals)
    : value.toPrecision(4);
}

function drawPoints(context, side, one) {
  const size = Math.max(side / 85, 1.8 * devicePixelRatio);
  const guesses = one.guesses[replicaOf(one)];
  report.points[replicaOf(one)].forEach(([x, y, is], k) => {
    // Beside a map's colours a mistake is seen; without a map it is the larger point.
    const marked = state.marked
      ? state.marked[0] === is && state.marked[1] === guesses[k]
      : !hasMaps && is !== guesses[k];
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
