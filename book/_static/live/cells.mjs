// A cell of the page: its buttons, the field in which it is written, its outputs, what is said of it.
//
// A Cell knows nothing of the others. What its buttons do, `act` does: {run(cell), runAbove(cell), stop(),
// write(cell, text, {base, why, shown}), ask(widget, message)}; page.mjs hands it in.
import { shown } from "./compare.mjs";
import { button, h, sentence } from "./dom.mjs";
import { field } from "./field.mjs";
import { before, question } from "./notes.mjs";
import { Outputs } from "./outputs.mjs";

const AT_ONCE = 400; // milliseconds in which a second press is meant for Run, not for Stop

export class Cell {
  text = null; // the reader's, or null where the course's stands
  stored = null; // what this tab takes for the text in the store
  base = null; // the course's text that the reader's was made from
  state = "idle"; // or "waiting", "running"
  #field = null;
  #began = 0;

  /** el: the cell as Sphinx made it. data: what the page's JSON says of it. */
  constructor(el, data, act) {
    Object.assign(this, { el, data, act, id: data.id });
    this.check = data.locked && Boolean(data.grade_id);
    this.answer = !data.locked && Boolean(data.grade_id);
    this.name = `cell ${data.number}`;
    this.#build();
  }

  /** What would run. */
  get source() {
    return this.text ?? this.data.source;
  }

  // ---------------------------------------------------------------------------------- its parts

  #build() {
    const { el, act, name } = this;
    el.classList.add("live-cell");
    el.classList.toggle("live-check", this.check);
    el.classList.toggle("live-answer", this.answer);
    this.fold = el.querySelector(":scope > details.hide");
    this.given = el.querySelector(".cell_input");
    this.printed = el.querySelector(":scope > .cell_output");
    this.home = h("div", { class: "live-field highlight", hidden: true });
    this.own = h("div", { class: "live-own highlight", hidden: true }, h("pre"));
    this.given.after(this.own, this.home);

    const about = `(${name})`;
    this.runs = button(this.check ? "Check" : "Run", () => this.#runOrStop(), { about, class: "live-run" });
    this.edits = button("Edit", () => this.#openOrClose(), { about });
    this.above = button("Run all above", () => act.runAbove(this), { about, class: "live-quiet" });
    this.resets = button("Reset", () => this.#take(null, "before a reset"), { about, class: "live-quiet", hidden: true });
    this.compares = button("Compare", () => this.#compare(), { about, class: "live-quiet", hidden: true });
    this.swaps = button("As printed", () => this.#swap(), { about, class: "live-quiet", hidden: true });
    this.rest = h("span", { class: "live-rest", hidden: true }, this.above, this.compares, this.resets, this.swaps);
    this.more = button("More", () => this.#unfold(this.rest.hidden), { about, class: "live-quiet", "aria-expanded": "false" });
    this.meter = h("span", { class: "live-meter", "aria-hidden": true });
    this.status = h("span", { class: "live-status", role: "status" });
    const group = { class: "live-bar", role: "group", "aria-label": `${name[0].toUpperCase()}${name.slice(1)}` };
    this.bar = h("div", group, this.runs, this.edits, this.more, this.rest, this.meter, this.status);
    this.notes = h("div", { class: "live-notes" });
    this.out = h("div", { class: "cell_output docutils container live-output", hidden: true, "aria-live": this.check ? "polite" : null });
    this.outputs = new Outputs(this.out, act.ask);
    (this.fold ?? this.home).after(this.bar, this.notes, this.out);

    this.edits.hidden = this.check || this.answer;
    this.above.hidden = this.check || this.answer || this.data.number === 1;
    if (!this.data.runs) {
      for (const one of [this.runs, this.edits, this.above]) one.remove();
      this.notes.append(h("p", { class: "live-why" }, ...sentence(this.data.why)));
    }
    this.#offerMore();
  }

  /** The button More stands there when it has something to show. */
  #offerMore() {
    const left = [...this.rest.children].some((one) => !one.hidden);
    const within = this.rest.contains(document.activeElement);
    this.more.hidden = !left;
    if (!left) this.#unfold(false);
    if (within && document.activeElement?.hidden) this.runs.focus(); // its button has done its work and gone
  }

  #unfold(open) {
    this.rest.hidden = !open;
    this.more.firstChild.data = open ? "Less" : "More";
    this.more.setAttribute("aria-label", `${this.more.firstChild.data} (${this.name})`);
    this.more.setAttribute("aria-expanded", open);
  }

  // ---------------------------------------------------------------------------------- its text

  /** Shows what is kept of the cell: {text, base, earlier}, or nothing. */
  keep(record = {}) {
    const { text = null } = record;
    this.stored = text;
    this.text = text === this.data.source ? null : text;
    this.remember(record);
    this.#field?.set(this.source);
    if (this.answer && this.data.runs && !this.#field) this.#open(false);
    this.#show();
  }

  /** The same, but for the text itself, which may have been written on meanwhile. */
  remember({ base = this.data.source, earlier = [] } = {}) {
    this.base = base;
    this.#tell("earlier", earlier.length ? before(this.name, earlier, (text) => this.#take(text, "before an earlier text")) : null);
    this.#tell("changed", this.text !== null && base !== this.data.source ? this.#changed() : null);
  }

  #show() {
    const written = this.text !== null;
    this.given.hidden = written || this.#field !== null;
    this.own.hidden = !written || this.#field !== null;
    this.own.firstChild.textContent = this.source;
    this.home.hidden = this.#field === null;
    this.resets.hidden = this.compares.hidden = !written;
    this.#offerMore();
    if (!written) this.#tell("compared", null);
    this.edits.firstChild.data = this.#field ? "Close" : "Edit";
    this.edits.setAttribute("aria-label", `${this.edits.firstChild.data} (${this.name})`);
  }

  #openOrClose() {
    if (!this.#field) return this.#open(true);
    this.#field.destroy();
    this.#field = null;
    this.#show();
  }

  #open(focus) {
    if (this.fold && focus) this.fold.open = true;
    this.home.hidden = false;
    this.#field = field(this.home, {
      text: this.source,
      label: `Code of ${this.name}. Shift-Enter runs it, Escape leaves.`,
      focus,
      onText: (text) => this.#written(text),
      onRun: () => this.#run(),
      onLeave: () => (this.edits.hidden ? this.runs : this.edits).focus(),
    });
    this.#show();
  }

  #written(text) {
    if (text === this.source) return;
    this.text = text === this.data.source ? null : text;
    this.resets.hidden = this.compares.hidden = this.text === null;
    this.#offerMore();
    this.say("");
    this.act.write(this, this.text, { base: this.base });
  }

  /** Another text in place of the present one, which is kept if `why` says so. */
  #take(text, why = null) {
    this.say("");
    this.act.write(this, text, { base: this.data.source, why, shown: true });
  }

  // ---------------------------------------------------------------------------------- to run it

  #runOrStop() {
    if (this.state === "idle") this.#run();
    else if (performance.now() - this.#began > AT_ONCE) this.act.stop();
  }

  #run() {
    if (this.state !== "idle") return;
    this.#began = performance.now();
    this.act.run(this);
  }

  /** state: "idle", "waiting" or "running". status: a few words, read aloud. */
  become(state, status = "") {
    this.state = state;
    const label = state === "idle" ? (this.check ? "Check" : "Run") : "Stop";
    if (this.runs.firstChild.data !== label) {
      this.runs.firstChild.data = label;
      this.runs.setAttribute("aria-label", `${label} (${this.name})`);
    }
    this.runs.classList.toggle("live-stop", state !== "idle");
    this.el.toggleAttribute("data-busy", state !== "idle");
    clearInterval(this.ticks);
    this.meter.replaceChildren();
    this.say(status);
    if (state !== "running") return;
    const began = performance.now();
    const tick = () => this.meter.replaceChildren(`${Math.round((performance.now() - began) / 1000)} s`);
    this.ticks = setInterval(tick, 1000);
  }

  /** How much of Python is loaded: {loaded, total} bytes. */
  load({ loaded, total }) {
    clearInterval(this.ticks);
    const mega = (bytes) => (bytes / 1e6).toFixed(1);
    const bar = h("progress", { max: total, value: loaded });
    this.meter.replaceChildren(bar, ` ${mega(loaded)} of ${mega(total)} MB`);
  }

  say(text) {
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  /** A new run: the outputs of the last one go, and what was said of them. */
  clear() {
    this.outputs.clear();
    this.#tell("offer", null);
    this.#view(true);
  }

  output(output) {
    this.outputs.add(output);
  }

  #view(live) {
    this.out.hidden = !live;
    if (this.printed) this.printed.hidden = live;
    this.swaps.hidden = !this.printed;
    this.#offerMore();
    this.swaps.firstChild.data = live ? "As printed" : "As run here";
    this.swaps.setAttribute("aria-label", `${this.swaps.firstChild.data} (${this.name})`);
  }

  #swap() {
    this.#view(this.out.hidden);
  }

  // ---------------------------------------------------------------------------------- what is said

  /** Puts a note of this kind under the cell, in place of the last one; null takes it away. */
  #tell(kind, note) {
    this.notes.querySelector(`:scope > [data-kind=${kind}]`)?.remove();
    if (!note) return;
    note.dataset.kind = kind;
    this.notes.append(note);
  }

  /** A sentence with buttons: [[text, function], ...]. */
  offer(text, choices) {
    this.#tell("offer", question(this.name, text, choices));
  }

  #changed() {
    return question(this.name, "You changed this cell, and the course has changed it since. Yours is saved and stands here.", [
      ["Keep mine", () => this.#take(this.text)],
      ["Compare", () => this.#compare()],
      ["Take the course's", () => this.#take(null, "before the course's new text")],
    ]);
  }

  #compare() {
    const there = this.notes.querySelector(":scope > [data-kind=compared]");
    this.#tell("compared", there ? null : shown(this.source, this.data.source, ["yours", "the course's"]));
  }
}
