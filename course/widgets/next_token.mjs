// The next token: what a model says may follow a beginning, as bars. Type a beginning, press a bar, draw
// a letter or have a whole name written; sliders change what is drawn from. The logits come from Python.
// What happens here is the drawing: softmax of given logits at a temperature, cut to the likeliest (top k,
// top p). Tests hold `drawing` to transformer.next_probs.
//
// render(el, state, ask) -> {update(state), destroy()}
//   state: {chars, bos, longest, known, asked, dice, name, temperatures, temperature, controls, top_k, top_p},
//     see next_token.py
//   ask({type: "next", name}) -> Promise of the next state; null where no Python answers (the web site)

const KEPT = 8; // finished names on show
const PACE = 220; // milliseconds from letter to letter while a name is written

/**
 * What is drawn from. `probs`: softmax(logits / temperature). `order`: the tokens, the likeliest first.
 * `kept`: of these the first top_k, and of those the fewest that together reach top_p. `drawn`: the
 * probabilities of the kept, made to sum to 1 again, and 0 for the others.
 */
export function drawing(logits, temperature, top_k, top_p) {
  const highest = Math.max(...logits); // keeps exp from overflowing
  const exps = logits.map((logit) => Math.exp((logit - highest) / temperature));
  const total = sum(exps);
  const probs = exps.map((e) => e / total);
  const order = [...probs.keys()].sort((a, b) => probs[b] - probs[a]);
  let kept = order.slice(0, top_k);
  const share = top_p * sum(kept.map((token) => probs[token]));
  let reached = 0;
  const wanted = (token) => {
    const before = reached;
    reached += probs[token];
    return before < share;
  };
  if (top_p < 1) kept = kept.filter(wanted);
  const left = sum(kept.map((token) => probs[token]));
  const drawn = probs.map((p, token) => (kept.includes(token) ? p / left : 0));
  return { probs, order, kept, drawn };
}

/** The token at which the running sum passes u, a random number from 0 to 1. */
export function draw(probs, u) {
  let reached = 0;
  const found = probs.findIndex((p) => u < (reached += p));
  return found < 0 ? probs.findLastIndex((p) => p > 0) : found; // u above a rounded sum
}

export function render(el, state, ask) {
  const { chars, bos, longest, dice, temperatures, controls } = state;
  const end = chars.length;
  const signs = [...chars, bos];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const known = new Map(); // beginning → logits
  const settings = { temperature: state.temperature, top_k: state.top_k, top_p: state.top_p };
  let name = state.name; // the beginning on show
  let finished = []; // {name, p}
  let series = null; // the random numbers of the last written name
  let rolls = 0; // how many of the given series have been used
  let turn = 0; // rises with everything that the reader does: what was going on stops
  let waiting = 0; // questions that Python has not answered
  let spot = 0; // the bar that Tab reaches
  let slots = []; // which token each bar stands for

  // ------------------------------------------------------------------ what there is to see
  const root = make("div", { class: "next-token", role: "group", "aria-label": "Next token", "data-lm-suppress-shortcuts": "true" });
  const form = make("form", { class: "nt-form", novalidate: "" });
  const label = make("label", {}, "Beginning");
  const typed = make("input", { type: "text", size: 16, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  label.append(typed);
  form.append(label, make("button", { type: "submit" }, "Draw a letter"));
  const button = (words, act) => {
    const made = make("button", { type: "button" }, words);
    made.addEventListener("click", act);
    form.append(made);
    return made;
  };
  button("Write a name", () => write(fresh()));
  const same = button("Same random numbers again", () => write(series));
  same.hidden = true;
  button("Start again", () => go(""));
  const problem = make("p", { class: "nt-problem", role: "alert" });
  const done = make("p", { class: "nt-done" });
  const said = make("p", { class: "nt-said", "aria-live": "polite" });
  const chart = make("div", { class: "nt-bars", role: "toolbar" });
  chart.setAttribute("aria-label", "What may follow. Arrow keys go from bar to bar, a letter's key to its bar; Enter takes it.");
  const bars = signs.map((_, slot) => {
    const bar = make("button", { type: "button", class: "nt-bar", tabindex: slot === 0 ? 0 : -1, "data-slot": slot });
    bar.append(make("span"), make("i"), make("b"));
    chart.append(bar);
    return bar;
  });
  const chance = make("p", { class: "nt-chance" });
  const panel = make("div", { class: "nt-controls" });
  const sorted = make("input", { type: "checkbox" });
  const sort = make("label", {}, "Likeliest first");
  sort.prepend(sorted);
  panel.append(sort);
  const note = make("p", { class: "nt-note" });
  note.textContent =
    `The sign ${bos} is the end. Press a bar to take its letter yourself.` +
    (ask ? "" : ` This page holds ${Object.keys(state.known).length} beginnings and ${dice.length} series of random numbers, which “Write a name” takes in turn; in JupyterLab the model answers for any beginning.`);
  root.append(make("style", {}, CSS), form, problem, said, chart, chance, panel, done, note);
  el.replaceChildren(root);
  root.style.setProperty("--n", signs.length);
  root.style.setProperty("--half", Math.ceil(signs.length / 2));

  slider("temperature", "Temperature", { min: 0, max: temperatures.length - 1, step: 1 }, (at) => temperatures[at], (t) => temperatures.indexOf(t));
  slider("top_k", "Top k", { min: 1, max: signs.length, step: 1 });
  slider("top_p", "Top p", { min: 0.05, max: 1, step: 0.05 });

  /** A slider for one of the settings, where the lesson asks for it. */
  function slider(key, words, range, value = Number, place = Number) {
    if (!controls.includes(key)) return;
    const input = make("input", { type: "range", "aria-label": words, ...range });
    const out = make("output"); // no label around both: it would name the output, which comes first
    const line = make("div", { class: "nt-slider" });
    const change = () => {
      settings[key] = value(+input.value);
      tell();
      show();
    };
    const tell = () => {
      out.textContent = String(settings[key]) + (key !== "temperature" && +input.value === range.max ? " (all)" : "");
      input.setAttribute("aria-valuetext", out.textContent);
    };
    input.value = place(settings[key]);
    input.addEventListener("input", change);
    line.append(make("span", {}, words), out, input);
    panel.append(line);
    tell();
  }

  // ------------------------------------------------------------------ in words
  const long = (token) => (token === end ? `${bos} (the end)` : chars[token]);
  const number = (p) => (p >= 0.001 || p === 0 ? String(+p.toPrecision(3)) : p.toExponential(1));
  function often(p) {
    if (p === 0) return "never with these settings";
    const large = { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 2 }; // 1.2 million
    return `one in ${Math.round(1 / p).toLocaleString("en", 1 / p < 1e6 ? {} : large)}`;
  }
  function likely(kept, drawn) {
    const told = kept.slice(0, 4).map((token) => `${signs[token]} ${drawn[token].toFixed(2)}`);
    return `${name ? `After “${name}”` : "At the start of a name"}: ${told.join(", ")}${kept.length > 4 ? " …" : "."}`;
  }

  /** What is wrong with a beginning, or "". The same words as in letters.py. */
  function wrong(beginning) {
    const unknown = [...new Set(beginning)].filter((sign) => !chars.includes(sign));
    if (unknown.length) return `The model has no token for ${unknown.map((sign) => `“${sign}”`).join(", ")}; it has them for ${chars}.`;
    if (beginning.length > longest) return `This has ${beginning.length} letters; the model has places for ${longest}.`;
    return "";
  }

  // ------------------------------------------------------------------ drawing
  const now = (beginning) => drawing(known.get(beginning), settings.temperature, settings.top_k, settings.top_p);

  /** The probability that a name begins so, or with `ended` is just this, at these settings. */
  function probability(letters, ended) {
    const tokens = [...letters].map((letter) => chars.indexOf(letter));
    return [...tokens, ...(ended ? [end] : [])].reduce((p, token, t) => p * now(letters.slice(0, t)).drawn[token], 1);
  }

  function show(before = "") {
    const there = known.has(name);
    const { probs, order, kept, drawn } = there ? now(name) : nothing;
    const highest = Math.max(...drawn) || 1; // the highest bar fills the height
    slots = sorted.checked ? order : [...signs.keys()];
    bars.forEach((bar, slot) => {
      const token = slots[slot];
      const cut = there && !kept.includes(token);
      bar.classList.toggle("nt-cut", cut);
      bar.classList.toggle("nt-end", token === end);
      bar.setAttribute("aria-disabled", cut || !there); // not `disabled`: that would drop the keyboard's focus
      bar.style.setProperty("--h", (cut ? probs[token] : drawn[token]) / highest);
      bar.setAttribute("aria-label", there ? `${long(token)}: ${cut ? "cut" : number(drawn[token])}` : long(token));
      const [above, , below] = bar.children;
      above.dataset.value = drawn[token] >= 0.05 ? drawn[token].toFixed(2) : ""; // the label says it in full
      below.textContent = signs[token];
    });
    const words = there ? before + likely(kept, drawn) : before;
    if (said.textContent !== words) said.textContent = words;
    const p = there ? probability(name, false) : 1;
    chance.textContent = there && name ? `The probability that a name begins with “${name}” is ${number(p)}: ${often(p)}.` : "";
    done.replaceChildren(...finished.flatMap((one) => [make("strong", {}, one.name || "(empty)"), ` ${often(one.p)}  `]));
    done.hidden = !finished.length;
    same.hidden = !series;
  }

  const nothing = { probs: signs.map(() => 0), drawn: signs.map(() => 0), order: [...signs.keys()], kept: [] };

  // ------------------------------------------------------------------ what the reader does
  function learn({ known: given, asked }) {
    for (const [beginning, logits] of [...Object.entries(given), ...Object.entries(asked)]) known.set(beginning, logits);
  }

  /** Shows a beginning, and asks for it where it is not known. Promises whether it is there now. */
  async function go(to, before = "") {
    const mine = ++turn;
    name = to;
    if (typed.value.trim().toLowerCase() !== to) typed.value = to;
    problem.textContent = wrong(to);
    if (!problem.textContent && !known.has(to)) {
      if (ask) await question(mine);
      else problem.textContent = `“${to}” is not among the beginnings that this page holds; in JupyterLab the model goes on.`;
    }
    if (mine !== turn) return false;
    show(before);
    return known.has(to);
  }

  async function question(mine) {
    waiting += 1;
    root.setAttribute("aria-busy", "true");
    try {
      learn(await ask({ type: "next", name }));
    } catch (error) {
      if (mine === turn) problem.textContent = `Your code stopped: ${error.message}`;
    } finally {
      waiting -= 1;
      if (!waiting) root.removeAttribute("aria-busy");
    }
  }

  /** Takes a token: the name grows by it, or is finished. Promises whether it can go on. */
  function take(token) {
    const letters = name + (chars[token] ?? "");
    if (token !== end && letters.length <= longest) return go(letters);
    const p = probability(letters, token === end);
    finished = [...finished, { name: letters, p }].slice(-KEPT);
    go("", `Finished: ${letters || "an empty name"}, ${often(p)}. `);
    return false;
  }

  /** Random numbers for a whole name: new ones, and where no Python answers those that were given. */
  const fresh = () => (ask ? Array.from({ length: longest + 1 }, Math.random) : dice[rolls++ % dice.length]);

  async function write(numbers) {
    series = numbers;
    said.setAttribute("aria-live", "off"); // it would talk without a break
    let goes = await go("");
    for (const u of numbers) {
      if (!goes) break;
      const mine = turn;
      if (!calm.matches) await new Promise((resolve) => setTimeout(resolve, PACE));
      if (mine !== turn || !root.isConnected) break; // the reader does something else
      goes = await take(draw(now(name).drawn, u));
    }
    said.setAttribute("aria-live", "polite");
  }

  const press = (event) => {
    const bar = event.target.closest(".nt-bar");
    if (!bar) return;
    focus(+bar.dataset.slot);
    if (bar.ariaDisabled === "false") take(slots[spot]);
  };
  function focus(slot) {
    bars[spot].tabIndex = -1;
    spot = slot;
    bars[spot].tabIndex = 0;
  }
  const keys = (event) => {
    event.stopPropagation(); // JupyterLab would move to another notebook cell
    if (!event.target.closest(".nt-bar") || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: spot - 1, ArrowRight: spot + 1, ArrowUp: spot - 1, ArrowDown: spot + 1, Home: 0, End: bars.length - 1 };
    const to = moves[event.key] ?? slots.indexOf(signs.indexOf(event.key));
    if (!bars[to]) return;
    event.preventDefault();
    focus(to);
    bars[to].focus();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (known.has(name)) take(draw(now(name).drawn, Math.random()));
  });
  typed.addEventListener("input", () => go(typed.value.trim().toLowerCase()));
  sorted.addEventListener("change", () => show());
  chart.addEventListener("click", press);
  root.addEventListener("keydown", keys);

  learn(state);
  go(name);
  return {
    update: (next) => {
      learn(next);
      if (known.has(name)) show();
    },
    destroy() {
      turn++;
      el.replaceChildren();
    },
  };
}

const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);

function make(tag, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const CSS = `
.next-token { --ink: 8 81 156; --mark: #b34700; --cut: rgb(128 128 128 / .55);
  max-width: 46rem; margin: .5rem 0 1rem; font-size: .9rem; line-height: 1.4; color: inherit; }
html[data-theme="dark"] .next-token, [data-jp-theme-light="false"] .next-token { --ink: 125 200 255; --mark: #ffb066; }
.next-token p { margin: .3rem 0; font-variant-numeric: tabular-nums; }
.next-token .nt-form { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin: .4rem 0; }
.next-token label, .next-token .nt-slider { display: flex; gap: .5rem; align-items: center; margin: 0; }
.next-token .nt-form input, .next-token .nt-form button { font: inherit; color: inherit; background: transparent; padding: 0 .7rem;
  border: 1px solid currentColor; border-radius: .3rem; height: 2rem; box-sizing: border-box; }
.next-token .nt-form input { width: 10rem; }
.next-token .nt-form button { cursor: pointer; }
.next-token .nt-form [type="submit"] { font-weight: 600; background: rgb(var(--ink) / .15); }
.next-token .nt-form button:hover { background: rgb(var(--ink) / .15); }
.next-token [hidden] { display: none; }
.next-token :focus-visible { outline: 3px solid var(--mark); outline-offset: 1px; z-index: 1; }
.next-token .nt-problem { color: var(--mark); }
.next-token .nt-problem:empty { display: none; }
.next-token .nt-done { white-space: pre-wrap; }
.next-token .nt-said, .next-token .nt-chance { min-height: 1.4em; }
.next-token .nt-bars { display: grid; grid-template-columns: repeat(var(--n), minmax(0, 1fr)); gap: .4rem 0; }
.next-token .nt-bar { display: flex; flex-direction: column; justify-content: end; align-items: center; height: 8.5rem; min-width: 0;
  font: inherit; color: inherit; background: transparent; border: 0; padding: 0; cursor: pointer; border-radius: .2rem; }
.next-token .nt-bar span { font-size: .66rem; line-height: 1rem; height: 1rem; width: 0; display: flex; justify-content: center; }
.next-token .nt-bar span::before { content: attr(data-value); }
.next-token .nt-bar i { width: 76%; height: calc(var(--h, 0) * (100% - 2.4rem)); min-height: 1px; background: rgb(var(--ink)); transition: height .15s; }
.next-token .nt-bar b { font-weight: 400; line-height: 1.4rem; height: 1.4rem; }
.next-token .nt-end b { font-size: 1.3rem; font-weight: 700; }
.next-token .nt-bar:hover:not([aria-disabled="true"]) { background: rgb(var(--ink) / .15); }
.next-token .nt-bar[aria-disabled="true"] { cursor: default; }
.next-token .nt-cut i { background: repeating-linear-gradient(45deg, var(--cut) 0 2px, transparent 2px 5px); box-shadow: inset 0 0 0 1px var(--cut); }
.next-token .nt-cut b { opacity: .65; text-decoration: line-through; }
.next-token[aria-busy] .nt-bars { opacity: .6; }
.next-token .nt-controls { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: .2rem 1.6rem; margin: .4rem 0; }
.next-token .nt-controls > * { min-height: 2rem; min-width: 0; }
.next-token .nt-slider span { min-width: 6rem; }
.next-token .nt-controls output { min-width: 3.9em; font-variant-numeric: tabular-nums; padding: 0; color: inherit; }
.next-token .nt-controls input { accent-color: rgb(var(--ink)); margin: 0; }
.next-token .nt-controls [type="range"] { flex: 1 1 6rem; min-width: 0; min-height: 1.5rem; }
.next-token .nt-controls [type="checkbox"] { width: 1.2rem; height: 1.2rem; }
.next-token .nt-note { font-size: .8rem; }
@media (max-width: 600px) { .next-token .nt-bars { grid-template-columns: repeat(var(--half), minmax(0, 1fr)); }
  .next-token .nt-bar { height: 6.5rem; }
  .next-token .nt-said, .next-token .nt-chance { min-height: 2.8em; } }
@media (prefers-reduced-motion: reduce) { .next-token .nt-bar i { transition: none; } }
@media print { .next-token :is(.nt-form, .nt-controls, .nt-note) { display: none; }
  .next-token i { print-color-adjust: exact; } }
`;
