// A session of Python in a page: it loads once, runs cells one after the other, and can be stopped.
//
// Python runs in a Web Worker (worker.mjs), which only ending can stop. So the session keeps the files that
// it has loaded: a new worker needs no network, and is there in a moment.
import * as heard from "./heard.mjs";
import { forget, keep, recall } from "./kept.mjs";

/** What a run ends with that was stopped, or was still waiting when the worker was. */
export class Stopped extends Error {
  name = "Stopped";
}

const GONE =
  "Python has stopped: it ran out of memory, or met a fault that it cannot survive. " +
  "What your cells had defined is gone. Run a cell, and a new Python starts.";
const SCRIPTS = ["pyodide/pyodide.mjs", "pyodide/pyodide.asm.mjs"];
const DATA = ["pyodide/python_stdlib.zip", "course.zip"];
const WASM = "pyodide/pyodide.asm.wasm";

export class Session {
  state = "off"; // or "loading", "ready", "busy"
  #base;
  #listeners = { state: new Set(), progress: new Set(), output: new Set() };
  #files = null; // promise of what #load() gives
  #starting = null; // promise that a worker is there
  #worker = null;
  #jobs = []; // {request, cell, resolve, reject}, the first of them running while the state is "busy"
  #count = 0;
  #widgets = new Map(); // id of a widget: the cell that showed it
  #progress = {}; // the latest that is known
  #told = false; // does the Python that is there know it?

  /** base: the URL of _static/live/. */
  constructor(base) {
    this.#base = new URL(base, location.href);
  }

  /** Calls fn at "state" (state), "progress" ({loaded, total} bytes) or "output" ({cell, output}). */
  on(event, fn) {
    this.#listeners[event].add(fn);
    return () => this.#listeners[event].delete(fn);
  }

  /** Loads Python; later calls give the same promise. One that failed may be tried again. */
  start() {
    this.#starting ??= this.#start().catch((error) => {
      this.#end();
      throw error;
    });
    return this.#starting;
  }

  /** Runs a cell after those that wait: {ok, seconds, progress}. Its outputs are events. */
  run(source, cell) {
    return this.#ask({ type: "run", source, cell }, cell);
  }

  /** Asks a live widget by its id; promises its state, or an Error with the words of Python's. */
  async ask(widget, message) {
    const cell = this.#widgets.get(widget) ?? null;
    const reply = await this.#ask({ type: "ask", widget, message }, cell);
    if (reply?.state == null) throw new Error(`${reply?.error}`);
    return reply.state;
  }

  /** Ends the worker, at once; what runs and what waits is rejected with Stopped. A new worker starts. */
  async stop() {
    this.#stopJobs("The cell was stopped.");
    if (this.state === "off") return;
    if (this.state !== "loading") this.#end();
    await this.start();
  }

  /** Hands over the progress that the browser kept, before the next run. */
  setProgress(progress) {
    this.#progress = progress;
    this.#told = false;
  }

  // ----------------------------------------------------------------------------- its life

  #emit(event, what) {
    for (const fn of this.#listeners[event]) fn(what);
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.#emit("state", state);
  }

  #end() {
    this.#worker?.terminate();
    this.#worker = this.#starting = null;
    this.#become("off");
  }

  #stopJobs(why) {
    for (const { reject } of this.#jobs.splice(0)) reject(new Stopped(why));
  }

  async #start() {
    this.#become("loading");
    this.#files ??= this.#load().catch((error) => {
      this.#files = null;
      throw error;
    });
    const files = await this.#files;
    try {
      await this.#boot(files);
    } catch (error) {
      this.#worker.terminate();
      if (!files.snapshot) throw error;
      files.snapshot = null; // what was kept may be damaged
      await forget();
      await this.#boot(files);
    }
    this.#told = false;
    this.#become("ready");
    this.#next();
  }

  #boot(files) {
    const worker = (this.#worker = new Worker(files.worker, { type: "module", name: "Python" }));
    return new Promise((resolve, reject) => {
      worker.onerror = (event) => {
        event.preventDefault();
        if (this.#worker !== worker) return;
        reject(new Error(`Python could not be started: ${event.message ?? "its worker did not load"}`));
        if (this.state !== "loading") this.#died(event.message ?? "");
      };
      worker.onmessage = ({ data }) => {
        if (this.#worker !== worker) return; // said before it was ended
        if (data.type === "loaded") {
          if (!files.snapshot) keep(files.address, (files.snapshot = data.snapshot));
          resolve();
        } else if (data.type === "failed") reject(new Error(`Python could not be started: ${data.why}`));
        else this.#heard(data);
      };
      const { module, data, scripts, lock, snapshot } = files;
      worker.postMessage({ type: "load", module, files: data, scripts, lock, snapshot });
    });
  }

  // ----------------------------------------------------------------------------- what runs

  async #ask(request, cell) {
    const done = new Promise((resolve, reject) => this.#jobs.push({ request, cell, resolve, reject }));
    this.start().then(
      () => this.#next(),
      (error) => this.#jobs.splice(0).forEach(({ reject }) => reject(error)),
    );
    return done;
  }

  #next() {
    if (this.state !== "ready" || !this.#jobs.length) return;
    this.#become("busy");
    const [job] = this.#jobs;
    job.id = ++this.#count;
    if (job.request.type === "run") {
      job.request.progress = this.#told ? null : this.#progress;
      this.#told = true;
    }
    this.#worker.postMessage({ id: job.id, request: job.request });
  }

  #heard({ type, id, output, reply, why }) {
    const job = this.#jobs[0];
    if (this.state !== "busy" || id !== job.id) return;
    if (type === "output") this.#shown(job.cell, heard.output(output));
    else if (type === "died") this.#died(why);
    else {
      this.#jobs.shift();
      const end = job.request.type === "run" ? heard.ended(reply) : reply;
      if (end?.progress && this.#told) this.#progress = end.progress; // else a newer one was handed over
      this.#become("ready");
      job.resolve(end);
      this.#next();
    }
  }

  /** Whose an output is says the session, not Python. */
  #shown(cell, output) {
    if (!output || cell === null) return;
    if (output.kind === "widget") this.#widgets.set(output.id, cell);
    this.#emit("output", { cell, output });
  }

  #died(why) {
    const job = this.state === "busy" ? this.#jobs.shift() : null;
    this.#end();
    const text = why ? `${GONE}\n(${why})` : GONE;
    if (job?.request.type === "run") {
      this.#emit("output", { cell: job.cell, output: { kind: "error", name: "Stopped", message: GONE, text, html: null } });
      job.resolve({ ok: false, seconds: 0, progress: this.#progress });
    } else job?.reject(new Error(GONE));
    this.#stopJobs("Python has stopped.");
  }

  // ----------------------------------------------------------------------------- its files

  /** Every file that a worker needs, so that a later one needs no network. */
  async #load() {
    const { files, lock } = await (await this.#fetch("files.json", { cache: "no-cache" })).json();
    const total = Object.values(files).reduce((sum, { size }) => sum + size, 0);
    let loaded = 0;
    const counted = async (name) => {
      const response = await this.#fetch(`${name}?${files[name].hash}`);
      const parts = [];
      for (const reader = response.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        loaded += value.length;
        this.#emit("progress", { loaded, total });
      }
      return new Blob(parts);
    };
    const bytes = async (name) => new Uint8Array(await (await counted(name)).arrayBuffer());
    const script = async (name) => URL.createObjectURL((await counted(name)).slice(0, undefined, "text/javascript"));
    const hashes = Object.values(files).map(({ hash }) => hash);
    const address = new URL(`started?${hashes.join("-")}`, this.#base).href;
    const [snapshot, module, worker, scripts, data] = await Promise.all([
      recall(address),
      bytes(WASM).then((wasm) => WebAssembly.compile(wasm)),
      script("worker.mjs"),
      Promise.all(SCRIPTS.map(script)),
      Promise.all(DATA.map(async (name) => [name.split("/").at(-1), await bytes(name)])),
    ]);
    return { address, snapshot, module, worker, scripts, lock, data: Object.fromEntries(data) };
  }

  async #fetch(name, options) {
    const response = await fetch(new URL(name, this.#base), options).catch(() => null);
    if (!response?.ok) throw new Error(`Python could not be loaded: ${name.split("?")[0]} did not arrive. Try again.`);
    return response;
  }
}
