// Drives Python in a page, as session.mjs offers it; tests/test_live_engine.py judges what comes of it.
// node live_engine.mjs; then one {scene, url, given} a line, and as many answers: {found} or {failed}.
import readline from "node:readline";
import { launch, report } from "./browser.mjs";

const browser = await launch();
let context = await browser.newContext(); // what it keeps, one scene has from those before it
let url, given;

/** A page with a session `s`: {page, errors, run}. `change`: what becomes of the text of worker.mjs. */
async function open(change = null) {
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  if (change)
    await page.route("**/worker.mjs?*", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: change(await response.text()) });
    });
  await page.goto(url);
  await page.evaluate(async () => {
    const { Session } = await import("./live/session.mjs");
    const s = new Session("live/");
    Object.assign(window, { s, outs: [], states: [], bars: [] });
    s.on("output", (one) => window.outs.push({ ...one, at: performance.now() }));
    s.on("state", (state) => window.states.push(state));
    s.on("progress", (one) => window.bars.push(one));
    /** Runs one cell: what its promise gave, what it sent, and `after` how many milliseconds it sent first. */
    window.run = async (source, cell = "here") => {
      const [began, from] = [performance.now(), window.outs.length];
      const end = await s.run(source, cell).catch((error) => ({ rejected: error.constructor.name, why: error.message }));
      const sent = window.outs.slice(from);
      const ms = performance.now() - began;
      return { ...end, ms, after: sent.length ? sent[0].at - began : null, cell: [...new Set(sent.map((one) => one.cell))].join(), outs: sent.map((one) => one.output) };
    };
  });
  const run = (source, cell) => page.evaluate(([source, cell]) => window.run(source, cell), [source, cell]);
  return { page, errors, run };
}

const scenes = {
  /** Runs lists of cells, {name: [[id, source], ...]}, each list in a Python of its own. */
  async cells() {
    const { page, errors, run } = await open();
    const results = {};
    for (const [name, cells] of Object.entries(given)) {
      results[name] = [];
      for (const [id, source] of cells) results[name].push(await run(source, id));
      await page.evaluate(() => window.s.stop());
    }
    return { results, errors };
  },

  /** The life of a session: loaded, edited, stopped, offline, dead, and on the next page. */
  async life() {
    await context.close();
    context = await browser.newContext(); // with nothing kept
    const { page, errors, run } = await open();
    const found = {};
    found.first = await run("x = 20\nprint('hi')\nx + 1", "first");
    Object.assign(found, await page.evaluate(() => ({ states: window.states, bars: window.bars })));
    found.edited = await run("x = 21\nprint('hello')\nx + 1", "first");
    found.both = await page.evaluate(() => Promise.all([window.run("x = 1", "a"), window.run("x += 1\nx", "b")]));

    // Nothing that was loaded is asked for again, so from here on there is no network.
    await context.setOffline(true);
    found.stopped = await page.evaluate(async () => {
      const results = Promise.all([window.run("while True: pass"), window.run("1 + 1")]);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const began = performance.now();
      await window.s.stop();
      return { results: await results, ms: performance.now() - began };
    });
    found.fresh = await run("'x' in globals()");
    found.random = [await run("import random\nrandom.random()")];
    await page.evaluate(() => window.s.stop());
    found.random.push(await run("import random\nrandom.random()"));

    // A page that is flooded with text has to stay awake: how often comes a timer to its turn?
    found.flood = await page.evaluate(async () => {
      let turns = 0;
      const timer = setInterval(() => (turns += 1), 20);
      const [text, from] = ["while True: print('x' * 70)", window.outs.length];
      const ended = window.run(text);
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await window.s.stop();
      clearInterval(timer);
      const outs = window.outs.slice(from).map((one) => one.output.text);
      return { turns, ended: await ended, pieces: outs.length, size: outs.join("").length, last: outs.at(-1).slice(-99) };
    });

    found.memory = await run("kept = []\nwhile True: kept.append(bytes(50_000_000))");
    found.after_memory = await run("del kept\n'alive'");
    found.deep = await run("class A:\n    def __getattr__(self, name): return self.other\nA().one");
    found.chains = await run(given.chains);
    found.dead = await run("import ctypes\nctypes.string_at(0xFFFFFFF0)");
    found.dead_state = await page.evaluate(() => window.s.state);
    found.alive = await run("'x' in globals()");
    found.errors = errors.slice();
    await context.setOffline(false);

    // The next page of the site begins with what the browser kept, also when that is damaged.
    const second = await open();
    found.second = await second.run("print('hi')");
    await second.page.evaluate(async () => {
      const kept = await caches.open("python-started");
      const [one] = await kept.keys();
      await kept.put(one, new Response(new Uint8Array(31457424)));
    });
    const third = await open();
    found.damaged = await third.run("print('hi')");
    await third.page.waitForFunction(async () => (await (await caches.open("python-started")).keys()).length === 1);
    found.kept = await third.page.evaluate(async () => {
      const kept = await caches.open("python-started");
      return new Uint8Array(await (await kept.match((await kept.keys())[0])).arrayBuffer()).some((byte) => byte > 0);
    });
    return found;
  },

  /** What goes between page and Python besides cells. */
  async course() {
    const { page, run } = await open();
    const found = {};
    await page.evaluate((progress) => window.s.setProgress(progress), given.progress);
    found.checked = await run(given.check);
    found.widget = await run(given.widget, "picture");
    const ask = (message) =>
      page.evaluate(
        ([id, message]) => window.s.ask(id, message).catch((error) => ({ error: error.message })),
        [found.widget.outs[0].id, message],
      );
    found.asked = await ask({ answer: "a", row: 2, name: "" });
    found.wrong = await ask({});
    await page.evaluate(() => window.s.stop());
    found.again = await run(given.check);
    return found;
  },

  /** HTML of a cell, and what stands on the page when it is put there. */
  async html() {
    const { page, errors, run } = await open();
    const { outs } = await run(given.source);
    const found = await page.evaluate(async (html) => {
      const el = document.createElement("div");
      document.body.append(el);
      el.innerHTML = html;
      await new Promise((resolve) => setTimeout(resolve, 1500)); // a <meta> would have led away by now
      const all = [...el.querySelectorAll("*")];
      return {
        again: el.innerHTML === html,
        tags: all.map((one) => one.localName),
        attributes: all.flatMap((one) => [...one.attributes].map(({ name, value }) => `${name}=${value}`)),
        text: el.innerText,
      };
    }, outs[0].html);
    return { ...found, errors, url: page.url() };
  },

  /** The editor: written in, run from, left by keys. */
  async editor() {
    const { page, errors } = await open();
    await page.evaluate(async (text) => {
      document.body.innerHTML = `<div class="highlight"></div><button>after</button>`;
      const { edit } = await import("./live/codemirror.mjs");
      window.told = [];
      const tell = (what) => (value) => window.told.push(value === undefined ? what : [what, value]);
      window.editor = edit(document.querySelector(".highlight"), {
        text,
        label: "Cell 3",
        onChange: tell("changed"),
        onRun: tell("run"),
      });
      window.editor.focus();
    }, given.text);
    const found = await page.evaluate(() => ({
      colours: [...document.querySelectorAll(".cm-line span")].map((one) => [one.className, one.textContent]),
      label: document.activeElement.getAttribute("aria-label"),
      role: document.activeElement.getAttribute("role"),
      lines: document.querySelectorAll(".cm-lineNumbers .cm-gutterElement").length,
    }));
    for (const key of ["Control+End", "Enter", "x", "Control+Enter", "Shift+Enter", "Tab"]) await page.keyboard.press(key);
    found.text = await page.evaluate(() => window.editor.text());
    await page.keyboard.press("Escape");
    await page.keyboard.press("Tab");
    found.left = await page.evaluate(() => document.activeElement.textContent);
    await page.evaluate(() => window.editor.set("new"));
    found.told = await page.evaluate(() => window.told);
    await page.evaluate(() => window.editor.destroy());
    return { ...found, after: await page.evaluate(() => document.querySelectorAll(".cm-editor").length), errors };
  },

  /** Files that do not arrive. */
  async missing() {
    const { page, run } = await open();
    await page.route("**/pyodide.asm.wasm?*", (route) => route.abort());
    const first = await run("1");
    await page.unroute("**/pyodide.asm.wasm?*");
    return { first, again: await run("1"), states: await page.evaluate(() => window.states) };
  },

  /** Attacks from Python, [[name, source, last], ...]; after a last one, Python starts anew. */
  async attacks() {
    const { page, run } = await open();
    const results = {};
    for (const [name, source, last] of given) {
      results[name] = await run(source, name);
      if (last) await page.evaluate(() => window.s.stop());
    }
    return results;
  },

  /** What JavaScript finds in the worker when Python is there: `given.probe` runs in its module. */
  async scope() {
    const { page, run } = await open((text) => `${text}\n${given.probe}`);
    const { outs } = await run("1");
    return JSON.parse(outs[0].text);
  },

  /** A worker whose text tries to reach other addresses, before anything is taken from it. */
  async hostile() {
    const { run } = await open(() => given.worker);
    return run("1");
  },

  /** Pyodide as it comes, in a worker without a session: is a request of Python's seen at all? */
  async unguarded() {
    const { page } = await open();
    return page.evaluate(async (text) => {
      const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })), { type: "module" });
      return new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
    }, given.worker.replaceAll("{base}", new URL(".", url).href));
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  ({ url, given } = asked);
  try {
    report({ found: await scenes[asked.scene]() });
  } catch (error) {
    report({ failed: `${error.stack ?? error}` });
  }
  await Promise.all(context.pages().map((page) => page.close()));
}
await browser.close();
