"use strict";
// What the page knows and what is looked at. Names from outside enter by textContent only, never as
// HTML.

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
const plus = [
  [-1, -0.35],
  [-0.35, -0.35],
  [-0.35, -1],
  [0.35, -1],
  [0.35, -0.35],
  [1, -0.35],
  [1, 0.35],
  [0.35, 0.35],
  [0.35, 1],
  [-0.35, 1],
  [-0.35, 0.35],
  [-1, 0.35],
];
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
  return svg(
    "svg",
    { width: 14, height: 14, viewBox: "-1.4 -1.4 2.8 2.8", "aria-hidden": "true" },
    svg("path", { d: SHAPES[marker], fill: colour }),
  );
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
  const total = probabilities(frame, at).reduce(
    (sum, p) => sum - (p > 0 ? (p / 1000) * Math.log(p / 1000) : 0),
    0,
  );
  if (!frame.hasDoubt) return { total };
  const { n, values } = frame;
  const k = Math.round(at[1] * (n - 1)) * n + Math.round(at[0] * (n - 1));
  return { total, epistemic: Math.min(total, values[report.classes.length * n * n + k] / 1000) };
}
