// A notebook's page that runs: its cells, what the reader wrote in them, exercises, export and import.
// site.js opens it; the page's JSON is made by course/site/live.py. Python is loaded at the first Run only.
import { Cell } from "./cells.mjs";
import { button, h } from "./dom.mjs";
import { Unusable, count, exported, imported } from "./notebook.mjs";
import { Runner } from "./running.mjs";
import { Help, Score, typeset } from "./solutions.mjs";
import { open as openStore } from "./store.mjs";

const KEPT = "What you write stays in this browser, and nothing is sent anywhere.";
const LESSON =
  "The cells of this page that need nothing but Python run here, in your browser. Run starts one, and before it " +
  `those above that it needs. Edit changes it; Shift-Enter runs it from there. ${KEPT}`;
const EXERCISES =
  "You can solve the exercises here, in your browser. Write into a field, then press Check: it runs the set-up and " +
  `your answer first. Hints and the solution stand under each. ${KEPT}`;
const NOT_KEPT =
  "This browser keeps nothing for this site, as in some private windows. What you write is gone when you " +
  "close the page: export it first.";
const LOST = "The browser has stopped keeping what you write; perhaps the disk is full. Export it before you close the page.";

/** Makes the page `name`, such as "chapters/01_bigram", live. */
export async function open(name) {
  const home = new URL("./", import.meta.url);
  const [data, store] = await Promise.all([
    fetch(new URL(`pages/${name}.json`, home), { cache: "no-cache" }).then((answer) => answer.json()),
    openStore(),
  ]);
  const page = new Page(data, store, home);
  await page.fill();
  return page;
}

class Page {
  cells = new Map(); // id → Cell
  helps = new Map(); // exercise id → Help
  progress = {};
  #writing = Promise.resolve();
  #unkept = false; // whether something was written that would be gone with the page

  constructor(data, store, home) {
    Object.assign(this, { data, store, home });
    this.runner = new Runner(home, this.cells, {
      progress: () => this.progress,
      onProgress: (progress) => this.#advance(progress),
    });
    const act = {
      run: (cell) => this.#run(cell),
      runAbove: (cell) => this.runner.runAbove(cell),
      stop: () => this.runner.stop(),
      write: (cell, text, options) => this.#write(cell, text, options),
      ask: (widget, message) => this.runner.ask(widget, message),
    };
    for (const one of data.cells) {
      const el = document.querySelector(`.tag_cell-${CSS.escape(one.id)}`);
      if (el) this.cells.set(one.id, new Cell(el, one, act));
    }
    this.#helps();
    this.#panel();
    store.onOthers((message) => this.#heard(message));
    store.onLost = () => this.#warn(LOST);
    addEventListener("beforeunload", (event) => this.#unkept && event.preventDefault()); // the browser asks then
    addEventListener("pageshow", (event) => event.persisted && this.fill()); // back from another page
  }

  /** Shows what the browser kept. */
  async fill() {
    const kept = await this.store.cells(this.data.page);
    for (const [id, cell] of this.cells) cell.keep(kept[id]);
    this.#show(await this.store.progress());
    document.documentElement.dataset.live = "ready";
  }

  // ------------------------------------------------------------------------------- exercises

  #helps() {
    const address = new URL("../mathjax/startup.js", this.home);
    const act = {
      hint: (id, number) => this.#advance({ [id]: { ...this.progress[id], hints: number } }),
      details: (id, cell) => this.runner.also(`__import__("course").details("${id}")`, cell),
      typeset: (el) => typeset(el, this.data.mathjax, address),
    };
    for (const cell of this.cells.values()) {
      if (cell.answer) cell.entry = this.data.exercises[cell.data.grade_id]?.entry;
      const id = cell.check && cell.data.grade_id.replace(/-check$/, "");
      const described = id && this.data.exercises?.[id];
      if (described) this.helps.set(id, new Help(id, cell, described, this.data.solutions[id], act));
    }
  }

  async #run(cell) {
    await this.runner.run(cell);
    const { check, failed, ran } = cell;
    if (check) this.helps.get(cell.data.grade_id.replace(/-check$/, ""))?.checked({ failed: failed?.name, ran });
  }

  /** Progress that this page has made. */
  async #advance(progress) {
    const news = Object.entries(progress).filter(([id, one]) => JSON.stringify(one) !== JSON.stringify(this.progress[id]));
    if (news.length) this.#show(await this.store.addProgress(Object.fromEntries(news)));
  }

  #show(progress) {
    this.progress = progress;
    for (const [id, help] of this.helps) help.show(progress[id] ?? {});
    this.score?.show(progress);
    this.runner.tellProgress();
  }

  // ------------------------------------------------------------------------------- what is kept

  /** The reader's text of a cell. shown: it comes from elsewhere than the cell's own field. */
  async #write(cell, text, { base, why = null, shown = false }) {
    const seen = cell.stored;
    if (shown) cell.keep({ text, base });
    cell.stored = text;
    const written = this.store.write(this.data.page, cell.id, { text, base, seen, why });
    this.#writing = Promise.all([this.#writing, written]);
    cell.remember(await written);
    this.#unkept = !this.store.kept;
  }

  /** Another tab has written: its text comes here, unless this tab is about to write its own. */
  async #heard({ page, id, progress }) {
    if (progress) this.#show(await this.store.progress());
    const cell = page === this.data.page && this.cells.get(id);
    if (!cell) return;
    const before = cell.stored;
    await this.#writing;
    const record = (await this.store.cells(page))[id];
    if (record && cell.stored === before && record.text !== cell.stored) cell.keep(record);
    else if (record) cell.remember(record);
  }

  async #texts() {
    await this.#writing;
    const kept = Object.entries(await this.store.cells(this.data.page));
    return Object.fromEntries(kept.filter(([, { text }]) => text !== null).map(([id, { text }]) => [id, text]));
  }

  // ------------------------------------------------------------------------------- the panel

  #panel() {
    const chooser = h("input", { type: "file", accept: ".ipynb,application/json", hidden: true, "aria-label": "Notebook" });
    chooser.addEventListener("change", () => this.#import(chooser));
    this.said = h("p", { class: "live-said", role: "status" });
    this.panel = h("aside", { class: "live-panel", "aria-label": "Run this page" });
    this.panel.append(h("p", {}, this.data.kind === "lesson" ? LESSON : EXERCISES));
    if (this.data.kind !== "lesson") {
      this.score = new Score(this.data.exercises, (id) => this.#section(id));
      this.panel.append(this.score.el);
    }
    const row = [button("Export as a notebook", () => this.#export()), button("Import a notebook", () => chooser.click())];
    this.panel.append(h("div", { class: "live-bar" }, ...row, chooser), this.said);
    if (!this.store.kept) this.#warn(NOT_KEPT);
    const section = document.querySelector(".bd-article section");
    const [first, ...next] = section.querySelectorAll(":scope > p");
    const promise = next.slice(0, 2).find((one) => /minutes|hours/.test(one.textContent)); // how long it takes
    (promise ?? first ?? section.firstChild).after(this.panel);
  }

  #warn(text) {
    this.panel.append(h("p", { class: "live-note", role: "alert" }, text));
  }

  #section(id) {
    return this.helps.get(id)?.check.el.closest("section")?.id ?? "";
  }

  async #export() {
    const texts = await this.#texts();
    const { own } = await this.store.page(this.data.page);
    const name = `${this.data.page.split("/")[1]}.ipynb`;
    const file = new Blob([exported(this.data, { texts, own })], { type: "application/x-ipynb+json" });
    const link = h("a", { href: URL.createObjectURL(file), download: name });
    link.click();
    this.#unkept = false;
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    const folder = this.data.kind === "lesson" ? "work/lessons/" : "work/";
    const then = this.data.kind === "lesson" ? "" : ` There \`course check ${this.data.chapter}\` grades it.`;
    this.said.textContent = `${name} is among your downloads. It belongs into ${folder} of the course.${then}`;
  }

  async #import(chooser) {
    const [file] = chooser.files;
    if (!file) return;
    try {
      const found = imported(this.data, await file.text(), file.name);
      const changed = await this.#take(found, file.name);
      const one = changed === 1;
      const done = changed
        ? `${count(changed, "cell")} of this page ${one ? "is" : "are"} now as in ${file.name}. What stood there ` +
          `before is kept under ${one ? "it" : "each of them"}.`
        : `Nothing on this page changes by ${file.name}.`;
      this.said.textContent = [done, ...found.told].join(" ");
    } catch (why) {
      this.said.textContent = why instanceof Unusable ? why.message : `${file.name} could not be read.`;
    }
    chooser.value = ""; // so that the same file can be chosen again
  }

  /** Puts an imported notebook's texts into the page; how many cells are others now. */
  async #take({ texts, own }, name) {
    const now = await this.#texts();
    const others = Object.entries(texts).filter(([id, text]) => text !== now[id]);
    for (const [id, text] of others) {
      const why = `before the import of ${name}`;
      const cell = this.cells.get(id);
      const base = cell?.data.source ?? this.data.notebook.cells.find((one) => one.id === id).source;
      if (cell) await this.#write(cell, text, { base, why, shown: true });
      else await this.store.write(this.data.page, id, { text, base, seen: now[id] ?? null, why });
    }
    await this.store.changePage(this.data.page, ({ own: kept = [] }) => {
      const same = (one) => (two) => one.after === two.after && one.cell.source === two.cell.source;
      return { own: [...kept, ...own.filter((one) => !kept.some(same(one)))] };
    });
    return others.length;
  }
}
