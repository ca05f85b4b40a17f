// Which thread touches which word of memory: a warp of 32 threads, step by step. Which words, how many
// sectors and how many turns is in the state, worked out by the notebook; here it is only drawn.
//
// render(el, state) -> {update(state), destroy()}; state: {patterns, columns, pattern, step, thread}, see
// memory_access.py

const BANKS = 32; // columns of the picture of shared memory
const SECTOR = 8; // words
const PACE = 450; // milliseconds for a step

export function render(el, state) {
  const { patterns, columns } = state;
  let pattern, step, thread;
  let timer = null;
  const choose = (next) => {
    pattern = Math.max(0, patterns.findIndex(({ name }) => name === next.pattern));
    [step, thread] = [next.step, next.thread];
  };
  choose(state);

  // ------------------------------------------------------------------ what there is to see
  const root = make("div", { class: "memory-access", role: "group", "aria-label": "Which thread touches which word", "data-lm-suppress-shortcuts": "true" });
  const tabs = make("div", { class: "ma-tabs", role: "group", "aria-label": "Order of access" });
  const buttons = patterns.map(({ name }) => tabs.appendChild(make("button", { type: "button" }, name)));
  const about = make("p", { class: "ma-about" });
  const said = make("p", { class: "ma-said", "aria-live": "polite" });
  const control = make("div", { class: "ma-control" });
  const play = control.appendChild(make("button", { type: "button", class: "ma-play" }, "Play"));
  const [stepSlider, stepSays] = slider("Step ", 1);
  const [threadSlider, threadSays] = slider("Thread ", BANKS);
  const panels = make("div", { class: "ma-panels" });
  const grids = { global: grid(), shared: grid() };
  root.append(make("style", {}, CSS), tabs, about, control, said, panels);
  el.replaceChildren(root);

  function slider(text, many) {
    const input = make("input", { type: "range", min: 0, max: many - 1, step: 1, "aria-label": text.trim() });
    const output = make("output");
    const label = make("label", {}, text);
    label.append(output, input);
    control.append(label);
    return [input, output];
  }

  function grid() {
    const box = panels.appendChild(make("div", { class: "ma-panel" }));
    const title = box.appendChild(make("p", { class: "ma-title" }));
    const svg = box.appendChild(draw("svg", { "aria-hidden": "true" })); // the sentences say it in words
    const [before, frame, now, sectors] = ["ma-before", "ma-frame", "ma-now", "ma-sectors"].map((name) => svg.appendChild(draw(name === "ma-now" ? "g" : "path", { class: name })));
    return { box, title, svg, before, frame, now, sectors };
  }

  // ------------------------------------------------------------------ drawing one of the two memories
  const cell = (word, wide, many = 1) => `M${word % wide} ${Math.floor(word / wide)}h${many}v1h-${many}z`;

  function fillGrid(space) {
    const { box, title, svg, before, frame, now, sectors } = grids[space];
    const { steps } = patterns[pattern];
    const every = steps.map((one) => one[space]).filter(Boolean);
    box.hidden = every.length === 0;
    if (box.hidden) return;
    const access = steps[step][space];
    const wide = space === "shared" ? BANKS : columns;
    const tall = Math.floor(Math.max(...every.flatMap(({ words }) => words.flat())) / wide) + 1;
    const what = access?.what ?? every[0].what;
    title.textContent = space === "shared" ? "Shared memory, by bank" : `Global memory: ${what}`;
    svg.setAttribute("viewBox", `-0.2 -0.2 ${wide + 0.4} ${tall + 0.4}`);
    let lines = `M0 0H${wide}V${tall}H0z`;
    const across = space === "shared" ? 1 : SECTOR;
    for (let x = across; x < wide; x += across) lines += `M${x} 0V${tall}`;
    for (let y = 1; y < tall; y++) lines += `M0 ${y}H${wide}`;
    frame.setAttribute("d", lines);
    const earlier = steps.slice(0, step).map((one) => one[space]).filter((one) => one && one.what === access?.what && one.verb === access?.verb);
    before.setAttribute("d", earlier.flatMap(({ words }) => words.flat()).map((word) => cell(word, wide)).join(""));
    now.replaceChildren();
    sectors.setAttribute("d", access && space === "global" ? access.sectors.map((one) => cell(one * SECTOR, wide, SECTOR)).join("") : "");
    access?.words.forEach((words, lane) => {
      const path = draw("path", { d: words.map((word) => cell(word, wide)).join(""), class: lane === thread ? "ma-mine" : "", "fill-opacity": lane === thread ? 1 : (0.45 + (0.5 * lane) / BANKS).toFixed(2) });
      now.append(path);
    });
  }

  // ------------------------------------------------------------------ what it says
  const many = (number, thing) => `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
  const list = (words) => (words.length === 1 ? `word ${words[0]}` : `words ${words[0]} to ${words.at(-1)}`);

  function sentences() {
    const { steps } = patterns[pattern];
    const { global, shared } = steps[step];
    let text = `Step ${step + 1} of ${steps.length}. `;
    if (global) {
      const bytes = 4 * global.words.flat().length;
      text += `Thread ${thread} ${global.verb} ${list(global.words[thread])} of ${global.what}. The warp wants ${bytes} bytes and moves ${many(global.sectors.length, "sector")}, ${many(32 * global.sectors.length, "byte")}. `;
    }
    if (shared) {
      const [word] = shared.words[thread];
      text += `In shared memory thread ${thread} ${shared.verb} ${list(shared.words[thread])}, in bank ${word % BANKS}; for the warp this takes ${many(shared.turns, "turn")}. `;
    }
    const sofar = steps.slice(0, step + 1);
    const total = (of) => sofar.reduce((sum, one) => sum + of(one), 0);
    const sectors = total((one) => one.global?.sectors.length ?? 0);
    const turns = total((one) => one.shared?.turns ?? 0);
    return `${text}So far: ${[sectors && many(sectors, "sector"), turns && many(turns, "turn")].filter(Boolean).join(", ")}.`;
  }

  function show() {
    const { steps, about: words } = patterns[pattern];
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(k === pattern)));
    about.textContent = words;
    stepSlider.max = steps.length - 1;
    for (const [input, output, at, text] of [[stepSlider, stepSays, step, `${step + 1} of ${steps.length}`], [threadSlider, threadSays, thread, String(thread)]]) {
      input.value = at;
      input.setAttribute("aria-valuetext", text);
      output.textContent = text;
    }
    play.textContent = timer === null ? "Play" : "Pause";
    said.setAttribute("aria-live", timer === null ? "polite" : "off"); // a running picture is not read aloud
    fillGrid("global");
    fillGrid("shared");
    const text = sentences();
    if (said.textContent !== text) said.textContent = text;
  }

  // ------------------------------------------------------------------ what the reader does
  const stop = () => {
    clearInterval(timer);
    timer = null;
  };
  const last = () => patterns[pattern].steps.length - 1;
  function next() {
    if (!root.isConnected) return stop();
    if (step < last()) step += 1;
    if (step === last()) stop();
    show();
  }
  play.addEventListener("click", () => {
    if (timer !== null) stop();
    else {
      if (step === last()) step = 0;
      timer = setInterval(next, PACE);
    }
    show();
  });
  buttons.forEach((button, k) => button.addEventListener("click", () => (stop(), (pattern = k), (step = 0), show())));
  for (const { now } of Object.values(grids))
    now.addEventListener("pointermove", ({ target }) => { // not pointerenter: what is drawn anew enters by itself
      const lane = [...now.children].indexOf(target);
      if (lane !== thread) ((thread = lane), show());
    });
  stepSlider.addEventListener("input", () => (stop(), (step = +stepSlider.value), show()));
  threadSlider.addEventListener("input", () => ((thread = +threadSlider.value), show()));
  root.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab has shortcuts of its own

  show();
  return {
    update(after) {
      stop();
      choose(after);
      show();
    },
    destroy() {
      stop();
      el.replaceChildren();
    },
  };
}

const draw = (tag, attributes) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
const make = (tag, attributes, text) => fill(document.createElement(tag), attributes, text);

function fill(made, attributes = {}, text) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

const CSS = `
.memory-access { --word: #08519c; --mine: #b34700; max-width: 42rem; margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
html[data-theme="dark"] .memory-access, [data-jp-theme-light="false"] .memory-access { --word: #7dc8ff; --mine: #ffb066; }
.memory-access p { margin: .3rem 0; }
.memory-access .ma-about { min-height: 2.8em; }
.memory-access .ma-said { min-height: 5.6em; font-variant-numeric: tabular-nums; }
.memory-access .ma-tabs, .memory-access .ma-control { display: flex; flex-wrap: wrap; gap: .3rem .5rem; margin: .4rem 0; align-items: center; }
.memory-access button { min-height: 1.8rem; padding: .1rem .6rem; border: 1px solid currentColor; border-radius: .3rem; background: none; color: inherit; font: inherit; cursor: pointer; }
.memory-access button[aria-pressed="true"] { border-color: var(--word); box-shadow: inset 0 0 0 1px var(--word); font-weight: 700; }
.memory-access .ma-play { min-width: 4.5rem; }
.memory-access label { display: flex; flex: 1 1 12rem; flex-wrap: wrap; gap: 0 .5rem; align-items: center; margin: 0; }
.memory-access output { min-width: 4.5em; font-variant-numeric: tabular-nums; padding: 0; color: inherit; }
.memory-access input { flex: 1 1 6rem; min-width: 0; min-height: 1.5rem; accent-color: var(--mine); }
.memory-access .ma-panels { display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; }
.memory-access .ma-panel { flex: 1 1 16rem; max-width: 22rem; }
.memory-access .ma-panel[hidden] { display: none; }
.memory-access .ma-title { font-weight: 600; }
.memory-access svg { display: block; width: 100%; touch-action: manipulation; }
.memory-access .ma-frame { fill: none; stroke: currentColor; stroke-opacity: .22; stroke-width: .05; }
.memory-access .ma-before { fill: currentColor; fill-opacity: .13; }
.memory-access .ma-now path { fill: var(--word); }
.memory-access .ma-now .ma-mine { fill: var(--mine); }
.memory-access .ma-sectors { fill: none; stroke: var(--word); stroke-width: .14; }
.memory-access :focus-visible { outline: 3px solid var(--mine); outline-offset: 1px; }
@media print { .memory-access .ma-control { display: none; } }
`;
