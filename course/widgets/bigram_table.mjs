// The bigram table: one row per token, one column per token that may follow, darker = more probable.
// Point at a row (mouse, finger or arrow keys) and it stands above the table as bars. "Continue" asks
// Python for the next token: nothing is drawn at random here. A letter of the marked row can also be
// taken by hand.
//
// render(el, state, ask) -> {update(state), destroy()}
//   state: {tokens, probs, counts?, end, row, name, names}, see bigram_table.py
//   ask(message) -> Promise of the next state; null where no Python answers (the web site)

const KEPT = 8; // finished names on show, as in bigram_table.py
let tables = 0;

export function render(el, state, ask) {
  const { tokens, probs, counts, end } = state;
  const n = tokens.length;
  const top = Math.max(...probs.flat()) || 1;
  const id = `bigram-table-${++tables}`;
  let at = { row: state.row, name: state.name, names: state.names };
  let shown = at.row; // the row that stands as bars: the one pointed at, else the marked one
  let spot = { row: at.row, col: 0 }; // where the arrow keys are: the one cell that Tab reaches
  let busy = false;

  const label = (t) => (t === end ? `${tokens[t]} (the end)` : tokens[t]);
  const before = (t) => (t === end ? "At the start of a name" : `After ${tokens[t]}`);
  const number = (p) => (p === 0 ? "0" : p < 0.001 ? p.toExponential(1) : p.toFixed(3));

  // ------------------------------------------------------------------ what there is to see
  const root = make("div", { class: "bigram-table", role: "group", "data-lm-suppress-shortcuts": "true" });
  root.setAttribute("aria-label", "Bigram table");
  root.style.setProperty("--n", n);
  const style = make("style");
  style.textContent = CSS;
  const line = make("p", { class: "bt-name" });
  const live = make("p", { class: "bt-hidden", "aria-live": "polite" });
  const go = make("button", { type: "button", class: "bt-go" }, "Continue");
  const again = make("button", { type: "button", class: "bt-again" }, "Start again");
  const buttons = make("div", { class: "bt-buttons" });
  if (ask) buttons.append(go);
  buttons.append(again);
  const problem = make("p", { class: "bt-problem", role: "alert" });
  const caption = make("p", { class: "bt-caption" });
  const chart = make("div", { class: "bt-chart", "aria-hidden": "true" }); // the table says it in words
  const bars = tokens.map((token, t) => {
    const bar = make("div", { class: "bt-bar", "data-col": t });
    bar.append(make("span"), make("i"), make("b", {}, token));
    chart.append(bar);
    return bar;
  });
  const grid = make("div", { class: "bt-grid", role: "grid", id, "aria-rowcount": n, "aria-colcount": n + 1 });
  grid.setAttribute("aria-label", `${n} rows: what follows each letter. Arrow keys move, Enter takes a letter.`);
  const cells = tokens.map((token, row) => {
    const line = make("div", { class: "bt-row", role: "row", "data-row": row });
    line.append(make("div", { class: "bt-label", role: "rowheader", "data-row": row }, token));
    const made = tokens.map((_, col) => {
      const cell = make("div", { class: "bt-cell", role: "gridcell", tabindex: -1, "data-row": row, "data-col": col });
      cell.setAttribute("aria-label", `${before(row)}, ${label(col)}: ${number(probs[row][col])}`);
      cell.style.setProperty("--p", Math.sqrt(probs[row][col] / top).toFixed(3)); // the root shows rare ones too
      line.append(cell);
      return cell;
    });
    grid.append(line);
    return made;
  });
  const note = make("p", { class: "bt-note" });
  note.textContent =
    `Row: a letter. Column: the letter that follows. The sign “${tokens[end]}” is both start and end of a name. ` +
    "Point at a row to see it as bars; in the marked row, press a letter to take it yourself." +
    (ask ? "" : " “Continue” is there in JupyterLab: your own code draws the letter.");
  root.append(style, line, buttons, problem, caption, chart, grid, note, live);
  el.replaceChildren(root);

  // ------------------------------------------------------------------ what changes
  function draw() {
    line.replaceChildren(
      make("span", { class: "bt-done" }, at.names.map((name) => name || "(empty)").join("  ") || "Name:"),
      make("span", { class: "bt-now" }, at.name),
      make("span", { class: "bt-caret", "aria-hidden": "true" }, "▏"),
    );
    show(at.row);
    grid.querySelectorAll(".bt-current").forEach((row) => row.classList.remove("bt-current"));
    grid.children[at.row].classList.add("bt-current");
    grid.querySelectorAll("[aria-current]").forEach((row) => row.removeAttribute("aria-current"));
    grid.children[at.row].setAttribute("aria-current", "true");
  }

  function show(row, col = null) {
    shown = row;
    const best = [...probs[row].keys()].sort((a, b) => probs[row][b] - probs[row][a]).slice(0, 4);
    const said = col === null ? best.map((t) => `${tokens[t]} ${number(probs[row][t])}`).join(" · ") : one(row, col);
    caption.replaceChildren(make("strong", {}, before(row)), `: ${said}${col === null ? " …" : ""}`);
    const highest = probs[row][best[0]] || 1; // a row's highest bar fills the height, its number above it
    bars.forEach((bar, t) => {
      bar.style.setProperty("--h", probs[row][t] / highest);
      bar.classList.toggle("bt-here", t === col);
      bar.firstChild.textContent = t === best[0] || t === col ? number(probs[row][t]) : "";
      bar.title = one(row, t);
    });
    [...grid.children].forEach((line, r) => line.classList.toggle("bt-shown", r === row));
    chart.classList.toggle("bt-takes", row === at.row);
  }

  function one(row, col) {
    const times = counts ? `, counted ${counts[row][col].toLocaleString("en")} times` : "";
    return `${label(col)} ${number(probs[row][col])}${times}`;
  }

  /** The letter `token` was taken by hand: the name grows by it, or is finished. */
  function take(token) {
    at =
      token === end
        ? { row: token, name: "", names: [...at.names, at.name].slice(-KEPT) }
        : { row: token, name: at.name + tokens[token], names: at.names };
    say();
  }

  function say() {
    problem.textContent = "";
    draw();
    live.textContent = at.name ? `The name so far: ${at.name}` : `Finished: ${at.names.at(-1) ?? "nothing yet"}`;
  }

  async function proceed() {
    if (busy) return;
    busy = true;
    go.setAttribute("aria-disabled", "true"); // not `disabled`: that would drop the keyboard's focus
    try {
      const { row, name, names } = await ask({ type: "continue", ...at });
      at = { row, name, names };
      say();
    } catch (error) {
      problem.textContent = `Your code stopped: ${error.message}`;
    } finally {
      busy = false;
      go.removeAttribute("aria-disabled");
    }
  }

  function restart() {
    at = { row: end, name: "", names: [] };
    say();
    live.textContent = "Started again.";
  }

  // ------------------------------------------------------------------ what the reader does
  const place = (event) => {
    const found = event.target.closest?.("[data-row], [data-col]");
    if (!found) return null;
    const { row, col } = found.dataset;
    return { row: row === undefined ? shown : +row, col: col === undefined ? null : +col };
  };
  const point = (event) => {
    const where = place(event);
    if (where) show(where.row, where.col);
  };
  const leave = () => show(at.row);
  const press = (event) => {
    const where = place(event);
    if (!where) return;
    if (where.col !== null && where.row === at.row) take(where.col);
    else show(where.row, where.col);
  };

  function focus(row, col) {
    cells[spot.row][spot.col].tabIndex = -1;
    spot = { row, col };
    cells[row][col].tabIndex = 0;
  }

  const keys = (event) => {
    const { row, col } = spot;
    const moves = {
      ArrowUp: [row - 1, col],
      ArrowDown: [row + 1, col],
      ArrowLeft: [row, col - 1],
      ArrowRight: [row, col + 1],
      Home: [row, 0],
      End: [row, n - 1],
    };
    event.stopPropagation(); // JupyterLab would move to another notebook cell
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (row === at.row) {
        take(col);
        focus(at.row, 0); // the next row is where the name goes on
        cells[at.row][0].focus();
      }
    } else if (moves[event.key]) {
      event.preventDefault();
      const [r, c] = moves[event.key].map((k) => Math.min(n - 1, Math.max(0, k)));
      focus(r, c);
      cells[r][c].focus();
    }
  };
  const focused = (event) => {
    const { row, col } = event.target.dataset;
    if (col !== undefined) {
      focus(+row, +col);
      show(+row, +col);
    }
  };

  go.addEventListener("click", proceed);
  again.addEventListener("click", restart);
  for (const part of [grid, chart]) {
    part.addEventListener("pointerover", point);
    part.addEventListener("pointerleave", leave);
    part.addEventListener("click", press);
  }
  grid.addEventListener("keydown", keys);
  grid.addEventListener("focusin", focused);
  grid.addEventListener("focusout", leave);
  root.addEventListener("keydown", (event) => event.stopPropagation());

  focus(at.row, 0);
  draw();
  return {
    update(next) {
      const { row, name, names } = next;
      at = { row, name, names };
      draw();
    },
    destroy: () => el.replaceChildren(),
  };
}

function make(tag, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

// One blue from faint to full, over whatever page it lies on: readable with any colour vision.
const CSS = `
.bigram-table { --ink: 8 81 156; --line: rgb(0 0 0 / .18); --mark: #b34700;
  max-width: 40rem; margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
html[data-theme="dark"] .bigram-table, [data-jp-theme-light="false"] .bigram-table {
  --ink: 125 200 255; --line: rgb(255 255 255 / .22); --mark: #ffb066; }
.bigram-table p { margin: .3rem 0; }
.bigram-table .bt-name { display: flex; flex-wrap: wrap; gap: 0 .8rem; align-items: baseline; min-height: 2rem;
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.bigram-table .bt-done { white-space: pre-wrap; }
.bigram-table .bt-now { font-size: 1.35rem; font-weight: 600; }
.bigram-table .bt-caret { margin-left: -.8rem; font-size: 1.35rem; color: var(--mark); }
.bigram-table .bt-buttons { display: flex; gap: .5rem; margin: .3rem 0; }
.bigram-table button { font: inherit; color: inherit; background: transparent; padding: .3rem .9rem; cursor: pointer;
  border: 1px solid currentColor; border-radius: .3rem; min-height: 2rem; }
.bigram-table button:hover { background: rgb(var(--ink) / .15); }
.bigram-table .bt-go { font-weight: 600; background: rgb(var(--ink) / .15); }
.bigram-table button[aria-disabled] { opacity: .6; }
.bigram-table :focus-visible { outline: 3px solid var(--mark); outline-offset: 1px; z-index: 1; }
.bigram-table .bt-problem:empty { display: none; }
.bigram-table .bt-problem { color: var(--mark); }
.bigram-table .bt-caption { font-variant-numeric: tabular-nums; min-height: 1.4em; }
.bigram-table .bt-chart, .bigram-table .bt-grid { max-width: calc(1.1rem + var(--n) * 3rem); }
.bigram-table .bt-chart, .bigram-table .bt-row { display: grid; gap: 1px;
  grid-template-columns: 1.1rem repeat(var(--n), minmax(0, 1fr)); }
.bigram-table .bt-chart { height: 7.5rem; align-items: end; margin-bottom: .3rem; }
.bigram-table .bt-bar { display: flex; flex-direction: column; justify-content: end; height: 100%; text-align: center; }
.bigram-table .bt-bar:first-child { grid-column: 2; }
.bigram-table .bt-bar span { font-size: .72rem; line-height: 1rem; height: 1rem; width: 3rem; align-self: center; white-space: nowrap; }
.bigram-table .bt-bar:first-child span { align-self: start; text-align: left; }
.bigram-table .bt-bar:last-child span { align-self: end; text-align: right; }
.bigram-table .bt-bar i { display: block; height: calc(var(--h, 0) * (100% - 2.2rem)); min-height: 1px;
  background: rgb(var(--ink)); transition: height .15s; }
.bigram-table .bt-bar b { font-weight: 400; font-size: .72rem; line-height: 1.2rem; }
.bigram-table .bt-bar.bt-here i { background: var(--mark); }
.bigram-table .bt-bar.bt-here b { font-weight: 700; color: var(--mark); }
.bigram-table .bt-takes .bt-bar, .bigram-table .bt-takes { cursor: pointer; }
.bigram-table .bt-row { position: relative; }
.bigram-table .bt-label { font-size: .72rem; line-height: 1; display: flex; align-items: center; justify-content: center; }
.bigram-table .bt-cell { position: relative; aspect-ratio: 1.25; background: rgb(var(--ink) / var(--p));
  box-shadow: inset 0 0 0 .5px var(--line); forced-color-adjust: none; }
.bigram-table .bt-shown .bt-label { font-weight: 700; background: rgb(var(--ink) / .25); }
.bigram-table .bt-shown .bt-cell { box-shadow: inset 0 1px 0 currentColor, inset 0 -1px 0 currentColor; }
.bigram-table .bt-current .bt-label { font-weight: 700; color: var(--mark); background: transparent; }
.bigram-table .bt-current .bt-cell { cursor: pointer;
  box-shadow: inset 0 2px 0 var(--mark), inset 0 -2px 0 var(--mark); }
.bigram-table .bt-cell:hover { outline: 2px solid var(--mark); z-index: 1; }
.bigram-table .bt-note { font-size: .8rem; }
.bigram-table .bt-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@media (prefers-reduced-motion: reduce) { .bigram-table .bt-bar i { transition: none; } }
@media print { .bigram-table .bt-buttons, .bigram-table .bt-note { display: none; }
  .bigram-table .bt-cell, .bigram-table .bt-bar i { print-color-adjust: exact; } }
`;
