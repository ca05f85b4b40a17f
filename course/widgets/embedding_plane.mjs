// The embedding plane: every token a letter where its vector lies, projected to two axes in Python.
// A slider moves through the training, "Play" runs it. Point at a letter (mouse, finger, keys): lines go
// to its nearest neighbours, which Python found in the full space and wrote into the state.
//
// render(el, state, ask) -> {update(state), destroy()}
//   state: {tokens, frames, near, measure, groups, axes, frame, token}, see embedding_plane.py
//   Python is not asked: everything that can be shown is in the state

const GAP = 20; // pixels: letters stand at least so far apart
const MOVE = 650; // milliseconds from one frame to the next
const REST = 550; // milliseconds on a frame while it plays
// Circle, square, diamond, triangle: what tells the groups apart besides colour. As in embedding_plane.py.
const SHAPES = [
  "M-8.5 0a8.5 8.5 0 1 0 17 0a8.5 8.5 0 1 0-17 0",
  "M-7-7h14v14h-14z",
  "M0-10.5L10.5 0L0 10.5L-10.5 0z",
  "M0-11.5L11 8H-11z",
];

export function render(el, state) {
  const { tokens, frames, near, groups, axes, measure } = state;
  const kinds = [...new Set(groups)];
  const last = frames.length - 1;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let frame = state.frame; // the one shown, or on the way to
  let chosen = state.token; // the letter whose neighbours are shown when none is pointed at
  let hover = null;
  let layouts = []; // per frame the pixels of {dots, letters}
  let now = null; // the pixels at this moment, between two frames
  let running = 0; // the animation's request
  let timer = 0; // the next frame while it plays, else 0
  let width = 0;

  const step = (f) => frames[f].step.toLocaleString("en");
  const name = (t) => (/\w/.test(tokens[t]) ? tokens[t] : `“${tokens[t]}”`);
  const spoken = (t) => (kinds.length > 1 ? `${name(t)}, ${groups[t]}` : name(t));

  // ------------------------------------------------------------------ what there is to see
  const root = make("div", { class: "embedding-plane", role: "group", "aria-label": "Embedding plane", "data-lm-suppress-shortcuts": "true" });
  const said = make("p", { class: "ep-said", "aria-live": "polite" });
  const svg = draw("svg", { class: "ep-plane", role: "listbox" });
  svg.setAttribute("aria-label", `${tokens.length} letters on a plane. Arrow keys go from letter to letter, a letter's own key goes to it.`);
  const [grid, away, lines, marks] = ["ep-grid", "ep-away", "ep-lines", ""].map((part) =>
    svg.appendChild(draw("g", part ? { class: part, "aria-hidden": "true" } : { role: "presentation" })),
  );
  const letters = tokens.map((token, t) => {
    const kind = kinds.indexOf(groups[t]) % SHAPES.length;
    const mark = draw("g", { class: `ep-letter ep-kind${kind}`, role: "option", tabindex: -1, "aria-label": spoken(t) });
    mark.append(draw("path", { d: SHAPES[kind] }), draw("text", { y: 4.5 }, token));
    return marks.appendChild(mark);
  });
  const stems = tokens.map(() => away.appendChild(draw("path")));
  const control = make("div", { class: "ep-control" });
  const play = make("button", { type: "button" }, "Play");
  const [slider, count] = [make("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "Training step" }), make("output")];
  const label = make("label", {}, "Training step ");
  label.append(count, slider);
  control.append(play, label);
  const legend = make("p", { class: "ep-legend" });
  kinds.forEach((kind, k) => {
    const sign = draw("svg", { viewBox: "-12 -12 24 24", width: 18, class: `ep-kind${k % SHAPES.length}`, "aria-hidden": "true" });
    sign.append(draw("path", { d: SHAPES[k % SHAPES.length] }));
    legend.append(sign, make("span", {}, kind));
  });
  const note = make("p", { class: "ep-note" });
  const numbers = measure === "cosine" ? "the cosine of the angle between the two vectors" : "the distance between the two vectors";
  const projected = axes.some((axis) => axis.includes("component"));
  note.textContent =
    `Across: ${axes[0]}. Up: ${axes[1]}, to the same scale.` +
    (near.some(Boolean) ? ` In brackets: ${numbers}${projected ? ", measured in the full space; the plane shows only a part of it" : ""}.` : "");
  root.append(make("style", {}, CSS), said, svg, ...(last ? [control] : []), ...(kinds.length > 1 ? [legend] : []), note);
  el.replaceChildren(root);

  // ------------------------------------------------------------------ where things lie
  /** All frames in pixels, on one scale that is the same across and up, so that movement means something. */
  function lay() {
    width = svg.clientWidth || 600;
    const height = Math.min(width, 470);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    const all = frames.flatMap(({ points }) => points);
    const [x0, x1, y0, y1] = [0, 1].flatMap((k) => [Math.min, Math.max].map((best) => best(...all.map((p) => p[k]))));
    const scale = Math.min((width - 3 * GAP) / (x1 - x0 || 1), (height - 3 * GAP) / (y1 - y0 || 1));
    const pixel = ([x, y]) => [width / 2 + (x - (x0 + x1) / 2) * scale, height / 2 - (y - (y0 + y1) / 2) * scale];
    layouts = frames.map(({ points }) => {
      const dots = points.map(pixel);
      return { dots, letters: apart(dots, width, height) };
    });
    const power = 10 ** Math.floor(Math.log10(90 / scale));
    const unit = power * [1, 2, 5, 10].find((k) => k * power * scale >= 90); // a line every 90 pixels or more
    const [zeroX, zeroY] = pixel([0, 0]);
    grid.replaceChildren(draw("rect", { x: 0.5, y: 0.5, width: width - 1, height: height - 1 }));
    for (let k = Math.ceil(-zeroX / scale / unit), x; (x = zeroX + k * unit * scale) < width; k++) {
      grid.append(draw("line", { x1: x, x2: x, y1: 0, y2: height }));
      if (x > 20 && x < width - 20) grid.append(draw("text", { x: x + 3, y: height - 4 }, short(k * unit)));
    }
    for (let k = Math.ceil((zeroY - height) / scale / unit), y; (y = zeroY - k * unit * scale) > 0; k++) {
      grid.append(draw("line", { x1: 0, x2: width, y1: y, y2: y }));
      if (y > 20 && y < height - 24) grid.append(draw("text", { x: 4, y: y - 3 }, short(k * unit)));
    }
    cancelAnimationFrame(running);
    put(layouts[frame]);
  }

  function put(layout) {
    now = layout;
    letters.forEach((mark, t) => {
      const [[x, y], [a, b]] = [layout.dots[t], layout.letters[t]];
      mark.setAttribute("transform", `translate(${a.toFixed(1)} ${b.toFixed(1)})`);
      const far = Math.hypot(x - a, y - b);
      const d = far > 9 ? `M${x - 1.5} ${y}a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0m1.5 0L${a + ((x - a) * 9) / far} ${b + ((y - b) * 9) / far}` : "";
      stems[t].setAttribute("d", d); // a letter that was pushed away points at its own place
    });
    link();
  }

  /** To the frame `f`: the letters go there, or jump where the reader wants no movement. */
  function go(f) {
    frame = f;
    slider.value = f;
    slider.setAttribute("aria-valuetext", `step ${step(f)}`);
    count.textContent = `${step(f)} of ${step(last)}`;
    tell();
    cancelAnimationFrame(running);
    if (still.matches) return put(layouts[f]);
    const [from, to, start] = [now, layouts[f], performance.now()];
    const move = (time) => {
      const part = Math.min(1, Math.max(0, (time - start) / MOVE));
      const s = part * part * (3 - 2 * part);
      const mix = (key) => to[key].map(([x, y], t) => [from[key][t][0] * (1 - s) + x * s, from[key][t][1] * (1 - s) + y * s]);
      put(part < 1 ? { dots: mix("dots"), letters: mix("letters") } : to);
      if (part < 1) running = requestAnimationFrame(move);
    };
    running = requestAnimationFrame(move);
  }

  // ------------------------------------------------------------------ the letter pointed at
  const shown = () => hover ?? chosen;
  const close = (t) => (t === null ? null : near[frame]?.[t]);

  function link() {
    const pairs = close(shown()) ?? [];
    const [x1, y1] = now.letters[shown() ?? 0];
    lines.replaceChildren(...pairs.map(([j]) => draw("line", { x1, y1, x2: now.letters[j][0], y2: now.letters[j][1] })));
  }

  function tell() {
    const t = shown();
    const pairs = close(t);
    const known = near.findLastIndex(Boolean);
    const list = pairs?.map(([j, number]) => `${name(j)} (${number.toFixed(2)})`).join(", ");
    let text = "Point at a letter, or go to it with the keys.";
    if (t !== null && known < 0) text = `This is ${spoken(t)}.`;
    else if (t !== null && pairs) text = `${name(t)} is nearest to ${list}.`;
    else if (t !== null) text = `The neighbours of ${name(t)} are known at step ${step(known)}.`;
    if (said.textContent !== text) said.textContent = text;
    const friends = new Set(pairs?.map(([j]) => j));
    svg.classList.toggle("ep-some", friends.size > 0);
    letters.forEach((mark, j) => {
      mark.classList.toggle("ep-shown", j === t);
      mark.classList.toggle("ep-near", friends.has(j));
      mark.setAttribute("aria-selected", j === chosen);
      mark.tabIndex = j === (chosen ?? 0) ? 0 : -1; // the one letter that Tab reaches
    });
  }

  function point(t) {
    hover = t;
    tell();
    link();
  }

  function choose(t) {
    chosen = t;
    point(null);
  }

  // ------------------------------------------------------------------ what the reader does
  const which = ({ target }) => {
    const at = letters.indexOf(target.closest("g"));
    return at < 0 ? null : at;
  };
  const keys = (event) => {
    event.stopPropagation(); // JupyterLab would move to another notebook cell, or delete it
    const at = which(event);
    if (at === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const n = tokens.length;
    const moves = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: n - 1 };
    const to = moves[event.key] ?? tokens.indexOf(event.key);
    if (event.key === "Escape") choose(null);
    else if (to >= -1 && (event.key in moves || to >= 0)) letters[(to + n) % n].focus();
    else return;
    event.preventDefault();
  };

  function stop() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = "Play";
  }
  function forward() {
    if (frame === last) return stop();
    go(frame + 1);
    timer = setTimeout(forward, MOVE + REST);
  }
  function toggle() {
    if (timer) return stop();
    play.textContent = "Pause";
    const again = frame === last;
    if (again) go(0);
    timer = setTimeout(forward, again ? MOVE + REST : 0);
  }

  svg.addEventListener("pointerover", (event) => point(which(event)));
  svg.addEventListener("pointerleave", () => point(null));
  svg.addEventListener("click", (event) => choose(which(event)));
  svg.addEventListener("focusin", (event) => choose(which(event)));
  root.addEventListener("keydown", keys);
  play.addEventListener("click", toggle);
  slider.addEventListener("input", () => {
    stop();
    go(+slider.value);
  });
  const sized = new ResizeObserver(() => svg.clientWidth && svg.clientWidth !== width && lay());
  sized.observe(svg);

  lay();
  go(frame);
  return {
    update(next) {
      chosen = next.token;
      go(next.frame);
    },
    destroy() {
      stop();
      cancelAnimationFrame(running);
      sized.disconnect();
      el.replaceChildren();
    },
  };
}

/** Places for the letters: at their dots, pushed apart where two would overlap. */
function apart(dots, width, height) {
  const places = dots.map((dot) => [...dot]);
  for (let round = 0; round < 80; round++) {
    places.forEach((one, i) => {
      for (const other of places.slice(0, i)) {
        let [x, y] = [one[0] - other[0], one[1] - other[1]];
        if (!x && !y) [x, y] = [Math.cos(i), Math.sin(i)]; // on one spot: any direction, but always that
        const far = Math.hypot(x, y);
        const push = Math.max(0, GAP - far) / far / 2;
        [one[0], one[1], other[0], other[1]] = [one[0] + x * push, one[1] + y * push, other[0] - x * push, other[1] - y * push];
      }
    });
    for (const place of places) [width, height].forEach((end, k) => (place[k] = Math.min(end - 12, Math.max(12, place[k]))));
  }
  return places;
}

const short = (x) => String(+x.toPrecision(6)).replace("-", "−");
const draw = (tag, attributes, text) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, text);
const make = (tag, attributes, text) => fill(document.createElement(tag), attributes, text);

function fill(made, attributes = {}, text = "") {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const CSS = `
.embedding-plane { --c0: 179 71 0; --c1: 8 81 156; --c2: 0 105 70; --c3: 122 40 130; --mark: #b34700;
  --paper: var(--pst-color-background, var(--jp-layout-color0, Canvas));
  max-width: 42rem; margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
html[data-theme="dark"] .embedding-plane, [data-jp-theme-light="false"] .embedding-plane {
  --c0: 255 176 102; --c1: 125 200 255; --c2: 110 220 160; --c3: 230 160 240; --mark: #ffb066; }
.embedding-plane p { margin: .3rem 0; }
.embedding-plane .ep-said { min-height: 2.8em; font-variant-numeric: tabular-nums; }
.embedding-plane .ep-plane { display: block; width: 100%; touch-action: manipulation; }
.embedding-plane .ep-grid { fill: none; stroke: currentColor; stroke-opacity: .15; }
.embedding-plane .ep-grid text { fill: currentColor; fill-opacity: .65; stroke: none; font-size: 11px; }
.embedding-plane .ep-lines { stroke: currentColor; stroke-width: 1.5; }
.embedding-plane .ep-away { stroke: currentColor; stroke-opacity: .6; fill: currentColor; }
.embedding-plane .ep-letter { cursor: pointer; transition: opacity .15s; }
.embedding-plane .ep-letter text { font: 600 13px/1 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  text-anchor: middle; fill: currentColor; }
${SHAPES.map((_, k) => `.embedding-plane .ep-kind${k} { --c: var(--c${k}); }`).join(" ")}
.embedding-plane [class*="ep-kind"] path { fill: color-mix(in srgb, rgb(var(--c)) 20%, var(--paper)); stroke: rgb(var(--c));
  stroke-width: 1.25; }
.embedding-plane .ep-some .ep-letter { opacity: .45; }
.embedding-plane .ep-some .ep-near, .embedding-plane .ep-some .ep-shown { opacity: 1; }
.embedding-plane .ep-near path { stroke-width: 2.5; }
.embedding-plane .ep-shown.ep-shown path { stroke-width: 3; fill: color-mix(in srgb, rgb(var(--c)) 45%, var(--paper)); }
.embedding-plane .ep-control { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: center; margin: .5rem 0; }
.embedding-plane label { display: flex; flex: 1 1 15rem; flex-wrap: wrap; gap: 0 .5rem; align-items: center; margin: 0; }
.embedding-plane output { min-width: 8.5em; font-variant-numeric: tabular-nums; padding: 0; color: inherit; }
.embedding-plane input { flex: 1 1 9rem; min-width: 0; min-height: 1.5rem; accent-color: rgb(var(--c1)); }
.embedding-plane button { font: inherit; color: inherit; background: rgb(var(--c1) / .15); padding: 0 .9rem; cursor: pointer;
  border: 1px solid currentColor; border-radius: .3rem; height: 2rem; min-width: 5rem; box-sizing: border-box; }
.embedding-plane :focus-visible { outline: 3px solid var(--mark); outline-offset: 1px; }
.embedding-plane .ep-letter:focus:not(:focus-visible) { outline: none; }
.embedding-plane .ep-legend { display: flex; flex-wrap: wrap; gap: 0 .4rem; align-items: center; }
.embedding-plane .ep-legend span { margin-right: .8rem; }
.embedding-plane .ep-note { font-size: .8rem; }
@media (prefers-reduced-motion: reduce) { .embedding-plane .ep-letter { transition: none; } }
@media print { .embedding-plane .ep-control { display: none; } }
`;
