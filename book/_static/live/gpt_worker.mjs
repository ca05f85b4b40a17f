// The worker of the front page: it trains microgpt with gpt.mjs, the JavaScript rung of the ladder, and
// tells gpt_page.mjs what happens. Training here keeps the page smooth, however slow the machine.
//
// It gets {type: ...}
//   begin {steps, pace, temperature}   from the first step on; steps null: each name once; pace: steps a
//                                      second at most, null for as many as the machine can
//   go, stop
//   temperature {value, names}         of the names to come; names: invent some at once
//   look {id, name}                    where the heads look in this name
// and sends
//   begun {total, chars, longest}
//   steps {losses, rate}               the losses (nats) of the steps since the last such message; steps a
//                                      second of late, null while unknown
//   names {step, temperature, names}   at the beginning, at each tenth of the steps, and when asked
//   looked {id, name, step, weights, next}   weights (layers, heads, T, up to T), next: the likeliest tokens
//   done
//   failed {why}                       one sentence
import { Trainer } from "./gpt.mjs";
import { Random } from "./python_random.mjs";

const [EMBED, BLOCK, HIDDEN] = [16, 16, 64]; // as in microgpt.py
const SLICE = 40; // milliseconds: so long at most the page waits until it is heard
const SHOWN = 5; // names at a time
const NEXT = 3; // likeliest letters

let loaded = null; // promise of what load() gives
let trainer, chars, total, pace, temperature;
let timer, from, since; // of the tick to come; step and time at which this stretch began
let rate, mark; // steps a second; step and time from which it is counted next

const acts = {
  async begin(asked) {
    clearTimeout(timer);
    loaded ??= load();
    const { docs, stateDict } = await loaded;
    total = asked.steps ?? docs.length;
    ({ pace, temperature } = asked);
    trainer = new Trainer(stateDict, docs, { totalSteps: total });
    postMessage({ type: "begun", total, chars, longest: BLOCK - 1 });
    invent();
    acts.go();
  },
  go() {
    clearTimeout(timer);
    from = trainer.steps;
    since = performance.now();
    mark = { step: from, time: since };
    rate = null;
    tick();
  },
  stop: () => clearTimeout(timer),
  temperature({ value, names }) {
    temperature = value;
    if (names) invent();
  },
  look({ id, name }) {
    const { probabilities, attention } = trainer.look([chars.length, ...tokens(name)]);
    const weights = attention.map((heads) => heads.map((head) => head.map((row, t) => row.slice(0, t + 1))));
    postMessage({ type: "looked", id, name, step: trainer.steps, weights, next: probabilities.map(likeliest) });
  },
};

onmessage = async ({ data }) => {
  try {
    await acts[data.type](data);
  } catch (error) {
    clearTimeout(timer);
    postMessage({ type: "failed", why: error.message });
  }
};

const tokens = (name) => [...name].map((letter) => chars.indexOf(letter));

/** {docs, stateDict}: the names as tokens and the first parameters, drawn as microgpt.py draws them. */
async function load() {
  const answer = await fetch(new URL("names.txt", import.meta.url)).catch(() => null);
  if (!answer?.ok) throw new Error("The list of names could not be loaded; check your connection, then press Start again.");
  const names = (await answer.text()).split("\n").map((line) => line.trim()).filter(Boolean);
  const rng = new Random(42);
  rng.shuffle(names);
  chars = [...new Set(names.join(""))].sort().join("");
  const docs = names.map((name) => [chars.length, ...tokens(name), chars.length]);
  const V = chars.length + 1;
  const shapes = { wte: [V, EMBED], wpe: [BLOCK, EMBED], lm_head: [V, EMBED] };
  for (const part of ["wq", "wk", "wv", "wo"]) shapes[`layer0.attn_${part}`] = [EMBED, EMBED];
  Object.assign(shapes, { "layer0.mlp_fc1": [HIDDEN, EMBED], "layer0.mlp_fc2": [EMBED, HIDDEN] });
  const row = (cols) => Array.from({ length: cols }, () => rng.gauss(0, 0.08));
  const drawn = ([name, [rows, cols]]) => [name, Array.from({ length: rows }, () => row(cols))];
  return { docs, stateDict: Object.fromEntries(Object.entries(shapes).map(drawn)) };
}

/** Some steps, then a pause in which messages are heard. */
function tick() {
  const began = performance.now();
  const due = pace ? Math.min(total, from + Math.ceil(((began - since) * pace) / 1000)) : total;
  const every = Math.ceil(total / 10);
  const losses = [];
  let moment = false;
  while (trainer.steps < due && !moment && performance.now() - began < SLICE) {
    losses.push(trainer.step());
    moment = trainer.steps % every === 0 || trainer.steps === total;
  }
  count();
  postMessage({ type: "steps", losses, rate });
  if (moment) invent();
  if (trainer.steps < total) timer = setTimeout(tick, pace ? 20 : 0);
  else postMessage({ type: "done" });
}

/** Keeps `rate` up to date: over half a second, or over a whole run that is shorter. */
function count() {
  const [step, time] = [trainer.steps, performance.now()];
  if (time - mark.time < 500 && !(rate === null && step === total)) return;
  rate = (1000 * (step - mark.step)) / (time - mark.time);
  mark = { step, time };
}

function invent() {
  const name = () => trainer.sample(Math.random, temperature).map((token) => chars[token]).join("");
  postMessage({ type: "names", step: trainer.steps, temperature, names: Array.from({ length: SHOWN }, name) });
}

/** The likeliest tokens as [token, probability]. */
function likeliest(row) {
  return [...row.entries()].sort((a, b) => b[1] - a[1]).slice(0, NEXT);
}
