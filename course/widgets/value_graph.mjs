// The graph of an expression, stepped forward (data) and backward (gradients), value by value. All
// steps are in the state: nothing is computed here, so the page needs no Python. A box that stands
// for many values opens with a click.
//
// render(el, state, ask) -> {update(state), destroy()}
//   state: {total, at, size, boxes, edges, steps, inside}, see value_graph.py; `ask` is not used

const WIDTH = 112, HEIGHT = 58, ACROSS = 64; // as in graph/place.py
const LABELS = 4; // numbers of more edges into one box would overlap: only the one in use is shown

export function render(el, state) {
  let view = state;
  let at = state.at; // how many steps are done
  let trail = []; // the views around this one: [{view, at, box}]
  let drawn; // the elements of this view
  let timer = null;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

  // ------------------------------------------------------------------ what there is to see
  const root = make("div", { class: "value-graph", role: "group", "aria-label": "Graph of values", "data-lm-suppress-shortcuts": "true" });
  const style = make("style");
  style.textContent = CSS;
  const bar = make("div", { class: "vg-buttons" });
  const button = (name, label, act) => {
    const made = make("button", { type: "button", "aria-label": label, class: `vg-${name.toLowerCase()}` }, name);
    made.addEventListener("click", act);
    bar.append(made);
    return made;
  };
  button("Start", "To the start", () => go(0));
  button("Back", "Back one step", () => go(at - 1));
  button("Step", "Step forward", () => go(at + 1));
  const play = button("Play", "Play", () => (timer === null ? start() : stop()));
  button("End", "To the end", () => go(view.steps.length));
  const slider = make("input", { type: "range", min: 0, class: "vg-slider", "aria-label": "Step" });
  const count = make("p", { class: "vg-count" });
  const sentence = make("p", { class: "vg-sentence", role: "status" });
  const out = make("button", { type: "button", class: "vg-out" });
  const scroller = make("div", { class: "vg-scroll", tabindex: 0, role: "group" });
  const note = make("p", { class: "vg-note" });
  root.append(style, bar, slider, count, sentence, out, scroller, note);
  el.replaceChildren(root);

  const number = (x) => {
    if (typeof x === "string") return x.replace("-", "−"); // nan, inf: JSON has no number for them
    const size = Math.abs(x);
    const text = size && (size < 1e-4 || size >= 1e6) ? x.toExponential(2) : String(Number(x.toPrecision(4)));
    return text.replaceAll("-", "−");
  };
  const bracketed = (x) => (number(x).startsWith("−") ? `(${number(x)})` : number(x));
  const label = (i) => {
    const [name, , data, many] = view.boxes[i];
    return name || (data === null ? `${many.toLocaleString("en")} values` : number(data));
  };

  /** "c = a * b", in the names that the picture shows. */
  function formula(i) {
    const [name, op, data, many] = view.boxes[i];
    const parts = view.edges.filter((edge) => edge[1] === i).map((edge) => label(edge[0]));
    if (data === null) return `${label(i)} are computed at once`;
    if (many > 1) return `${name} comes out of a box of ${many.toLocaleString("en")} values`;
    if (["+", "-", "*", "/"].includes(op) && parts.length === 2) return `${name} = ${parts[0]} ${op} ${parts[1]}`;
    if (op === "neg") return `${name} = −${parts[0]}`;
    if (op === "**") return `${name} = a power of ${parts[0]}`;
    if (/^\w+$/.test(op)) return `${name} = ${op}(${parts.join(", ")})`;
    return `${name} is made from ${parts.join(" and ")}`;
  }

  /** What step k did, in words. */
  function told(k) {
    if (k < 0) return "Nothing is computed yet; what has data was given. Step forward.";
    const [box, edge, passed, total] = view.steps[k];
    if (view.steps[k].length === 1) {
      const value = view.boxes[box][2];
      return `${formula(box)}.` + (value === null ? "" : ` Its data is ${number(value)}.`);
    }
    if (view.steps[k].length === 2) {
      const whence = trail.length ? ", as the rest of the graph has passed it on" : ": it is the end";
      return `Backward begins. The gradient of ${label(box)} is ${number(edge)}${whence}.`;
    }
    const [child, , local] = view.edges[edge];
    if (total === null) return `${label(box)} at once: gradients are passed on to ${label(child)}.`;
    const from = gradients(k);
    const had = from.get(child);
    const to = view.boxes[child][0] ? label(child) : `the number ${label(child)}`;
    const sum = had === undefined ? "" : `, added to the ${number(had)} that is there: ${number(had)} + ${bracketed(passed)} = ${number(total)}`;
    const now = `The gradient of ${to} is now ${number(total)}.`;
    if (local === null) return `${label(box)} at once: ${number(passed)} is passed on to ${to}${sum}. ${now}`;
    const slope = `${formula(box)}, and the local derivative towards ${to} is ${number(local)}.`;
    return `${slope} Passed on: ${number(from.get(box))} × ${bracketed(local)} = ${number(passed)}${sum}. ${now}`;
  }

  /** The gradients after the first k steps: box → number. */
  function gradients(k) {
    const found = new Map();
    for (const step of view.steps.slice(0, k)) {
      if (step.length === 2) found.set(step[0], step[1]);
      if (step.length === 4 && step[3] !== null) found.set(view.edges[step[1]][0], step[3]);
    }
    return found;
  }

  // ------------------------------------------------------------------ drawing
  /** The boxes and edges of this view, before any step. */
  function build() {
    const [width, height] = view.size;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", class: "vg-svg" });
    svg.style.maxWidth = `${width}px`;
    svg.style.minWidth = `${Math.min(width, Math.max(260, 0.8 * width))}px`;
    svg.setAttribute("aria-label", `${view.boxes.length} boxes; the sentence above says what each step does.`);
    const inputs = (box) => view.edges.filter((edge) => edge[1] === box).length;
    const edges = view.edges.map(([child, parent, local, ...route]) => {
      const group = shape("g", { class: "vg-edge" });
      group.append(shape("path", { d: way(child, route) }));
      const place = { x: view.boxes[parent][4] - 4, y: route.at(-1) - 3 };
      place.class = inputs(parent) > LABELS ? "vg-local vg-rare" : "vg-local";
      if (local !== null) group.append(shape("text", place, number(local)));
      svg.append(group);
      return group;
    });
    const boxes = view.boxes.map(([name, op, data, many, x, y], i) => {
      const top = y - HEIGHT / 2;
      const opens = view.inside?.[i] !== undefined;
      const group = shape("g", { class: `vg-box${many > 1 ? " vg-many" : ""}${opens ? " vg-opens" : ""}`, "data-box": i });
      const sum = `${many.toLocaleString("en")} values`;
      group.append(shape("title", {}, `${name || "a number"}${many > 1 ? `: ${sum}${opens ? ", press to open" : ""}` : ""}`));
      if (many > 1) group.append(shape("rect", { class: "vg-behind", x: x + 4, y: top - 4, width: WIDTH, height: HEIGHT, rx: 7 }));
      group.append(shape("rect", { class: "vg-frame", x, y: top, width: WIDTH, height: HEIGHT, rx: 7 }));
      if (data === null) group.append(shape("text", { x: x + WIDTH / 2, y: y + 4, class: "vg-middle" }, sum));
      const made = { group };
      if (data !== null) {
        group.append(shape("text", { x: x + 8, y: top + 17, class: "vg-label" }, name.length > 9 ? `${name.slice(0, 8)}…` : name));
        group.append(shape("text", { x: x + WIDTH - 8, y: top + 17, class: "vg-op" }, many === 1 ? op : name.length + sum.length > 16 ? sum.split(" ")[0] : sum));
        for (const [row, down] of [["data", 34], ["grad", 50]]) {
          group.append(shape("text", { x: x + 8, y: top + down, class: "vg-row" }, row));
          group.append((made[row] = shape("text", { x: x + WIDTH - 8, y: top + down, class: `vg-${row}` })));
        }
      }
      if (opens) {
        group.setAttribute("role", "button");
        group.setAttribute("tabindex", 0);
        group.setAttribute("aria-label", `Open ${label(i)}, ${sum}`);
        group.addEventListener("click", () => enter(i));
      }
      svg.append(group);
      return made;
    });
    svg.classList.toggle("vg-dense", edges.length > 80);
    drawn = { svg, boxes, edges };
    scroller.setAttribute("aria-label", "The graph. Arrow keys step, Home and End go to the start and the end.");
    scroller.replaceChildren(svg);
    slider.max = view.steps.length;
    out.hidden = trail.length === 0;
    out.textContent = "Back to the whole graph";
    note.textContent = notes();
    draw();
  }

  function notes() {
    const said = [];
    if (view.boxes.some(([name], i) => /^v\d+$/.test(name))) said.push("v1, v2, … are values without a name, numbered as they were made.");
    if (trail.length) said.push(`You are inside ${trail[0].view.boxes[trail[0].box][0]}; what goes into it stands on the left.`);
    else if (state.total > view.boxes.length)
      said.push(`The graph has ${state.total.toLocaleString("en")} values, folded into ${view.boxes.length} boxes.` + (Object.keys(view.inside).length ? " Press a box with a bold dashed frame to see inside." : ""));
    said.push("The number on an edge is the local derivative.");
    return said.join(" ");
  }

  function way(child, route) {
    let [x, y] = [view.boxes[child][4] + WIDTH, view.boxes[child][5]];
    let d = `M${x} ${y}`;
    route.forEach((to, k) => {
      d += `C${x + ACROSS / 2} ${y} ${x + ACROSS / 2} ${to} ${x + ACROSS} ${to}`;
      [x, y] = [x + ACROSS, to];
      if (k < route.length - 1) d += `H${(x += WIDTH)}`;
    });
    return d;
  }

  /** Show the state of affairs after `at` steps. */
  function draw() {
    const done = view.steps.slice(0, at);
    const step = done.at(-1);
    const forward = view.steps.filter((one) => one.length === 1).length;
    const later = new Set(view.steps.slice(at).filter((one) => one.length === 1).map((one) => one[0]));
    const grads = gradients(at);
    const used = new Set(done.filter((one) => one.length === 4).map((one) => one[1]));
    const focus = !step ? [] : step.length === 1 ? view.edges.flatMap((edge, e) => (edge[1] === step[0] ? [e] : [])) : step.length === 4 ? [step[1]] : [];
    drawn.boxes.forEach(({ group, data, grad }, i) => {
      group.classList.toggle("vg-later", later.has(i));
      group.classList.toggle("vg-now", step?.[0] === i);
      group.classList.toggle("vg-gets", step?.length === 4 && view.edges[step[1]][0] === i);
      if (data) data.textContent = later.has(i) ? "" : number(view.boxes[i][2]);
      if (grad) grad.textContent = grads.has(i) ? number(grads.get(i)) : "";
    });
    drawn.edges.forEach((group, e) => {
      group.classList.toggle("vg-used", used.has(e));
      group.classList.toggle("vg-now", focus.includes(e));
    });
    root.classList.toggle("vg-backward", at > forward);
    slider.value = at;
    const [phase, k, all] = at <= forward ? ["Forward", at, forward] : ["Backward", at - forward, view.steps.length - forward];
    count.textContent = `${phase}, step ${k} of ${all}`;
    slider.setAttribute("aria-valuetext", count.textContent);
    sentence.textContent = told(at - 1) + (at === view.steps.length ? " That was the last step." : "");
    follow(step);
  }

  /** Bring the box of this step into sight, where the graph is wider than the page. */
  function follow(step) {
    const ratio = drawn.svg.getBoundingClientRect().width / view.size[0];
    const of = step?.length === 4 ? view.edges[step[1]].slice(0, 2) : [step ? step[0] : 0];
    const x = of.reduce((sum, i) => sum + view.boxes[i][4], 0) / of.length + WIDTH / 2;
    const left = step ? x * ratio - scroller.clientWidth / 2 : 0;
    scroller.scrollTo({ left, behavior: calm.matches ? "auto" : "smooth" });
  }

  // ------------------------------------------------------------------ what the reader does
  function go(to, plays = false) {
    if (!plays) stop();
    at = Math.min(view.steps.length, Math.max(0, to));
    draw();
  }
  function playing(on) {
    play.textContent = on ? "Pause" : "Play";
    play.setAttribute("aria-label", play.textContent);
    sentence.setAttribute("aria-live", on ? "off" : "polite"); // it would talk without a break
  }
  function start() {
    const pace = Math.max(250, Math.min(1600, 60_000 / view.steps.length));
    timer = setInterval(() => (at < view.steps.length && root.isConnected ? go(at + 1, true) : stop()), pace);
    playing(true);
    go(at < view.steps.length ? at + 1 : 0, true);
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    playing(false);
  }
  function enter(box) {
    stop();
    trail = [{ view, at, box }];
    view = view.inside[box];
    at = 0;
    build();
    out.focus({ preventScroll: true });
  }
  function leave() {
    stop();
    const { box } = trail[0];
    ({ view, at } = trail[0]);
    trail = [];
    build();
    drawn.boxes[box].group.focus({ preventScroll: true });
  }
  const keys = (event) => {
    event.stopPropagation(); // JupyterLab would move to another notebook cell
    const opens = event.target.closest?.(".vg-opens");
    if (opens && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      return enter(+opens.dataset.box);
    }
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: view.steps.length }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    go(to);
  };
  slider.addEventListener("input", () => go(+slider.value));
  out.addEventListener("click", leave);
  root.addEventListener("keydown", keys);

  build();
  return {
    update(next) {
      stop();
      [state, view, at, trail] = [next, next, next.at, []];
      build();
    },
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

// Blue is forward, orange is backward, on whatever page it lies; frames and words say it as well.
const CSS = `
.value-graph { --ink: 8 81 156; --mark: #b34700; --page: var(--pst-color-background, var(--jp-layout-color0, #fff));
  margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
html[data-theme="dark"] .value-graph, [data-jp-theme-light="false"] .value-graph { --ink: 125 200 255; --mark: #ffb066; }
.value-graph p { margin: .3rem 0; }
.value-graph .vg-buttons { display: flex; flex-wrap: wrap; gap: .4rem; margin: .3rem 0; }
.value-graph button { font: inherit; color: inherit; background: transparent; padding: .3rem .7rem; cursor: pointer;
  border: 1px solid currentColor; border-radius: .3rem; min-height: 2rem; }
.value-graph button:hover, .value-graph .vg-step { background: rgb(var(--ink) / .15); }
.value-graph .vg-step { font-weight: 600; }
.value-graph .vg-play { min-width: 4.2em; }
.value-graph :focus-visible { outline: 3px solid var(--mark); outline-offset: 1px; }
.value-graph .vg-slider { display: block; width: 100%; max-width: 24rem; margin: .5rem 0 .2rem; accent-color: rgb(var(--ink)); }
.value-graph .vg-count { font-variant-numeric: tabular-nums; font-weight: 600; color: rgb(var(--ink)); }
.value-graph.vg-backward .vg-count { color: var(--mark); }
.value-graph .vg-sentence { min-height: 2.8em; max-width: 44rem; }
@media (max-width: 600px) { .value-graph .vg-sentence { min-height: 5.6em; } }
.value-graph .vg-scroll { overflow-x: auto; padding: 2px; }
.value-graph .vg-svg { display: block; width: 100%; height: auto; font: 12px sans-serif; }
.value-graph .vg-svg text { fill: currentColor; }
.value-graph .vg-edge path { fill: none; stroke: currentColor; stroke-opacity: .4; stroke-width: 1.2; }
.value-graph .vg-dense path { stroke-opacity: .18; }
.value-graph .vg-local { visibility: hidden; text-anchor: end; font-size: 11px; font-style: italic;
  paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round; }
.value-graph .vg-used .vg-local:not(.vg-rare), .value-graph.vg-backward .vg-edge.vg-now .vg-local { visibility: visible; }
.value-graph .vg-svg .vg-used .vg-local { fill: var(--mark); }
.value-graph .vg-used path { stroke: var(--mark); stroke-opacity: .8; }
.value-graph .vg-edge.vg-now path { stroke: rgb(var(--ink)); stroke-opacity: 1; stroke-width: 3; }
.value-graph.vg-backward .vg-edge.vg-now path { stroke: var(--mark); }
.value-graph .vg-frame, .value-graph .vg-behind { fill: var(--page); stroke: currentColor; stroke-opacity: .6; }
.value-graph .vg-many .vg-frame { stroke-dasharray: 5 3; }
.value-graph .vg-opens { cursor: pointer; }
.value-graph .vg-opens .vg-frame { stroke-width: 2; stroke-opacity: .9; }
.value-graph .vg-opens:hover .vg-frame { fill: rgb(var(--ink) / .15); }
.value-graph .vg-later .vg-frame { stroke-opacity: .3; }
.value-graph .vg-later text { fill-opacity: .6; }
.value-graph .vg-box.vg-now .vg-frame { stroke: rgb(var(--ink)); stroke-width: 3; stroke-opacity: 1; }
.value-graph.vg-backward .vg-box.vg-now .vg-frame { stroke: var(--mark); }
.value-graph .vg-gets .vg-frame { stroke: var(--mark); stroke-width: 3; stroke-opacity: 1; stroke-dasharray: none; }
.value-graph .vg-label { font-weight: 700; }
.value-graph .vg-op, .value-graph .vg-data, .value-graph .vg-grad { text-anchor: end; }
.value-graph .vg-middle { text-anchor: middle; }
.value-graph .vg-svg .vg-row { fill-opacity: .75; font-size: 11px; }
.value-graph .vg-svg .vg-grad { fill: var(--mark); font-weight: 600; }
.value-graph .vg-note { font-size: .8rem; max-width: 44rem; }
@media print { .value-graph :is(.vg-buttons, .vg-slider, .vg-out, .vg-note) { display: none; }
  .value-graph .vg-svg { max-width: 100%; min-width: 0 !important; } }
`;
