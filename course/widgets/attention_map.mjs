// The attention map: for a name, where every head of a model looks. One map per head: a row for each
// letter that looks, a column for each that it can look at; what comes later it cannot see. Point at a
// row (mouse, finger or arrow keys): every head shows its weights there as bars and in words.
// The weights come from Python, which is asked when a name is typed that is not there yet.
//
// render(el, state, ask) -> {update(state), destroy()}
//   state: {maps, at, chars, bos, longest}, see attention_map.py
//   ask({type: "look", name}) -> Promise of the next state; null where no Python answers (the web site)

export function render(el, state, ask) {
  const { chars, bos, longest } = state;
  let { maps, at } = state;
  let layer = 0;
  let heads = []; // per head of this layer its elements: {looks, bars, rows}
  let spot; // the row that was chosen, the one that Tab reaches: {head, t}
  let busy = false;

  const signs = () => [bos, ...maps[at].name];
  const short = () => signs().length < 7; // room for four maps, and for a number above each bar
  const weights = (head, t) => maps[at].weights[layer][head][t];

  // ------------------------------------------------------------------ what there is to see
  const root = make("div", { class: "attention-map", role: "group", "aria-label": "Attention map", "data-lm-suppress-shortcuts": "true" });
  const form = make("form", { class: "am-form", novalidate: "" });
  const label = make("label", {}, "A name");
  const typed = make("input", { type: "text", size: 14, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  label.append(typed);
  const go = make("button", { type: "submit" }, "Look");
  form.append(label, go);
  const problem = make("p", { class: "am-problem", role: "alert" });
  const names = make("div", { class: "am-choice", role: "group", "aria-label": "Names that are there" });
  const layers = make("div", { class: "am-choice", role: "group", "aria-label": "Layer" });
  const said = make("p", { class: "am-said", "aria-live": "polite" });
  const panels = make("div", { class: "am-panels" });
  const note = make("p", { class: "am-note" });
  note.textContent =
    `Row: a letter that looks. Column: a letter that it looks at; ${bos} is the start of the name. ` +
    "The stronger the colour, the larger the weight; the weights of a row sum to 1. Point at a row to read them." +
    (ask ? "" : " In JupyterLab the model looks at any name that you type.");
  root.append(make("style", {}, CSS), form, problem, names, layers, said, panels, note);
  el.replaceChildren(root);

  // ------------------------------------------------------------------ in words
  /** The sign at position s; where the name has it more than once, which one it is. */
  function letter(s) {
    if (s === 0) return `${bos}\u00a0(start)`; // held together on one line
    const same = [...signs().keys()].filter((i) => i > 0 && signs()[i] === signs()[s]);
    const k = same.indexOf(s);
    return signs()[s] + (same.length > 1 ? `\u00a0(${["1st", "2nd", "3rd"][k] ?? `${k + 1}th`})` : "");
  }

  function looked(head, t) {
    const row = weights(head, t);
    const most = [...row.keys()].sort((a, b) => row[b] - row[a]);
    const told = most.slice(0, 3).map((s) => `${s === t ? "itself" : letter(s)}\u00a0${row[s].toFixed(2)}`);
    return told.join(", ") + (most.length > 3 ? " …" : "");
  }

  function likeliest(t) {
    const read = t === 0 ? "At the start of a name" : `After “${signs().slice(1, t + 1).join("")}”`;
    const told = maps[at].next[t].map(([token, p]) => `${chars[token] ?? "the end"} ${p.toFixed(2)}`);
    return `${read} the model's likeliest next letters are ${told.join(", ")}.`;
  }

  // ------------------------------------------------------------------ drawing
  const name = (sign, t) => make("b", t === 0 ? { class: "am-bos" } : {}, sign);

  function panel(head) {
    const many = maps[at].weights.length > 1;
    const title = many ? `Layer ${layer + 1}, head ${head + 1}` : `Head ${head + 1}`;
    const looks = make("p", { class: "am-looks", "aria-hidden": "true" }); // every row has it as its label
    const bars = signs().map(() => fill(make("span"), make("b"), make("i")));
    const rows = signs().map((sign, t) => {
      const line = make("div", { class: "am-line am-row", role: "option", "data-head": head, "data-t": t });
      line.setAttribute("aria-label", `At ${letter(t)}, ${title.toLowerCase()} looks at: ${looked(head, t)}`);
      const cells = weights(head, t).map((weight) => {
        const cell = make("i");
        cell.style.setProperty("--w", Math.sqrt(weight).toFixed(3)); // the root shows faint ones too
        return cell;
      });
      line.style.setProperty("--share", (t + 1) / signs().length);
      return fill(line, name(sign, t), ...cells);
    });
    const map = make("div", { class: "am-map", role: "listbox" });
    map.setAttribute("aria-label", `${title}: a row for each letter. Arrow keys go from row to row and from head to head.`);
    const all = fill(
      make("div", { class: "am-head" }),
      make("p", { class: "am-title" }, title),
      looks,
      fill(make("div", { class: "am-line am-bars", "aria-hidden": "true" }), make("b"), ...bars),
      fill(make("div", { class: "am-line", "aria-hidden": "true" }), make("b"), ...signs().map(name)),
      fill(map, ...rows),
    );
    return { all, looks, bars, rows };
  }

  /** Buttons of which one is pressed; `act` gets the number of another. */
  function choose(group, words, pressed, act) {
    while (group.children.length > words.length) group.lastChild.remove();
    words.forEach((word, i) => {
      if (!group.children[i]) group.append(make("button", { type: "button" })); // the others keep the focus
      const button = group.children[i];
      button.textContent = word || "(empty)";
      button.setAttribute("aria-pressed", i === pressed);
      button.onclick = () => act(i);
    });
  }

  /** All for the name and the layer on show; its last row is marked. */
  function show() {
    const count = maps[at].weights.length;
    root.style.setProperty("--n", signs().length);
    root.classList.toggle("am-long", !short()); // two maps side by side instead of four
    choose(names, maps.map(({ name }) => name), at, (i) => {
      at = i;
      problem.textContent = "";
      show();
    });
    layers.hidden = count < 2;
    choose(layers, maps[at].weights.map((_, i) => `Layer ${i + 1}`), layer, (i) => {
      layer = i;
      show();
    });
    heads = maps[at].weights[layer].map((_, head) => panel(head));
    panels.replaceChildren(...heads.map(({ all }) => all));
    pick(0, signs().length - 1);
  }

  /** Marks row t in every head and says what is there. */
  function point(t) {
    heads.forEach(({ looks, bars, rows }, head) => {
      const row = weights(head, t);
      const highest = row.indexOf(Math.max(...row));
      looks.replaceChildren("At ", make("strong", {}, letter(t)), ` it looks at: ${looked(head, t)}`);
      bars.forEach((bar, s) => {
        bar.style.setProperty("--h", row[s] ?? 0);
        bar.firstChild.textContent = s === highest || (short() && row[s] >= 0.1) ? row[s].toFixed(2) : "";
      });
      rows.forEach((line, i) => line.classList.toggle("am-shown", i === t));
    });
    if (said.textContent !== likeliest(t)) said.textContent = likeliest(t);
  }

  /** Row t of a head is the one that stays marked, and that Tab reaches. */
  function pick(head, t) {
    spot = { head, t };
    heads.forEach(({ rows }, h) =>
      rows.forEach((line, i) => {
        const here = h === head && i === t;
        line.tabIndex = here ? 0 : -1;
        line.setAttribute("aria-selected", here);
      }),
    );
    point(t);
  }

  function take(next) {
    ({ maps, at } = next);
    layer = Math.min(layer, maps[at].weights.length - 1);
    show();
  }

  // ------------------------------------------------------------------ what the reader does
  /** What is wrong with a name, or "". The same words as in letters.py. */
  function wrong(name) {
    const unknown = [...new Set(name)].filter((sign) => !chars.includes(sign));
    if (!name) return "Type a name first, such as emma.";
    if (unknown.length) return `The model has no token for ${unknown.map((sign) => `“${sign}”`).join(", ")}; it has them for ${chars}.`;
    if (name.length > longest) return `This has ${name.length} letters; the model has places for ${longest}.`;
    return "";
  }

  async function look(event) {
    event.preventDefault();
    if (busy) return;
    const name = typed.value.trim().toLowerCase();
    const found = maps.findIndex((map) => map.name === name);
    problem.textContent = found < 0 ? wrong(name) : "";
    if (problem.textContent) return typed.focus();
    if (found >= 0) {
      at = found;
      return show();
    }
    if (!ask) {
      problem.textContent = `The numbers for “${name}” are not on this page; run it in JupyterLab, or choose a name below.`;
      return;
    }
    busy = true;
    go.setAttribute("aria-disabled", "true"); // not `disabled`: that would drop the keyboard's focus
    root.setAttribute("aria-busy", "true");
    try {
      take(await ask({ type: "look", name }));
    } catch (error) {
      problem.textContent = `Your code stopped: ${error.message}`;
    } finally {
      busy = false;
      go.removeAttribute("aria-disabled");
      root.removeAttribute("aria-busy");
    }
  }

  const which = ({ target }) => target.closest?.(".am-row")?.dataset;
  const keys = (event) => {
    event.stopPropagation(); // JupyterLab would move to another notebook cell
    const here = which(event);
    if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
    const [head, t, last] = [+here.head, +here.t, signs().length - 1];
    const moves = { ArrowUp: [head, t - 1], ArrowDown: [head, t + 1], Home: [head, 0], End: [head, last], ArrowLeft: [head - 1, t], ArrowRight: [head + 1, t] };
    if (!moves[event.key]) return;
    event.preventDefault();
    const [to, row] = moves[event.key];
    heads[to]?.rows[row]?.focus();
  };
  const take_row = (event) => {
    const here = which(event);
    if (here) pick(+here.head, +here.t);
  };

  form.addEventListener("submit", look);
  panels.addEventListener("pointerover", (event) => {
    const here = which(event);
    if (here) point(+here.t);
  });
  panels.addEventListener("pointerleave", () => point(spot.t));
  panels.addEventListener("click", take_row);
  panels.addEventListener("focusin", take_row);
  root.addEventListener("keydown", keys);

  show();
  return {
    update: take,
    destroy: () => el.replaceChildren(),
  };
}

function make(tag, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function fill(made, ...parts) {
  made.append(...parts);
  return made;
}

// One blue from faint to full, over whatever page it lies on: readable with any colour vision.
const CSS = `
.attention-map { --ink: 8 81 156; --line: rgb(0 0 0 / .18); --mark: #b34700;
  --least: 9.5rem; --lines: 3; max-width: 46rem; margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
.attention-map.am-long { --least: 16rem; --lines: 2; }
html[data-theme="dark"] .attention-map, [data-jp-theme-light="false"] .attention-map {
  --ink: 125 200 255; --line: rgb(255 255 255 / .22); --mark: #ffb066; }
.attention-map p { margin: .3rem 0; }
.attention-map .am-form, .attention-map .am-choice { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin: .4rem 0; }
.attention-map .am-choice[hidden] { display: none; }
.attention-map label { display: flex; gap: .5rem; align-items: center; margin: 0; }
.attention-map input, .attention-map button { font: inherit; color: inherit; background: transparent; padding: 0 .6rem;
  border: 1px solid currentColor; border-radius: .3rem; height: 2rem; box-sizing: border-box; }
.attention-map input { width: 9rem; }
.attention-map button { cursor: pointer; }
.attention-map .am-form button { padding: 0 .9rem; font-weight: 600; background: rgb(var(--ink) / .15); }
.attention-map button:hover { background: rgb(var(--ink) / .15); }
.attention-map [aria-pressed="true"] { background: rgb(var(--ink) / .25); font-weight: 600; }
.attention-map [aria-disabled], .attention-map[aria-busy] .am-panels { opacity: .6; }
.attention-map :focus-visible { outline: 3px solid var(--mark); outline-offset: 1px; z-index: 1; }
.attention-map .am-problem { color: var(--mark); }
.attention-map .am-problem:empty { display: none; }
.attention-map .am-said { min-height: 1.4em; font-variant-numeric: tabular-nums; }
.attention-map .am-panels { display: grid; gap: 1rem 1.4rem; padding: 0 .4rem 2px 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, max(var(--least), calc(var(--n) * 1.3rem + 1.2rem))), 1fr)); }
.attention-map .am-head { min-width: 0; display: flex; flex-direction: column; }
.attention-map .am-title { font-weight: 600; margin-bottom: 0; }
.attention-map .am-looks { font-size: .8rem; line-height: 1.35; min-height: calc(var(--lines) * 1.35em); margin: 0; font-variant-numeric: tabular-nums; }
.attention-map .am-line { position: relative; display: grid; max-width: calc(var(--n) * 2rem + 1.2rem);
  grid-template-columns: 1.2rem repeat(var(--n), minmax(0, 1fr)); }
.attention-map .am-line b { font-weight: 400; font-size: .78rem; line-height: 1.3rem; text-align: center; align-self: center; }
.attention-map .am-line .am-bos { font-size: 1.3rem; font-weight: 700; }
.attention-map .am-bars { height: 4rem; }
.attention-map .am-bars span { display: flex; flex-direction: column; justify-content: end; align-items: center; height: 100%; align-self: stretch; }
.attention-map .am-bars span b { font-size: .66rem; line-height: 1rem; height: 1rem; white-space: nowrap; align-self: center; width: 0;
  display: flex; justify-content: center; }
.attention-map .am-bars i { width: 70%; height: calc(var(--h, 0) * (100% - 1rem)); background: rgb(var(--ink)); transition: height .15s; }
.attention-map .am-row i { aspect-ratio: 1; background: rgb(var(--ink) / var(--w)); box-shadow: inset 0 0 0 .5px var(--line);
  forced-color-adjust: none; }
.attention-map .am-row { cursor: pointer; }
.attention-map .am-shown::after { content: ""; position: absolute; inset: -1px auto -1px 1.2rem; pointer-events: none;
  width: calc((100% - 1.2rem) * var(--share)); border: 2px solid var(--mark); box-sizing: border-box; }
.attention-map .am-shown b { font-weight: 700; color: var(--mark); }
.attention-map .am-note { font-size: .8rem; margin-top: .8rem; }
@media (max-width: 600px) { .attention-map .am-said { min-height: 2.8em; } }
@media (prefers-reduced-motion: reduce) { .attention-map .am-bars i { transition: none; } }
@media print { .attention-map :is(.am-form, .am-choice, .am-note) { display: none; }
  .attention-map i { print-color-adjust: exact; } }
`;
