// The roofline: two limits, the measured programs, and a training step that the reader chooses by two
// sliders. How much each step computes and moves, and what the limits allow, is in the state.

const EDGE = 46; // pixels for the numbers of the axes

export function render(el, state) {
  const { peak, bandwidths, rungs, widths, batches, steps } = state;
  let [width, batch] = [widths.indexOf(state.width), batches.indexOf(state.batch)];
  let shown = null; // the program that the reader points at
  let size = 0;

  const root = make("div", { class: "roofline", role: "group", "aria-label": "Roofline", "data-lm-suppress-shortcuts": "true" });
  const said = make("p", { class: "rl-said", "aria-live": "polite" });
  const svg = draw("svg", { class: "rl-plot", role: "group", "aria-label": "Speed against FLOPs for each byte, both on logarithmic axes" });
  const [grid, marks, step] = ["rl-grid", "rl-marks", "rl-step"].map((part) => svg.appendChild(draw("g", { class: part })));
  const roof = svg.insertBefore(draw("path", { class: "rl-roof", "aria-hidden": "true" }), marks);
  grid.setAttribute("aria-hidden", "true");
  step.setAttribute("aria-hidden", "true");
  const programs = rungs.map((rung) => {
    const mark = draw("g", { role: "img", tabindex: 0, "aria-label": `${rung.name}: ${giga(rung.speed)} at ${short(rung.intensity)} FLOPs for each byte` });
    mark.append(draw("circle", { r: 5 }), draw("text", {}, rung.name));
    return marks.appendChild(mark);
  });
  const control = make("div", { class: "rl-control" });
  const [widthSlider, widthSays] = slider("Numbers for each position ", widths.length);
  const [batchSlider, batchSays] = slider("Names in a batch ", batches.length);
  root.append(make("style", {}, CSS), said, svg, control);
  el.replaceChildren(root);

  function slider(text, many) {
    const input = make("input", { type: "range", min: 0, max: many - 1, step: 1, "aria-label": text.trim() });
    const output = make("output");
    const label = make("label", {}, text);
    label.append(output, input);
    control.append(label);
    return [input, output];
  }

  // ------------------------------------------------------------------ where things lie
  const every = [...rungs, ...steps.flat()];
  const ends = (numbers) => [Math.floor(Math.log10(Math.min(...numbers)) - 0.1), Math.ceil(Math.log10(Math.max(...numbers)) + 0.1)];
  const [left, right] = ends([...every.map((one) => one.intensity), ...bandwidths.map((one) => peak / one)]);
  const [low, high] = ends([...every.map((one) => one.speed), peak]);
  let place = () => [0, 0];

  function lay() {
    size = svg.clientWidth || 600;
    const tall = Math.min(Math.round(size * 0.72), 430);
    svg.setAttribute("viewBox", `0 0 ${size} ${tall}`);
    svg.style.height = `${tall}px`;
    const across = (size - EDGE - 10) / (right - left);
    const up = (tall - 62) / (high - low);
    place = ({ intensity, speed }) => [EDGE + (Math.log10(intensity) - left) * across, tall - 40 - (Math.log10(speed) - low) * up];
    grid.replaceChildren();
    for (let power = left; power <= right; power++) {
      const [x, y] = place({ intensity: 10 ** power, speed: 10 ** low });
      grid.append(draw("line", { x1: x, x2: x, y1: 22, y2: y }), draw("text", { x, y: y + 15, "text-anchor": power < right ? "middle" : "end" }, short(10 ** power)));
    }
    for (let power = low; power <= high; power++) {
      const [x, y] = place({ intensity: 10 ** left, speed: 10 ** power });
      grid.append(draw("line", { x1: x, x2: size - 10, y1: y, y2: y }), draw("text", { x: x - 5, y: y + 4, "text-anchor": "end" }, short(10 ** (power - 9))));
    }
    grid.append(
      draw("text", { x: (EDGE + size) / 2, y: tall - 6, "text-anchor": "middle" }, "FLOPs for each byte"),
      draw("text", { x: 2, y: 10 }, "GFLOP/s"),
    );
    const taken = rungs.map((rung) => around(...place(rung), 6, 6)); // the marks; then the names too
    rungs.forEach((rung, k) => {
      const [x, y] = place(rung);
      const [circle, text] = programs[k].children;
      fill(circle, { cx: x, cy: y });
      const half = rung.name.length * 2.8;
      const room = [[9 + half, 0], [-9 - half, 0], [0, -14], [0, 14], [half, -16], [half, 16], [-half, -16], [-half, 16], [0, 28]]
        .map(([right, down]) => [x + right, y + down])
        .find(([cx, cy]) => cx - half > EDGE && cx + half < size - 10 && !taken.some((box) => meet(box, around(cx, cy, half, 6))));
      const [cx, cy] = room ?? [x, y - 14];
      taken.push(around(cx, cy, half, 6));
      fill(text, { x: cx, y: cy + 4, "text-anchor": "middle" }, rung.name);
    });
    tell();
  }

  const line = (points) => `M${points.map(([intensity, speed]) => place({ intensity, speed }).map((n) => n.toFixed(1)).join(" ")).join("L")}`;

  // ------------------------------------------------------------------ what it says
  function tell() {
    const one = steps[width][batch];
    const [x, y] = place(one);
    const [, foot] = place({ intensity: one.intensity, speed: 10 ** low });
    const bandwidth = bandwidths[width]; // a wider model lies in a slower memory
    roof.setAttribute("d", line([[10 ** left, 10 ** left * bandwidth], [peak / bandwidth, peak], [10 ** right, peak]]));
    step.replaceChildren(draw("line", { x1: x, x2: x, y1: y, y2: foot }), draw("path", { d: `M${x - 8} ${y}L${x} ${y - 8}L${x + 8} ${y}L${x} ${y + 8}z` }));
    for (const [input, output, list, at] of [[widthSlider, widthSays, widths, width], [batchSlider, batchSays, batches, batch]]) {
      input.value = at;
      input.setAttribute("aria-valuetext", String(list[at]));
      output.textContent = list[at];
    }
    const limit = one.speed < peak ? "memory" : "the core";
    let text =
      `${widths[width]} numbers, ${batches[batch] === 1 ? "one name" : `${batches[batch]} names`} a step: ${short(one.intensity)} FLOPs for each byte. ` +
      `The limit is ${limit}: at most ${giga(one.speed)}, so ${micro(one.seconds)} a name or more.`;
    if (shown !== null) {
      const { name, intensity, speed, most } = rungs[shown];
      text = `${name}: ${giga(speed)} at ${short(intensity)} FLOPs for each byte. The limits allow ${giga(most)}; it reaches ${percent(speed / most)} of that.`;
    }
    if (said.textContent !== text) said.textContent = text;
  }

  // ------------------------------------------------------------------ what the reader does
  const point = (k) => {
    shown = k;
    tell();
  };
  programs.forEach((mark, k) => {
    mark.addEventListener("pointerenter", () => point(k));
    mark.addEventListener("pointerleave", () => point(null));
    mark.addEventListener("focus", () => point(k));
    mark.addEventListener("blur", () => point(null));
    mark.addEventListener("click", () => point(k));
  });
  widthSlider.addEventListener("input", () => ((width = +widthSlider.value), point(null)));
  batchSlider.addEventListener("input", () => ((batch = +batchSlider.value), point(null)));
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab has shortcuts of its own
  const sized = new ResizeObserver(() => svg.clientWidth && svg.clientWidth !== size && lay());
  sized.observe(svg);

  lay();
  return {
    update(next) {
      [width, batch] = [widths.indexOf(next.width), batches.indexOf(next.batch)];
      tell();
    },
    destroy() {
      sized.disconnect();
      el.replaceChildren();
    },
  };
}

const around = (x, y, half, tall) => [x - half, x + half, y - tall, y + tall];
const meet = (one, other) => one[0] < other[1] && other[0] < one[1] && one[2] < other[3] && other[2] < one[3];
const short = (x) => (x >= 100 ? Math.round(x).toLocaleString("en") : String(+x.toPrecision(2)));
const giga = (flops) => `${short(flops / 1e9)} GFLOP/s`;
const micro = (seconds) => (seconds < 1e-3 ? `${short(seconds * 1e6)} µs` : `${short(seconds * 1e3)} ms`);
const percent = (share) => `${+(share * 100).toPrecision(share < 0.1 ? 1 : 2)}%`;
const draw = (tag, attributes, text) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, text);
const make = (tag, attributes, text) => fill(document.createElement(tag), attributes, text);

function fill(made, attributes = {}, text) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

const CSS = `
.roofline { --rung: #08519c; --step: #b34700; max-width: 42rem; margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
html[data-theme="dark"] .roofline, [data-jp-theme-light="false"] .roofline { --rung: #7dc8ff; --step: #ffb066; }
.roofline p { margin: .3rem 0; }
.roofline .rl-said { min-height: 4.2em; font-variant-numeric: tabular-nums; }
.roofline .rl-plot { display: block; width: 100%; touch-action: manipulation; }
.roofline text { fill: currentColor; font-size: 11px; }
.roofline .rl-grid line { stroke: currentColor; stroke-opacity: .13; }
.roofline .rl-grid text { fill-opacity: .75; }
.roofline .rl-roof { fill: none; stroke: currentColor; stroke-width: 2; }
.roofline .rl-marks circle { fill: var(--rung); }
.roofline .rl-marks text { paint-order: stroke; stroke: var(--pst-color-background, var(--jp-layout-color0, Canvas)); stroke-width: 3px; }
.roofline .rl-marks g { cursor: pointer; }
.roofline .rl-marks g:hover text, .roofline .rl-marks g:focus text { font-weight: 700; }
.roofline .rl-step path { fill: var(--step); }
.roofline .rl-step line { stroke: var(--step); stroke-dasharray: 4 4; }
.roofline .rl-control { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: .5rem 0; }
.roofline label { display: flex; flex: 1 1 15rem; flex-wrap: wrap; gap: 0 .5rem; align-items: center; margin: 0; }
.roofline output { min-width: 3em; font-variant-numeric: tabular-nums; padding: 0; color: inherit; }
.roofline input { flex: 1 1 8rem; min-width: 0; min-height: 1.5rem; accent-color: var(--step); }
.roofline :focus-visible { outline: 3px solid var(--step); outline-offset: 1px; }
@media print { .roofline .rl-control { display: none; } }
`;
