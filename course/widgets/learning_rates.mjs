// The loss under different learning rates: all curves, one of them strong, and beside them where each ends.
// A slider chooses the rate. Where Python answers, the reader types a rate of their own: Python trains with
// it, and the run joins the picture. Nothing is trained or judged here.
//
// render(el, state, ask) -> {update(state), destroy()}
//   state: {runs, floor, chosen, scale}, see learning_rates.py
//   ask({type: "run", rate}) -> Promise of the next state; null where no Python answers (the web site)

const LEFT = 34; // pixels: where the axis of losses stands
const THUMB = 20; // the slider's handle, so that it stands under its mark

export function render(el, state, ask) {
  let { runs, floor, chosen, scale } = state;
  let places = []; // per run where its mark stands, in pixels of the right panel
  let busy = false;

  const run = () => runs.find(({ rate }) => rate === chosen);
  const log = (rate) => Math.log10(rate);
  const number = (rate) => String(+rate.toPrecision(6));

  // ------------------------------------------------------------------ what there is to see
  const root = make("div", { class: "learning-rates", role: "group", "aria-label": "Learning rates", "data-lm-suppress-shortcuts": "true" });
  const said = make("p", { class: "lr-said", "aria-live": "polite" });
  const panels = make("div", { class: "lr-panels" });
  const [curves, ends] = ["Loss while training", "Loss at the end, by learning rate"].map((title) => {
    const panel = make("div");
    const svg = draw("svg", { "aria-hidden": "true" }); // the sentences say it in words
    panel.append(make("p", { class: "lr-title" }, title), svg);
    panels.append(panel);
    return svg;
  });
  const slider = make("input", { type: "range", step: "any", "aria-label": "Learning rate" });
  ends.after(slider);
  const form = make("form", { class: "lr-own", novalidate: "" });
  const typed = make("input", { type: "text", inputmode: "decimal", size: 6, autocomplete: "off", placeholder: "0.7" });
  const label = make("label", {}, "A rate of your own");
  label.append(typed);
  const go = make("button", { type: "submit" }, "Run");
  form.append(label, go);
  const problem = make("p", { class: "lr-problem", role: "alert" });
  const note = make("p", { class: "lr-note" });
  root.append(make("style", {}, CSS), said, panels, ...(ask ? [form, problem] : []), note);
  el.replaceChildren(root);

  // ------------------------------------------------------------------ the two panels
  /** One panel: a frame, the losses on its axis, the losses to compare with. Gives its measures. */
  function panel(svg, named) {
    const width = svg.clientWidth || 320;
    const height = svg.clientHeight || 220;
    const [low, high] = scale.span;
    const bottom = height - 22;
    // What is too high to be shown leaves the panel at its top; null is a loss that was no number.
    const up = (loss) => 8 + (bottom - 8) * (1 - (Math.min(loss ?? Infinity, 3 * high) - low) / (high - low));
    const across = (share) => LEFT + 10 + share * (width - LEFT - 24);
    const parts = [draw("path", { class: "lr-axis", d: `M${LEFT} 0V${bottom}H${width}` })];
    for (const loss of scale.ticks) parts.push(text(LEFT - 5, up(loss) + 4, number(loss), "end"));
    for (const [name, loss] of Object.entries(floor)) {
      parts.push(draw("path", { class: "lr-floor", d: `M${LEFT} ${up(loss)}H${width}` }));
      if (named) parts.push(text(width - 4, up(loss) - 4, `${name} ${loss.toFixed(2)}`, "end"));
    }
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(...parts);
    return { width, height, up, across };
  }

  function drawCurves() {
    const { width, height, up, across } = panel(curves, true);
    const last = Math.max(...runs.map(({ losses }) => losses.at(-1)[0])) || 1;
    const strongLast = [...runs].sort((a, b) => (a.rate === chosen) - (b.rate === chosen));
    const lines = strongLast.map(({ rate, losses, diverged }) =>
      draw("polyline", {
        class: `lr-curve${rate === chosen ? " lr-chosen" : ""}${diverged ? " lr-diverged" : ""}`,
        points: losses.map(([step, loss]) => `${across(step / last).toFixed(1)},${up(loss).toFixed(1)}`).join(" "),
      }),
    );
    curves.firstChild.after(...lines); // under the names
    curves.append(text(across(0), height - 6, "0"), text(width - 2, height - 6, `step ${last.toLocaleString("en")}`, "end"));
  }

  function drawEnds() {
    const { width, height, up, across } = panel(ends, false);
    const [first, last] = [log(runs[0].rate), log(runs.at(-1).rate)];
    const place = (x) => across(last > first ? (x - first) / (last - first) : 0.5);
    const top = (loss) => Math.max(8, up(loss));
    places = runs.map(({ rate }) => place(log(rate)));
    const here = place(log(chosen));
    ends.append(draw("path", { class: "lr-here", d: `M${here} ${top(run().final)}V${height - 22}` }));
    ends.append(draw("polyline", { class: "lr-curve", points: runs.map(({ final }, i) => `${places[i]},${up(final)}`).join(" ") }));
    runs.forEach(({ rate, final, diverged, own }, i) => {
      const form = diverged ? "m-5-5l10 10m0-10l-10 10" : own ? "m-5-5h10v10h-10z" : "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0";
      const look = `lr-mark${diverged ? " lr-diverged" : ""}${rate === chosen ? " lr-chosen" : ""}`;
      ends.append(draw("path", { class: look, d: `M${places[i]} ${top(final)}${form}` }));
    });
    const every = Math.ceil(scale.powers.length / Math.max(2, Math.floor(width / 48)));
    for (const power of scale.powers.filter((_, i) => i % every === 0)) ends.append(text(place(power), height - 6, number(10 ** power)));
    // The slider's handle stands under its mark: its middle goes from half a handle to half a handle.
    slider.min = first;
    slider.max = last > first ? last : first + 1;
    slider.style.width = `${across(1) - across(0) + THUMB}px`;
    slider.style.marginLeft = `${across(0) - THUMB / 2}px`;
    slider.hidden = runs.length < 2;
  }

  function show() {
    drawCurves();
    drawEnds();
    slider.value = log(chosen);
    slider.setAttribute("aria-valuetext", number(chosen));
    if (!busy) tell(run().said);
    const marks = [
      runs.some(({ diverged }) => diverged) && "A cross: training diverged.",
      runs.some(({ own }) => own) && "A square: a rate of your own.",
      !ask && "In JupyterLab you can give a rate of your own, and your code trains with it.",
    ];
    note.textContent = marks.filter(Boolean).join(" ");
  }

  function tell(words) {
    if (said.textContent !== words) said.textContent = words;
  }

  function take(next) {
    ({ runs, floor, chosen, scale } = next);
    show();
  }

  function choose(i) {
    chosen = runs[Math.min(runs.length - 1, Math.max(0, i))].rate;
    problem.textContent = "";
    show();
  }

  // ------------------------------------------------------------------ what the reader does
  const nearest = (far) => runs.reduce((best, _, i) => (far(i) < far(best) ? i : best), 0);
  const keys = (event) => {
    event.stopPropagation(); // JupyterLab would move to another notebook cell
    const i = runs.indexOf(run());
    const n = runs.length - 1;
    const moves = { ArrowRight: i + 1, ArrowUp: i + 1, ArrowLeft: i - 1, ArrowDown: i - 1, PageUp: i + 3, PageDown: i - 3, Home: 0, End: n };
    if (event.target !== slider || !(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // from rate to rate, not by pixels
    choose(moves[event.key]);
  };

  async function proceed(event) {
    event.preventDefault();
    if (busy) return;
    const rate = Number(typed.value.trim().replace(",", ".") || NaN);
    problem.textContent = rate > 0 && rate < Infinity ? "" : "Type a positive number, such as 0.7.";
    if (problem.textContent) return typed.focus();
    busy = true;
    go.setAttribute("aria-disabled", "true"); // not `disabled`: that would drop the keyboard's focus
    root.setAttribute("aria-busy", "true");
    tell(`Your code trains with learning rate ${number(rate)} …`);
    try {
      take(await ask({ type: "run", rate }));
    } catch (error) {
      problem.textContent = `Your code stopped: ${error.message}`;
    } finally {
      busy = false;
      go.removeAttribute("aria-disabled");
      root.removeAttribute("aria-busy");
      show();
    }
  }

  slider.addEventListener("input", () => choose(nearest((i) => Math.abs(log(runs[i].rate) - slider.value))));
  ends.addEventListener("click", ({ offsetX }) => choose(nearest((i) => Math.abs(places[i] - offsetX))));
  form.addEventListener("submit", proceed);
  root.addEventListener("keydown", keys);
  let width = 0;
  const sized = new ResizeObserver(() => {
    if (!root.clientWidth || root.clientWidth === width) return;
    width = root.clientWidth;
    show();
  });
  sized.observe(root);

  show();
  return {
    update: take,
    destroy() {
      sized.disconnect();
      el.replaceChildren();
    },
  };
}

const text = (x, y, words, anchor = "middle") => draw("text", { x, y, "text-anchor": anchor }, words);
const draw = (tag, attributes, text) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, text);
const make = (tag, attributes, text) => fill(document.createElement(tag), attributes, text);

function fill(made, attributes = {}, text = "") {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const CSS = `
.learning-rates { --ink: 8 81 156; --mark: #b34700; --paper: var(--pst-color-background, var(--jp-layout-color0, Canvas));
  max-width: 46rem; margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
html[data-theme="dark"] .learning-rates, [data-jp-theme-light="false"] .learning-rates {
  --ink: 125 200 255; --mark: #ffb066; }
.learning-rates p { margin: .3rem 0; }
.learning-rates .lr-said { min-height: 2.8em; font-variant-numeric: tabular-nums; }
.learning-rates .lr-panels { display: grid; gap: .5rem 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
.learning-rates .lr-panels > div { min-width: 0; }
.learning-rates .lr-title { font-weight: 600; }
.learning-rates svg { display: block; width: 100%; height: 15rem; overflow: hidden; }
.learning-rates .lr-panels > div + div svg { cursor: pointer; }
.learning-rates text { font-size: 12px; fill: currentColor; stroke: var(--paper); stroke-width: 3px; paint-order: stroke; }
.learning-rates path, .learning-rates polyline { fill: none; stroke: currentColor; }
.learning-rates .lr-axis { stroke-opacity: .6; }
.learning-rates .lr-floor { stroke-opacity: .6; stroke-dasharray: 4 4; }
.learning-rates .lr-curve { stroke-opacity: .3; stroke-linejoin: round; }
.learning-rates .lr-curve.lr-chosen { stroke: rgb(var(--ink)); stroke-opacity: 1; stroke-width: 2.5; }
.learning-rates .lr-curve.lr-chosen.lr-diverged { stroke: var(--mark); }
.learning-rates .lr-here { stroke-opacity: .35; }
.learning-rates .lr-mark { fill: var(--paper); stroke: rgb(var(--ink)); stroke-width: 1.5; }
.learning-rates .lr-mark.lr-diverged { fill: none; stroke: var(--mark); }
.learning-rates .lr-mark.lr-chosen { fill: rgb(var(--ink)); stroke-width: 4; }
.learning-rates input[type="range"] { display: block; appearance: none; height: 1.8rem; padding: 0; background: transparent; cursor: pointer; }
.learning-rates input[type="range"][hidden] { display: none; }
.learning-rates ::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: rgb(var(--ink) / .4); }
.learning-rates ::-moz-range-track { height: 4px; border-radius: 2px; background: rgb(var(--ink) / .4); }
.learning-rates ::-webkit-slider-thumb { appearance: none; width: ${THUMB}px; height: ${THUMB}px; margin-top: -8px;
  border: 0; border-radius: 50%; background: rgb(var(--ink)); }
.learning-rates ::-moz-range-thumb { width: ${THUMB}px; height: ${THUMB}px; border: 0; border-radius: 50%; background: rgb(var(--ink)); }
.learning-rates .lr-own { display: flex; flex-wrap: wrap; gap: .4rem .6rem; align-items: center; margin: .5rem 0; }
.learning-rates label { display: flex; gap: .5rem; align-items: center; margin: 0; }
.learning-rates .lr-own input, .learning-rates button { font: inherit; color: inherit; padding: 0 .6rem;
  border: 1px solid currentColor; border-radius: .3rem; height: 2rem; box-sizing: border-box; background: transparent; }
.learning-rates button { background: rgb(var(--ink) / .15); padding: 0 .9rem; cursor: pointer; }
.learning-rates [aria-disabled], .learning-rates[aria-busy] .lr-panels { opacity: .6; }
.learning-rates :focus-visible { outline: 3px solid var(--mark); outline-offset: 1px; }
.learning-rates .lr-problem { color: var(--mark); }
.learning-rates .lr-problem:empty, .learning-rates .lr-note:empty { display: none; }
.learning-rates .lr-note { font-size: .8rem; }
@media print { .learning-rates input, .learning-rates form { display: none; } }
`;
