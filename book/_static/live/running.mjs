// What happens between a press on Run and the outputs: which cells run before, in which order, and what is
// said when one of them stops. The session (session.mjs) is made at the first run, and loads Python then.
import { Session, Stopped } from "./session.mjs";

const LOADING = "Loading Python, once";
const AGAIN = "What cells had made is gone; a cell that needs it makes it again.";

export class Runner {
  #session = null;
  #ran = new Map(); // cell id → the text that it ran with, in the Python that is there now
  #tail = Promise.resolve(); // the last of what runs and waits
  #round = 0; // rises when everything is stopped
  #current = 0; // the round of what runs

  /** base: the URL of live/. cells: Map of id to Cell, in order. onProgress(progress): after each run. */
  constructor(base, cells, { progress = () => ({}), onProgress = () => {} } = {}) {
    Object.assign(this, { base, cells, progress, onProgress });
  }

  get session() {
    if (this.#session) return this.#session;
    const session = (this.#session = new Session(this.base));
    session.setProgress(this.progress());
    session.on("output", ({ cell, output }) => this.#output(this.cells.get(cell), output));
    session.on("progress", (progress) => new Set([this.#busy, this.#asked]).forEach((cell) => cell?.load(progress)));
    session.on("state", (state) => {
      if (state === "off" || state === "loading") this.#ran.clear();
      if (state === "busy") this.#tell();
    });
    return session;
  }

  #busy = null; // the cell that runs,
  #asked = null; // and the one for which it runs
  #way = ""; // how far the cells before that one are

  #tell() {
    const loading = ["off", "loading"].includes(this.session.state) && LOADING;
    if (this.#busy?.state === "running") this.#busy.become("running", loading || "Running");
    if (this.#asked !== this.#busy) this.#asked?.become("waiting", loading || this.#way);
  }

  /** Runs a cell, and before it those above that it needs and that have not run as they stand. */
  run(cell) {
    const needs = cell.data.needs.map((id) => this.cells.get(id));
    return this.#queue(cell, () => this.#chain(cell, needs.filter((one) => !this.#fresh(one)), true));
  }

  /** Runs all cells above, in order; andThis: the cell itself too. */
  runAbove(cell, andThis = false) {
    const all = [...this.cells.values()];
    const above = all.slice(0, all.indexOf(cell)).filter((one) => one.data.runs && !one.check);
    return this.#queue(cell, () => this.#chain(cell, above, andThis));
  }

  /** Runs a line of ours; what it shows comes under the cell's own outputs. */
  also(source, cell) {
    return this.#queue(cell, async () => {
      this.#busy = cell;
      cell.become("running");
      this.#tell();
      await this.session.run(source, cell.id);
      cell.become("idle");
    });
  }

  async stop() {
    this.#round++;
    await this.#session?.stop().catch(() => {}); // what could not be loaded again says so at the next run
  }

  ask(widget, message) {
    return this.session.ask(widget, message);
  }

  /** What another tab has added. */
  tellProgress() {
    this.#session?.setProgress(this.progress());
  }

  #fresh(cell) {
    return this.#ran.get(cell.id) === cell.source;
  }

  #queue(cell, act) {
    const round = this.#round;
    cell.become("waiting", "Waiting for the cells before it");
    this.#tail = this.#tail.then(async () => {
      try {
        this.#current = round;
        this.#asked = cell;
        this.#go();
        await act();
      } catch (error) {
        for (const one of new Set([this.#busy, cell].filter(Boolean)))
          one.become("idle", error instanceof Stopped ? `Stopped. ${AGAIN}` : error.message);
      } finally {
        this.#busy = this.#asked = null;
      }
    });
    return this.#tail;
  }

  /** Throws Stopped when everything was stopped since this began to wait. */
  #go() {
    if (this.#current !== this.#round) throw new Stopped();
  }

  async #chain(cell, above, andThis) {
    Object.assign(cell, { failed: null, ran: false });
    for (const [k, one] of above.entries()) {
      this.#way = `First ${one.name} above, ${k + 1} of ${above.length}`;
      if (await this.#one(one)) continue;
      if (one.answer && one.failed.name === "NotImplementedError") continue; // a stub, as it should be
      cell.become("idle", "It has not run.");
      if (cell.check) cell.clear(); // what stands there was said of another answer
      const which = one.answer ? "Your answer above" : `${one.name[0].toUpperCase()}${one.name.slice(1)}, above,`;
      cell.offer(`${which} stopped with ${one.failed.name}, so this one has not run. Mend that first.`, []);
      return;
    }
    if (!andThis) return cell.become("idle", `Done: ${above.length} above.`);
    const ok = await this.#one(cell);
    const before = above.length ? `, after ${above.length} above` : "";
    if (ok && before) cell.become("idle", `Done in ${seconds(cell.took)}${before}.`);
    if (!ok) this.#offer(cell);
  }

  /** Runs one cell; whether it ended well. cell.ran, cell.took, cell.failed: what there is to know of it. */
  async #one(cell) {
    this.#go();
    this.#busy = cell;
    cell.become("running");
    cell.clear();
    this.#tell();
    cell.failed = null;
    this.#ran.delete(cell.id);
    const text = cell.source;
    // An answer that was renamed, or emptied, must not be graded by what it was before.
    if (cell.entry) await this.session.run(`if "${cell.entry}" in globals(): del ${cell.entry}`, cell.id);
    const { ok, seconds: took, progress } = await this.session.run(text, cell.id);
    Object.assign(cell, { took, ran: true });
    if (ok) this.#ran.set(cell.id, text);
    else cell.failed ??= { name: "an error", message: "" };
    await this.onProgress(progress); // what is said to be done is kept, too
    cell.become("idle", ok ? `Done in ${seconds(took)}.` : ended(cell));
    return ok;
  }

  #output(cell, output) {
    if (!cell) return;
    if (output.kind === "error") cell.failed = { name: output.name, message: output.message };
    cell.output(output);
  }

  /** A name that no cell has made yet: perhaps one above makes it, that was not run. */
  #offer(cell) {
    const name = /name '(\w+)' is not defined/.exec(cell.failed.message)?.[1];
    const all = [...this.cells.values()];
    const waiting = all.slice(0, all.indexOf(cell)).filter((one) => one.data.runs && !one.check && !this.#fresh(one));
    if (name && cell.check) return cell.offer(`Your answer above defines no \`${name}\`. The check needs this name.`, []);
    if (!name || !waiting.length) return;
    const choice = ["Run all above, then this", () => this.runAbove(cell, true)];
    cell.offer(`Nothing has made \`${name}\` yet. A cell above may, which has not run.`, [choice]);
  }
}

function ended({ check, failed: { name } }) {
  if (name === "Stopped") return "Python has stopped.";
  return check ? "Not yet." : `It stopped with ${name}.`;
}

const seconds = (took) => (took < 0.095 ? `${Math.max(1, Math.round(took * 1000))} ms` : `${took.toFixed(1)} s`);
