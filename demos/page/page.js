// The player, and all of it put together.

// --- the player -------------------------------------------------------------------------------

let timer = null;
const nearestStep = (epoch) =>
  steps.reduce(
    (best, other, k) => (Math.abs(other - epoch) < Math.abs(steps[best] - epoch) ? k : best),
    0,
  );

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
  timer = setInterval(
    () => {
      if (state.step < steps.length - 1) goTo(state.step + 1);
      if (state.step === steps.length - 1) play(false);
    },
    still.matches ? 1200 : 500,
  );
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
  document.querySelector("h1").textContent =
    `${plural(standings().length, "architecture")}, one task: ${report.task}`;
  find("lead").textContent =
    `${plural(report.replicas, "replica")} of each, trained by one recipe for ${plural(report.epochs, "epoch")}` +
    (report.ceiling === null
      ? "."
      : `; the best possible accuracy is ${percent(report.ceiling)}\u00a0%.`) +
    (report.baselines.length
      ? ` To be beaten: ${report.baselines.map(([name, says]) => `${name.toLowerCase()}, ${says}`).join("; ")}.`
      : "");
  document.querySelector(".ceiling-key").hidden = report.ceiling === null;
  find("command").textContent = report.command;
  find("pictures-section").hidden = !report.pictures.length;
  find("pictures").replaceChildren(
    ...report.pictures.map(([label, src]) =>
      element(
        "figure",
        {},
        element("figcaption", {}, label),
        element("img", { src, alt: `The signature picture of ${label}` }),
      ),
    ),
  );
  find("recipe").replaceChildren(
    ...report.recipe.flatMap(([what, value]) => [
      element("dt", {}, what),
      element("dd", {}, value),
    ]),
  );

  const protocols = Object.keys(report.protocols);
  find("protocols").hidden = protocols.length < 2;
  protocols.forEach((name, k) => {
    const choice = element("input", { type: "radio", name: "protocol", value: name });
    choice.checked = k === 0;
    choice.addEventListener("change", () => {
      state.protocol = name;
      drawAll();
    });
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

  find("classes").replaceChildren(
    ...report.classes.map(({ name }, c) =>
      element("span", {}, ...(hasMaps ? [swatch(c)] : []), marker(c), name),
    ),
  );
  find("bayes-choice").hidden = !report.bayes;
  find("paints").hidden = !hasMaps;
  find("maps-section").hidden = !hasPoints;
  if (!hasMaps && hasPoints) {
    find("maps-title").textContent = "Which test points each gets wrong";
    find("place").textContent =
      `Across: ${report.axes[0]}; up: ${report.axes[1]}. Large points are taken for another class.`;
    find("no-maps").hidden = false;
    find("no-maps").textContent =
      report.features.length === 2
        ? "This run predicted no maps."
        : `The points have ${plural(report.features.length, "feature")}: a map of the plane needs exactly two` +
          (report.features.length > 2
            ? ", and any plane through more dimensions would hide what happens beside it. So the points are projected, and there are no boundaries."
            : ".");
  }
  for (const choice of document.querySelectorAll("[name=paint], #show-bayes, #show-strokes"))
    choice.addEventListener("change", paintPlanes);
  find("show-points").addEventListener("change", drawCursor);

  find("epoch").max = steps.length - 1;
  find("epoch").addEventListener("input", (event) => {
    play(false);
    goTo(Number(event.target.value));
  });
  find("play").addEventListener("click", () => play(timer === null));
  find("player").hidden = steps.length < 2;
  dark.addEventListener("change", paintPlanes);
  addEventListener("beforeprint", () => {
    drawCursor();
    drawCurves();
  });
  let width = 0; // a redrawn chart changes its height only
  new ResizeObserver(() => {
    if (width !== document.body.clientWidth) {
      width = document.body.clientWidth;
      drawCursor();
      drawCurves();
    }
  }).observe(document.body);
  drawAll();
}

begin();
