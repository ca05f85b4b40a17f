// The plane as a network sees it: each cell has the colour of the class that wins there, stronger
// where it is surer. A slider goes through the frames of training. "Train on" asks Python for more.
//
// render(el, state, ask) -> {update(state), destroy()}
//   state: {points, frames, names, at, colors}, see decision_boundary.py
//   ask(message) -> Promise of the next state; null where no Python answers (the web site)

const LEVELS = 10;
const CODE = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"; // class * LEVELS + level → one character
const SIDE = 320;
const MARKS = ["", "m-3.6-3.6h7.2v7.2h-7.2z", "m0-5l4.6 8h-9.2z", "m0-5.2l4.6 5.2l-4.6 5.2l-4.6-5.2z"];

export function render(el, state, ask) {
  let at = state.at;
  let timer = null;
  let busy = false;
  let size = 0; // cells a side, of the frame that is drawn
  let cells = [];

  // ------------------------------------------------------------------ what there is to see
  const root = make("div", { class: "decision-boundary", role: "group", "aria-label": "Decision boundary", "data-lm-suppress-shortcuts": "true" });
  const style = make("style");
  style.textContent = CSS;
  const svg = shape("svg", { viewBox: `-1 -1 ${SIDE + 2} ${SIDE + 2}`, role: "img", class: "db-map" });
  const title = shape("title");
  const ground = shape("g", { "shape-rendering": "crispEdges" });
  const frame = shape("rect", { width: SIDE, height: SIDE, class: "db-frame" });
  const points = shape("g", { class: "db-points" });
  const border = shape("path", { class: "db-border" }); // between cells where different classes win
  svg.append(title, ground, border, frame, points);
  const legend = make("p", { class: "db-legend" });
  const line = make("p", { class: "db-line" });
  const said = make("p", { class: "db-hidden", role: "status" });
  const play = make("button", { type: "button", class: "db-play" }, "Play");
  const more = make("button", { type: "button", class: "db-more" }, "Train on");
  const slider = make("input", { type: "range", min: 0, class: "db-slider", "aria-label": "Stage of training" });
  const bar = make("div", { class: "db-bar" });
  bar.append(play, slider);
  if (ask) bar.append(more);
  const problem = make("p", { class: "db-problem", role: "alert" });
  const curve = shape("svg", { viewBox: `0 0 ${SIDE} 64`, class: "db-curve", "aria-hidden": "true" });
  const note = make("p", { class: "db-note" });
  note.textContent =
    "Colour: the class that wins at this place, stronger where it is surer; lines: where the winner changes. Signs: the points of the task. Below: the loss." +
    (ask ? "" : " “Train on” is there in JupyterLab: your own code takes the steps.");
  root.append(style, line, bar, problem, svg, legend, curve, note, said);
  el.replaceChildren(root);

  const text = (one) =>
    `Step ${one.step.toLocaleString("en")} · loss ${one.loss.toFixed(3)}` +
    (one.accuracy === undefined ? "" : ` · accuracy ${Math.round(one.accuracy * 100)}%`);

  /** A point's sign: circle, square, triangle, diamond. */
  function mark(k, x, y) {
    const made = k ? shape("path", { d: `M${x} ${y}${MARKS[k]}` }) : shape("circle", { cx: x, cy: y, r: 4 });
    made.setAttribute("fill", state.colors[k]);
    return made;
  }

  // ------------------------------------------------------------------ drawing
  /** What stays while one goes through the frames. */
  function build() {
    const span = state.frames[0].span;
    const place = (v) => (SIDE * (v / span + 1)) / 2;
    points.replaceChildren(
      ...state.points
        .filter(([x, y]) => Math.max(Math.abs(x), Math.abs(y)) <= span)
        .map(([x, y, k]) => mark(k, place(x).toFixed(1), place(-y).toFixed(1))),
    );
    legend.replaceChildren(
      ...state.names.map((name, k) => {
        const one = make("span");
        const key = shape("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" });
        key.append(mark(k, 0, 0));
        one.append(key, name);
        return one;
      }),
    );
    slider.max = state.frames.length - 1;
    bar.classList.toggle("db-single", state.frames.length < 2);
    drawCurve();
    draw();
  }

  /** The loss of all frames as a line; a circle on it shows where one is. */
  function drawCurve() {
    const [first, last] = [state.frames[0].step, state.frames.at(-1).step];
    const top = Math.max(...state.frames.map((one) => one.loss));
    const spots = state.frames.map((one) => [
      8 + ((SIDE - 16) * (one.step - first)) / (last - first || 1),
      56 - (48 * one.loss) / (top || 1),
    ]);
    const way = spots.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
    const here = shape("circle", { r: 5, class: "db-here" });
    curve.replaceChildren(shape("path", { d: `M8 56H${SIDE - 8}`, class: "db-zero" }), shape("path", { d: `M${way}` }), here);
    curve.at = (k) => {
      here.setAttribute("cx", spots[k][0]);
      here.setAttribute("cy", spots[k][1]);
    };
    curve.style.display = state.frames.length > 1 ? "" : "none";
  }

  function draw() {
    const one = state.frames[at];
    if (one.grid.length !== size * size) {
      size = Math.round(Math.sqrt(one.grid.length));
      for (const part of [ground, border]) part.setAttribute("transform", `scale(${SIDE / size})`);
      cells = [...one.grid].map((_, k) => shape("rect", { x: k % size, y: Math.floor(k / size), width: 1, height: 1 }));
      ground.replaceChildren(...cells);
    }
    const share = state.names.map(() => 0);
    const codes = [...one.grid].map((sign) => CODE.indexOf(sign));
    const winners = codes.map((code) => Math.floor(code / LEVELS));
    let way = "";
    winners.forEach((winner, k) => {
      const [row, col] = [Math.floor(k / size), k % size];
      if (col + 1 < size && winners[k + 1] !== winner) way += `M${col + 1} ${row}v1`;
      if (row + 1 < size && winners[k + size] !== winner) way += `M${col} ${row + 1}h1`;
      share[winner] += 1;
      cells[k].setAttribute("fill", state.colors[winner]);
      cells[k].setAttribute("fill-opacity", (0.08 + (0.5 * (codes[k] % LEVELS)) / (LEVELS - 1)).toFixed(2));
    });
    border.setAttribute("d", way);
    const parts = state.names.map((name, k) => `${name} ${Math.round((100 * share[k]) / one.grid.length)}%`);
    line.textContent = text(one);
    title.textContent = `${text(one)}. Of the plane: ${parts.join(", ")}.`;
    svg.setAttribute("aria-label", title.textContent);
    slider.value = at;
    slider.setAttribute("aria-valuetext", text(one));
    curve.at(at);
  }

  // ------------------------------------------------------------------ what the reader does
  function go(to) {
    at = Math.min(state.frames.length - 1, Math.max(0, to));
    draw();
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }
  function start() {
    go(at === state.frames.length - 1 ? 0 : at + 1);
    play.textContent = "Pause";
    timer = setInterval(() => {
      if (!root.isConnected || at === state.frames.length - 1) return stop();
      go(at + 1);
    }, 700);
  }
  async function trainOn() {
    if (busy) return;
    busy = true;
    stop();
    more.setAttribute("aria-disabled", "true"); // not `disabled`: that would drop the keyboard's focus
    more.textContent = "Training …";
    problem.textContent = "";
    try {
      update(await ask({ type: "more", more: true, at: state.frames.length - 1 }));
      said.textContent = title.textContent;
    } catch (error) {
      problem.textContent = `Your code stopped: ${error.message}`;
    } finally {
      busy = false;
      more.removeAttribute("aria-disabled");
      more.textContent = "Train on";
    }
  }
  function update(next) {
    state = next;
    at = next.at;
    build();
  }
  play.addEventListener("click", () => (timer === null ? start() : stop()));
  more.addEventListener("click", trainOn);
  slider.addEventListener("input", () => {
    stop();
    go(+slider.value);
  });
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab has keys of its own

  build();
  return {
    update,
    destroy() {
      stop();
      el.replaceChildren();
    },
  };
}

function make(tag, attributes = {}, text = "", made = document.createElement(tag)) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function shape(tag, attributes, text) {
  return make(tag, attributes, text, document.createElementNS("http://www.w3.org/2000/svg", tag));
}

// Three hues that every eye tells apart (Okabe and Ito), and three shapes besides.
const CSS = `
.decision-boundary { --ink: 8 81 156; --mark: #b34700; --rim: #222;
  max-width: 26rem; margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
html[data-theme="dark"] .decision-boundary, [data-jp-theme-light="false"] .decision-boundary {
  --ink: 125 200 255; --mark: #ffb066; --rim: #fff; }
.decision-boundary p { margin: .3rem 0; }
.decision-boundary .db-line { font-weight: 600; font-variant-numeric: tabular-nums; }
.decision-boundary .db-bar { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin: .3rem 0; }
.decision-boundary .db-single :is(.db-play, .db-slider) { display: none; }
.decision-boundary .db-slider { flex: 1 1 8rem; min-width: 6rem; accent-color: rgb(var(--ink)); }
.decision-boundary button { font: inherit; color: inherit; background: transparent; padding: .3rem .8rem; cursor: pointer;
  border: 1px solid currentColor; border-radius: .3rem; min-height: 2rem; }
.decision-boundary .db-play { min-width: 4.2em; }
.decision-boundary .db-more { font-weight: 600; background: rgb(var(--ink) / .15); min-width: 6.6em; }
.decision-boundary button:hover { background: rgb(var(--ink) / .25); }
.decision-boundary button[aria-disabled] { opacity: .6; }
.decision-boundary :focus-visible { outline: 3px solid var(--mark); outline-offset: 1px; }
.decision-boundary .db-problem { color: var(--mark); }
.decision-boundary .db-problem:empty { display: none; }
.decision-boundary .db-map { display: block; width: 100%; height: auto; forced-color-adjust: none; }
.decision-boundary .db-frame { fill: none; stroke: currentColor; stroke-opacity: .6; }
.decision-boundary .db-border { fill: none; stroke: currentColor; stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.decision-boundary .db-points, .decision-boundary .db-legend svg { stroke: var(--rim); stroke-width: 1; }
.decision-boundary .db-legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
.decision-boundary .db-legend span { display: inline-flex; align-items: center; gap: .35rem; }
.decision-boundary .db-legend svg { width: 1rem; height: 1rem; }
.decision-boundary .db-curve { display: block; width: 100%; height: auto; }
.decision-boundary .db-curve path { fill: none; stroke: currentColor; stroke-width: 1.5; }
.decision-boundary .db-curve .db-zero { stroke-opacity: .3; stroke-width: 1; }
.decision-boundary .db-here { fill: var(--mark); }
.decision-boundary .db-note { font-size: .8rem; }
.decision-boundary .db-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media print { .decision-boundary :is(.db-bar, .db-note) { display: none; }
  .decision-boundary .db-map { print-color-adjust: exact; } }
`;
