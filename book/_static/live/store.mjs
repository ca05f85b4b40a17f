// What a reader wrote, kept in the browser (IndexedDB), and shared with other tabs of the site.
//
// A text is never overwritten by anything but its own writer's next keystroke: what another tab, an import or
// a reset replaces goes to the cell's `earlier` texts first. Where a browser keeps nothing, such as in some
// private windows, the store holds everything in memory, and `kept` is false.

const NAME = "from-bigram-to-storyteller";
const STORES = ["cells", "pages", "progress"];
const PATIENCE = 4000; // milliseconds for a database that does not answer
const EARLIER = 200; // texts of one cell

/** Opens the store; it is there in any case. */
export async function open() {
  const shared = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(NAME);
  const table = await database().then((db) => new Disk(db), () => new Memory());
  const store = new Store(table, shared);
  addEventListener("pagehide", () => store.leave());
  await store.recover();
  return store;
}

async function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1); // where there is none, or none is allowed, this throws
    setTimeout(() => reject(new Error("no answer")), PATIENCE);
    request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name));
    request.onerror = () => reject(request.error);
    request.onsuccess = () => resolve(request.result);
  });
}

export class Store {
  #unfinished = new Map(); // `${page}#${id}` → what is being written there at this moment

  /** table: a Disk or a Memory. shared: a BroadcastChannel to other tabs, or null. */
  constructor(table, shared) {
    this.table = table;
    this.shared = shared;
    this.onLost = null; // called once, when the browser stops keeping what is written
  }

  /** Whether what is written outlives the page. */
  get kept() {
    return this.table instanceof Disk;
  }

  /** Calls fn({page, id}) when another tab has written a cell, fn({progress}) when it has made progress. */
  onOthers(fn) {
    this.shared?.addEventListener("message", ({ data }) => fn(data));
  }

  /** {cell id: {text, base, earlier}} of a page. text is null where the course's own stands. */
  async cells(page) {
    const found = await this.#try(() => this.table.all("cells", `${page}#`));
    return Object.fromEntries([...found].map(([key, one]) => [key.slice(page.length + 1), one]));
  }

  /**
   * Writes the reader's text of a cell. base: the course's text that it was made from. seen: what this tab
   * took for the stored text; where another tab has written meanwhile, that text is kept. why: in place of
   * the writer's own keystrokes, what replaces the text ("before an import"); then it is kept too.
   */
  async write(page, id, what) {
    const { text, base, seen, why = null } = what;
    const key = `${page}#${id}`;
    this.#unfinished.set(key, what);
    const record = await this.#try(() =>
      this.table.update("cells", key, (old = { text: null, earlier: [] }) => {
        const foreign = old.text !== seen && old.text !== text;
        const earlier = [...old.earlier];
        const replaced = why ?? (foreign ? "written in another tab" : null);
        if (replaced && old.text !== null && old.text !== text)
          earlier.push({ text: old.text, why: replaced, when: Date.now() });
        return { text, base, earlier: unlike(earlier, text).slice(-EARLIER) };
      }),
    );
    if (this.#unfinished.get(key) === what) this.#unfinished.delete(key);
    this.shared?.postMessage({ page, id });
    return record;
  }

  /** The page goes: what was typed at the last moment is put where that takes no time. */
  leave() {
    if (this.kept && this.#unfinished.size) localStorage.setItem(NAME, JSON.stringify([...left(), ...this.#unfinished]));
  }

  /** A page is there again: what `leave` left is written. */
  async recover() {
    if (!this.kept) return;
    const waiting = left();
    localStorage.removeItem(NAME);
    for (const [key, what] of waiting) await this.write(...key.split("#"), what);
  }

  /** What is kept of the page as a whole: {own, hints, ...}. */
  async page(page) {
    return (await this.#try(() => this.table.all("pages", page))).get(page) ?? {};
  }

  /** Changes it: change(old) gives what is new. */
  async changePage(page, change) {
    return this.#try(() => this.table.update("pages", page, (old = {}) => ({ ...old, ...change(old) })));
  }

  /** The course's progress by exercise, as course/checking/store.py writes it. */
  async progress() {
    return Object.fromEntries(await this.#try(() => this.table.all("progress", "")));
  }

  /** Adds what is new; of two tabs, neither takes anything from the other. */
  async addProgress(progress) {
    for (const [id, one] of Object.entries(progress))
      await this.#try(() => this.table.update("progress", id, (old) => merged(old, one)));
    this.shared?.postMessage({ progress: true });
    return this.progress();
  }

  async #try(act) {
    try {
      return await act();
    } catch (error) {
      if (!this.kept) throw error;
      // The disk is full, or the browser has closed the database: go on in memory, and say so.
      this.table = await this.table.rescued();
      this.onLost?.();
      return act();
    }
  }
}

/** What `leave` left; nothing where the browser keeps no such thing, or somebody has spoilt it. */
function left() {
  try {
    return JSON.parse(localStorage.getItem(NAME)).filter(([key, what]) => key.includes("#") && "text" in what);
  } catch {
    return [];
  }
}

/** The same text is kept once, its latest place; and not while it is the text itself. */
function unlike(earlier, text) {
  const last = new Map(earlier.map((one) => [one.text, one]));
  return earlier.filter((one) => last.get(one.text) === one && one.text !== text);
}

export function merged(old = {}, one) {
  const dates = [old.passed, one.passed].filter(Boolean).sort();
  return {
    ...old,
    ...one,
    passed: dates[0] ?? null,
    attempts: Math.max(old.attempts ?? 0, one.attempts ?? 0),
    hints: Math.max(old.hints ?? 0, one.hints ?? 0),
  };
}

/** IndexedDB. A change reads and writes in one transaction, so that two tabs cannot cross. */
class Disk {
  #copy = new Memory(); // of what was read and written here, for the day when the disk fails

  constructor(db) {
    this.db = db;
    db.onversionchange = () => db.close();
  }

  async all(store, prefix) {
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const transaction = this.db.transaction(store);
    const [keys, values] = await Promise.all(
      ["getAllKeys", "getAll"].map((what) => answer(transaction.objectStore(store)[what](range))),
    );
    keys.forEach((key, k) => this.#copy.set(store, key, values[k]));
    return new Map(keys.map((key, k) => [key, values[k]]));
  }

  update(store, key, change) {
    const transaction = this.db.transaction(store, "readwrite");
    const home = transaction.objectStore(store);
    return new Promise((resolve, reject) => {
      let made;
      const request = home.get(key);
      request.onsuccess = () => {
        made = change(request.result);
        this.#copy.set(store, key, made);
        try {
          home.put(made, key);
        } catch (error) {
          reject(error);
        }
      };
      transaction.oncomplete = () => resolve(made);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }

  async rescued() {
    return this.#copy;
  }
}

const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

class Memory {
  #stores = Object.fromEntries(STORES.map((name) => [name, new Map()]));

  set(store, key, value) {
    this.#stores[store].set(key, value);
  }

  async all(store, prefix) {
    return new Map([...this.#stores[store]].filter(([key]) => key.startsWith(prefix)));
  }

  async update(store, key, change) {
    const made = change(this.#stores[store].get(key));
    this.#stores[store].set(key, made);
    return made;
  }
}
