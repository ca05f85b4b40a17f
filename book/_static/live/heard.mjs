// What Python has sent, as a page may take it. A cell can change everything in Python, so nothing from there
// is taken on trust: what has not the shape that course/site/kernel.py gives is left out, or put right.
import { clean } from "./clean.mjs";

const TEXTS = {
  stream: ["name", "text"],
  result: ["text"],
  display: ["text"],
  error: ["name", "message", "text"],
  widget: ["id", "name", "text"],
};

/** An output of a cell with its HTML cleaned, or null where it is none. */
export function output(sent) {
  const texts = Object.hasOwn(TEXTS, sent?.kind) ? TEXTS[sent.kind] : null;
  if (!texts?.every((name) => typeof sent[name] === "string")) return null;
  if (sent.kind === "widget" && !(/^\w+$/.test(sent.name) && isObject(sent.state))) return null;
  return { ...sent, html: typeof sent.html === "string" ? clean(sent.html) : null };
}

/** What a run ended with: {ok, seconds, progress}. */
export function ended(reply) {
  const { ok, seconds, progress } = isObject(reply) ? reply : {};
  const kept = isObject(progress) ? Object.entries(progress).filter(([, one]) => isObject(one)) : [];
  return {
    ok: ok === true,
    seconds: Number.isFinite(seconds) ? seconds : 0,
    progress: Object.fromEntries(kept.map(([id, one]) => [id, entry(one)])),
  };
}

/** The progress with one exercise, as course/checking/store.py writes it. */
function entry({ passed, attempts, hints, code }) {
  return {
    passed: /^\d{4}-\d\d-\d\d$/.test(passed) ? passed : null,
    attempts: count(attempts),
    hints: count(hints),
    code: typeof code === "string" ? code : "",
  };
}

const isObject = (one) => typeof one === "object" && one !== null && !Array.isArray(one);
const count = (n) => (Number.isSafeInteger(n) && n > 0 ? n : 0);
