// The ranking, the confusions, and what a network that chooses features looks at.

// --- the ranking ------------------------------------------------------------------------------

function columns() {
  const others = Object.keys(report.protocols).filter((name) => name !== state.protocol);
  const elsewhere = (name, one) =>
    report.protocols[name].standings.find((other) => other.label === one.label);
  return [
    {
      key: "place",
      title: "Rank",
      value: (one) => one.place,
      text: (one) => `#${one.place}${one.ties.includes(one.place - 1) ? " =" : ""}`,
    },
    {
      key: "label",
      title: "Architecture",
      value: (one) => one.label.toLowerCase(),
      text: (one) => one.label,
    },
    {
      key: "mean",
      title: "Accuracy",
      value: (one) => one.mean,
      text: (one) => one.says,
      kind: "number mean",
    },
    { key: "dots", kind: "dots" },
    ...others.map((name) => ({
      key: `in ${name}`,
      title: `${name} protocol`,
      kind: "number detail",
      value: (one) => elsewhere(name, one)?.mean ?? -1,
      text: (one) => elsewhere(name, one)?.says ?? "",
    })),
    ...(report.ceiling === null
      ? []
      : [
          {
            key: "to_ceiling",
            title: "To ceiling",
            kind: "number detail",
            value: (one) => one.to_ceiling,
            text: (one) => one.to_ceiling.toFixed(1),
          },
        ]),
    {
      key: "family",
      title: "Family",
      kind: "detail",
      value: (one) => one.family,
      text: (one) => one.family,
    },
    {
      key: "seconds",
      title: "Time",
      kind: "number detail",
      value: (one) => one.seconds,
      text: (one) => `${one.seconds.toFixed(2)} s`,
    },
    {
      key: "parameters",
      title: "Parameters",
      kind: "number detail",
      value: (one) => one.parameters,
      text: (one) => one.parameters.toLocaleString("en"),
    },
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
  find("ranking").tHead.rows[0].replaceChildren(
    ...shown.map((column) => {
      const cell = element("th", { scope: "col", class: column.kind ?? "" });
      if (!column.title) {
        cell.append(...span().map((share) => element("span", {}, `${(100 * share).toFixed(0)} %`)));
        return cell;
      }
      const button = element("button", { type: "button" }, column.title);
      if (column.key === key)
        cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      button.addEventListener("click", () => {
        state.sort = { key: column.key, descending: column.key === key && !descending };
        drawRanking();
        [...find("ranking").tHead.querySelectorAll("button")]
          .find((other) => other.textContent === column.title)
          .focus();
      });
      cell.append(button);
      return cell;
    }),
  );
  find("ranking").tBodies[0].replaceChildren(
    ...order.map((one) =>
      element(
        "tr",
        {},
        ...shown.map((column) => {
          if (column.key === "dots") return element("td", { class: "dots" }, dots(one));
          return element(
            column.key === "label" ? "th" : "td",
            {
              class: column.kind ?? "",
              "data-label": column.title,
              ...(column.key === "label" ? { scope: "row" } : {}),
            },
            column.text(one),
          );
        }),
      ),
    ),
  );
}

/** The whole percents between which all dots and intervals lie. */
function span() {
  const all = standings().flatMap((one) => [...one.accuracies, one.mean - (one.half_width ?? 0)]);
  return [
    Math.max(0, Math.floor(100 * Math.min(...all)) / 100),
    Math.min(1, Math.ceil(100 * Math.max(...all, report.ceiling ?? 0)) / 100),
  ];
}

/** A strip of all replicas. */
function dots(one) {
  const [low, high] = span();
  const x = (share) =>
    `${(100 * (Math.min(high, Math.max(low, share)) - low)) / (high - low || 1)}%`;
  const half = one.half_width ?? 0;
  const strip = svg("svg", {
    role: "img",
    "aria-label": `${one.says}; replicas: ${one.accuracies.map(percent).join(", ")}`,
  });
  if (report.ceiling !== null)
    strip.append(
      svg("line", {
        class: "ceiling-line",
        x1: x(report.ceiling),
        x2: x(report.ceiling),
        y1: 0,
        y2: "100%",
      }),
    );
  strip.append(
    svg("line", {
      x1: x(one.mean - half),
      x2: x(one.mean + half),
      y1: "38%",
      y2: "38%",
      stroke: "currentColor",
      "stroke-width": 5,
      opacity: 0.4,
    }),
  );
  for (const accuracy of one.accuracies)
    strip.append(
      svg("circle", { cx: x(accuracy), cy: "78%", r: 2.5, fill: "currentColor", opacity: 0.65 }),
    );
  strip.append(svg("circle", { cx: x(one.mean), cy: "38%", r: 5, fill: "currentColor" }));
  return coloured(strip, one);
}

// --- the confusion ----------------------------------------------------------------------------

function drawConfusions() {
  const few = report.classes.length <= 20;
  find("confusion-says").textContent = few
    ? `In % of the true class (down); across: the predicted class.${hasPoints ? " Click a cell to mark those test points above; again, to unmark them." : ""}`
    : `${report.classes.length} classes are too many for a table that could be read.`;
  const names = report.classes.map(({ name }) => name.replace(/^class /, ""));
  find("confusions").replaceChildren(
    ...(few ? standings() : []).map((one) =>
      element(
        "figure",
        {},
        element("figcaption", {}, one.label, element("small", {}, one.says)),
        confusion(one, names),
      ),
    ),
  );
}

function confusion(one, names) {
  const head = element(
    "tr",
    {},
    element("th"),
    ...names.map((name) => element("th", { scope: "col", title: name }, name)),
  );
  const table = element(
    "table",
    { "aria-label": `Confusion of ${one.label}`, class: names.length > 8 ? "many" : "few" },
    head,
  );
  one.confusion.forEach((counts, i) => {
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    const row = element("tr", {}, element("th", { scope: "row", title: names[i] }, names[i]));
    counts.forEach((count, j) => {
      const share = count / total;
      const cell = shaded(
        element(
          "td",
          { tabindex: i + j ? -1 : 0, title: `${names[i]} taken for ${names[j]}: ${count}` },
          count ? (share < 0.005 ? "<1" : (100 * share).toFixed(0)) : "",
        ),
        share,
      );
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
  find("masks").replaceChildren(
    ...choosing.map(({ label, masks }) => {
      const steps = masks[0].length - 2;
      const heads = ["", ...Array.from({ length: steps }, (_, k) => `step ${k + 1}`), "in all"];
      const table = element(
        "table",
        {},
        element("caption", {}, label),
        element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head))),
      );
      for (const [name, ...shares] of masks)
        table.append(
          element(
            "tr",
            {},
            element("th", { scope: "row", title: name }, name),
            ...shares.map((share) => shaded(element("td", {}, (100 * share).toFixed(0)), share)),
          ),
        );
      return table;
    }),
  );
}

/** A cell as dark as its share of a whole. */
function shaded(cell, share) {
  cell.style.background = `color-mix(in srgb, var(--ink) ${Math.round(72 * share)}%, var(--panel))`;
  if (share > 0.5) cell.style.color = "var(--paper)";
  return cell;
}
