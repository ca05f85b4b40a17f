// The GPT of the front page: buttons, the curve of the losses, names, and where the heads look. It shows
// what gpt_worker.mjs tells; nothing is trained here. Before Start is pressed nothing is loaded or computed.
//
// Each <div data-gpt> becomes one; what stands in it is a picture for who has no JavaScript.
import { h } from "./dom.mjs";
import { build } from "./gpt_view.mjs";
import { LossChart } from "./loss_chart.mjs";

const NOTHING = Math.log(27); // the loss of a model to which 26 letters and the end are equally probable
const RUNS = [
  { label: "1,000 steps in 20 seconds", steps: 1000, pace: 50 },
  { label: "every name once, at full speed", steps: null, pace: null },
];
const ROWS = 6; // of names; the first one stays, to compare with
const PRINTED = 1000; // lines at most
const SAID = 5000; // milliseconds between two sentences for a screen reader
const LOST = "The model could not be loaded; check your connection, then press Start again.";
const still = matchMedia("(prefers-reduced-motion: reduce)");

const number = (x) => x.toLocaleString("en");
const steps = (n) => (n === 0 ? "before the first step" : `after ${number(n)} step${n > 1 ? "s" : ""}`);
const listed = (names) => names.map((one) => one || "(no letter)").join(" · ");

export function mount(el) {
  const view = build(el, RUNS);
  const chart = new LossChart(view.svg, NOTHING);
  let phase = "off"; // off, loading, running, stopped, done
  let worker = null;
  let rate = null; // steps a second
  let rows = []; // {step, temperature, names}, the newest first
  let map = null; // the attention map
  let name = "emma"; // its name
  let asked = []; // what to do with the map of a name, by the number of the question
  let printed = 0; // lines
  let frame = 0; // the next drawing
  const last = { drawn: 0, mapped: 0, said: 0 };

  // ------------------------------------------------------------------ what it shows
  const step = () => chart.losses.length;
  const loss = () => `loss ${chart.mean.toFixed(2)}`;

  function tell(words) {
    view.said.textContent = words;
    last.said = performance.now();
  }

  function showStatus() {
    const how = { running: rate ? `${number(+rate.toPrecision(2))} a second` : "", stopped: "stopped", done: "done" }[phase];
    const parts = [`Step ${number(step())} of ${number(chart.total)}`, how, step() ? loss() : ""];
    view.status.textContent = step() ? parts.filter(Boolean).join(" · ") : "Start loads 0.1 MB.";
    view.legend.textContent = `Strokes: the losses of single names. Line: the mean of the last ${number(chart.span)}.`;
  }

  function showNames() {
    const item = ({ step, temperature, names }) =>
      h("li", {}, h("span", {}, `${steps(step)}, temperature ${temperature}`), h("b", {}, listed(names)));
    view.list.replaceChildren(...rows.map(item));
  }

  /** Adds what is new to the printed losses, where they are unfolded. */
  function showLines() {
    if (!view.printout.open) return;
    const total = String(chart.total).padStart(4);
    const fresh = chart.losses.slice(printed, PRINTED);
    const line = (loss, i) => `step ${String(printed + i + 1).padStart(4)} / ${total} | loss ${loss.toFixed(4)}\n`;
    view.lines.append(fresh.map(line).join(""));
    printed += fresh.length;
  }

  /** Shows what came since the last time; with reduced motion that is a second ago. */
  function draw(now) {
    frame = 0;
    const running = phase === "running";
    if (running && now - last.drawn < (still.matches ? 1000 : 0)) return later();
    last.drawn = now;
    chart.draw();
    showStatus();
    showLines();
    if (running && now - last.mapped > (still.matches ? 2000 : 500)) refresh();
    if (running && now - last.said > SAID) tell(`Step ${number(step())}, ${loss()}. New names: ${listed(rows[0].names)}.`);
  }

  function later() {
    frame ||= requestAnimationFrame(draw);
  }

  function enter(next) {
    phase = next;
    const words = { off: "Start", loading: "Loading …", running: "Stop", stopped: "Go on", done: "Start again" };
    view.toggle.textContent = words[phase];
    view.toggle.setAttribute("aria-disabled", phase === "loading"); // not `disabled`: that would drop the focus
    if (phase === "done" && view.again === document.activeElement) view.toggle.focus(); // it says the same
    view.again.hidden = phase !== "running" && phase !== "stopped";
    // A screen reader is not told all that the map says while it changes by itself.
    view.attention.querySelector("[aria-live]")?.setAttribute("aria-live", phase === "running" ? "off" : "polite");
    later();
  }

  // ------------------------------------------------------------------ what the worker tells
  const heard = {
    begun({ total, chars, longest }) {
      chart.begin(total);
      [rows, rate, printed] = [[], null, 0];
      view.lines.textContent = "";
      view.begun.hidden = false;
      el.classList.add("gp-begun");
      enter("running");
      tell("It learns.");
      if (!map) mountMap(chars, longest).catch(() => heard.failed({ why: LOST }));
    },
    steps(news) {
      chart.add(news.losses);
      rate = news.rate;
      later();
    },
    names(row) {
      if (rows[0]?.step === row.step) rows.shift(); // the same model; its temperature may have changed
      rows = [row, ...rows.slice(0, ROWS - 2), ...rows.slice(ROWS - 2).slice(-1)];
      showNames();
      if (phase !== "running") tell(`Temperature ${row.temperature}: ${listed(row.names)}.`);
    },
    looked(answer) {
      asked[answer.id](answer);
      delete asked[answer.id];
    },
    done() {
      enter("done");
      refresh();
      tell(`Done ${steps(step())}, ${loss()}. Names: ${listed(rows[0].names)}.`);
    },
    failed({ why }) {
      worker?.terminate();
      map?.destroy();
      [worker, map, asked] = [null, null, []];
      view.begun.hidden = true;
      view.problem.textContent = why;
      enter("off");
    },
  };

  function open() {
    const made = new Worker(new URL("gpt_worker.mjs", import.meta.url), { type: "module" });
    made.onmessage = ({ data }) => made === worker && heard[data.type](data);
    made.onerror = (event) => {
      event.preventDefault();
      if (made === worker) heard.failed({ why: LOST });
    };
    return made;
  }

  // ------------------------------------------------------------------ the attention map
  /** What the map needs of a name, from the model as it is now. */
  async function look(name) {
    const answer = await new Promise((answered) => {
      worker.postMessage({ type: "look", id: asked.push(answered) - 1, name });
    });
    const { step, weights, next } = answer;
    return { step, state: { maps: [{ name, weights, next }], at: 0 } };
  }

  function take({ step, state }) {
    view.caption.textContent = `Where it looks, ${steps(step)}`;
    return state;
  }

  async function mountMap(chars, longest) {
    map = { update() {}, destroy() {} }; // until it is there
    const [{ render }, first] = await Promise.all([import("../widgets/attention_map.mjs"), look(name)]);
    map = render(view.attention, { ...take(first), chars, bos: ".", longest }, async (message) => {
      name = message.name;
      return take(await look(name));
    });
    enter(phase);
  }

  /** The map of the model as it is now, unless the reader is reading one of its rows. */
  async function refresh() {
    last.mapped = performance.now();
    const mine = name;
    const answer = await look(mine);
    const read = view.attention.querySelector("[role=option]:is(:hover, :focus)");
    if (mine === name && !read) map.update(take(answer));
  }

  // ------------------------------------------------------------------ what the reader does
  function begin() {
    view.problem.textContent = "";
    worker ??= open();
    enter("loading");
    const { steps, pace } = RUNS[view.choice.querySelector(":checked").value];
    worker.postMessage({ type: "begin", steps, pace, temperature: +view.warmth.value });
  }

  function go() {
    worker.postMessage({ type: "go" });
    enter("running");
    tell("It goes on.");
  }

  function stop() {
    worker.postMessage({ type: "stop" });
    enter("stopped");
    refresh();
    tell(`Stopped ${steps(step())}, ${loss()}.`);
  }

  /** The temperature of the names to come; `names`: some at once. */
  function warm(names) {
    view.degree.textContent = view.warmth.value;
    worker?.postMessage({ type: "temperature", value: +view.warmth.value, names });
  }

  view.toggle.addEventListener("click", () => ({ off: begin, running: stop, stopped: go, done: begin })[phase]?.());
  view.again.addEventListener("click", begin);
  view.choice.addEventListener("change", () => {
    if (phase === "running" || phase === "loading") begin();
    else enter("off"); // the other length starts at its beginning
  });
  view.warmth.addEventListener("input", () => warm(phase !== "running"));
  view.more.addEventListener("click", () => warm(true));
  view.printout.addEventListener("toggle", showLines);
  warm(false);
  enter("off");
}

document.querySelectorAll("[data-gpt]").forEach(mount);
