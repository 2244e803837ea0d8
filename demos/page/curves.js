// Loss and accuracy by epoch, with a read-out at the mouse.

const DASHES = ["", "7 4", "2 4", "8 3 2 3", "12 2"];

function drawCurves() {
  const epoch = state.read ?? steps[state.step];
  for (const [id, values, title] of [
    [
      "loss",
      (one) => one.loss,
      `Training loss${state.protocol === "native" ? " (objectives differ)" : ""}`,
    ],
    [
      "accuracy",
      (one) => one.accuracy.map((share) => 100 * share),
      `Test accuracy (%)${report.watched < report.replicas ? `, first ${report.watched} replicas` : ""}`,
    ],
  ]) {
    find(`${id}-title`).textContent = title;
    find(id).setAttribute("aria-label", `${title} by epoch; the values are in the legend below`);
    drawChart(find(id), values, id === "loss", epoch);
  }
  find("lines").replaceChildren(
    ...standings().map((one) => {
      const sample = svg(
        "svg",
        { width: 26, height: 10, "aria-hidden": "true" },
        svg("line", {
          x1: 0,
          x2: 26,
          y1: 5,
          y2: 5,
          stroke: "currentColor",
          "stroke-width": 2.5,
          "stroke-dasharray": DASHES[one.member % DASHES.length],
        }),
      );
      const numbers = epoch
        ? `: ${one.loss[epoch - 1]?.toPrecision(3) ?? "diverged"}, ${percent(one.accuracy[epoch - 1])} %`
        : "";
      const button = element(
        "button",
        { type: "button", "aria-pressed": !state.hidden.has(one.label) },
        coloured(sample, one),
        `${one.label}${numbers}`,
      );
      button.addEventListener("click", () => {
        if (!state.hidden.delete(one.label)) state.hidden.add(one.label);
        drawCurves();
        [...find("lines").children][standings().indexOf(one)].focus();
      });
      return button;
    }),
  );
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
  const x = (epoch) =>
    left + ((width - left - right) * (epoch - first)) / (report.epochs - first || 1);
  const y = (value) =>
    height - bottom - ((height - top - bottom) * (scale(value) - low)) / (high - low || 1);
  const parts = [];
  for (const tick of ticks(Math.min(...all), Math.max(...all), mayBeLog && scale))
    parts.push(
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      svg(
        "text",
        { x: left - 6, y: y(tick) + 4, "text-anchor": "end" },
        String(Number(tick.toPrecision(6))),
      ),
    );
  for (const tick of ticks(first, report.epochs).filter(Number.isInteger))
    parts.push(
      svg("text", { x: x(tick), y: height - bottom + 17, "text-anchor": "middle" }, String(tick)),
    );
  parts.push(
    svg("text", { x: (left + width - right) / 2, y: height - 2, "text-anchor": "middle" }, "epoch"),
  );
  parts.push(svg("line", { class: "now", x1: x(now), x2: x(now), y1: top, y2: height - bottom }));
  for (const one of seen) {
    let path = "";
    values(one).forEach((value, k) => {
      if (value !== null)
        path += `${path ? "L" : "M"}${x(k + 1).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    parts.push(
      coloured(
        svg("path", {
          d: path,
          fill: "none",
          stroke: "currentColor",
          "stroke-width": 2,
          "stroke-dasharray": DASHES[one.member % DASHES.length],
        }),
        one,
      ),
    );
    if (report.epochs === 1 && values(one)[0] !== null)
      parts.push(
        coloured(
          svg("circle", { cx: x(1), cy: y(values(one)[0]), r: 4, fill: "currentColor" }),
          one,
        ),
      );
  }
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`); // so that it fits when it is printed
  chart.replaceChildren(...parts);
  const epochAt = (event) => {
    const share =
      (event.clientX - chart.getBoundingClientRect().left - left) / (width - left - right);
    return Math.min(
      report.epochs,
      Math.max(1, Math.round(first + share * (report.epochs - first))),
    );
  };
  const readAt = (epoch) => {
    state.read = epoch;
    soon(drawCurves);
  };
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
      for (let power = 15; power >= -9; power--)
        sizes.push(Number(`${digit}e${power}`), Number(`-${digit}e${power}`));
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
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-9); k++)
    found.push(Number((k * step).toPrecision(12)));
  return found;
}
