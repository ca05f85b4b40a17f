// What a cell has printed and shown, on the page, in the same shapes as the committed outputs.
import { h } from "./dom.mjs";

/** The outputs of one cell, in the element `el`. ask(widget id, message): Session.ask. */
export class Outputs {
  #stream = null; // {name, pre}: the last output, while it is one that more text belongs to
  #line = 0; // where its last line begins: "\r" goes back there,
  #back = false; // and what comes next is written over that line
  #views = [];

  constructor(el, ask) {
    this.el = el;
    this.ask = ask;
  }

  clear() {
    for (const view of this.#views.splice(0)) view.destroy?.();
    this.el.replaceChildren();
    this.#stream = null;
  }

  /** Adds an output: {kind: "stream" | "result" | "display" | "error" | "widget", ...}. */
  add(output) {
    if (output.kind === "stream") return this.#print(output);
    this.#stream = null;
    if (output.kind === "widget") this.#mount(output);
    else if (output.html) this.#put(html(output.html), output.kind === "error" ? "live-verdict" : "text_html");
    else if (output.name === "Stopped") this.#put(h("p", {}, output.text), "live-verdict"); // no cell's: Python's own end
    else this.#put(pre(output.text), output.kind === "error" ? "live-error" : "text_plain");
  }

  #put(inside, kind) {
    this.el.append(h("div", { class: `output ${kind} notranslate` }, inside));
    inside.querySelectorAll("pre").forEach(reachable);
  }

  #print({ name, text }) {
    if (this.#stream?.name !== name) {
      const shown = pre("");
      this.#put(shown, name === "stderr" ? "stderr" : "stream");
      this.#stream = { name, pre: shown.querySelector("pre") };
      this.#line = 0;
      this.#back = false;
    }
    // As in a terminal: what draws a progress bar uses it.
    const target = this.#stream.pre;
    let whole = target.textContent;
    for (const [k, part] of text.replaceAll("\r\n", "\n").split("\r").entries()) {
      this.#back ||= k > 0;
      if (!part) continue;
      if (this.#back && part[0] !== "\n") whole = whole.slice(0, this.#line);
      this.#back = false;
      whole += part;
      this.#line = whole.lastIndexOf("\n") + 1;
    }
    target.textContent = whole;
    reachable(target);
  }

  async #mount({ id, name, state, text }) {
    const home = h("div", { "data-live-widget": name });
    this.#put(home, "text_html");
    try {
      const { render } = await import(`../widgets/${name}.mjs`);
      if (!home.isConnected) return;
      this.#views.push(render(home, state, state.live ? (message) => this.ask(id, message) : null));
    } catch {
      home.replaceChildren(pre(text)); // its module did not arrive: no network
    }
  }
}

const pre = (text) => h("div", { class: "highlight" }, h("pre", {}, text));

/** What is larger than its place scrolls there, and the keyboard must reach it to scroll. */
function reachable(el) {
  requestAnimationFrame(() => {
    if (el.scrollWidth > el.clientWidth || el.scrollHeight > el.clientHeight) el.tabIndex = 0;
  });
}

/** HTML that Python made. The page's content security policy stops scripts and handlers in it. */
function html(text) {
  const el = h("div");
  el.innerHTML = text;
  return el;
}
