// What stands beside an exercise: hints one after the other, all values of a failed check, the solution, and
// how far the reader is. Hints and solutions are HTML from the page's JSON; progress is the course's own
// ({passed, attempts, hints} by exercise, as course/checking/store.py writes it).
import { button, h } from "./dom.mjs";
import { count } from "./notebook.mjs";

const HINTS = ["the idea", "the formula", "the shape of the code"];

export class Help {
  /**
   * check: the Cell of the check. described: {title, kind, hints}. solution: {html} or undefined.
   * act: {hint(id, number), details(id, cell), typeset(el)}.
   */
  constructor(id, check, described, solution, act) {
    Object.assign(this, { id, check, described, solution, act, progress: {}, shown: 0 });
    const about = `(${described.title})`;
    this.mark = h("span", { class: "live-mark" });
    this.next = button("", () => this.#hint(), { class: "live-quiet" });
    this.values = button("All values", () => act.details(id, check), { about, class: "live-quiet", hidden: true });
    this.hints = h("div", { class: "live-hints", "aria-live": "polite" });
    this.row = h("div", { class: "live-bar" }, this.next, this.values, this.mark);
    this.el = h("div", { class: "live-help" }, this.row, this.hints);
    if (solution) this.el.append(this.#solution(about));
    check.out.after(this.el);
    this.show({});
  }

  /** progress: of this exercise. */
  show(progress) {
    this.progress = progress;
    const { passed, attempts = 0, hints = 0 } = progress;
    while (this.shown < Math.min(hints, this.described.hints.length)) this.#put(this.shown++);
    const left = this.described.hints.length - this.shown;
    if (!left && document.activeElement === this.next) this.hints.lastChild.focus(); // the button goes
    this.next.hidden = !left;
    this.next.textContent = `Hint ${this.shown + 1} of ${this.described.hints.length}: ${HINTS[this.shown]}`;
    this.next.setAttribute("aria-label", `${this.next.textContent} (${this.described.title})`);
    const tries = attempts ? `, ${count(attempts, "attempt")}` : "";
    this.mark.textContent = passed ? `Passed on ${passed}${tries}` : attempts ? count(attempts, "attempt") : "";
    this.mark.classList.toggle("live-passed", Boolean(passed));
  }

  /** After each check. failed: the name of the error that ended it, or null; ran: whether it came so far. */
  checked({ failed, ran }) {
    this.values.hidden = failed !== "CheckFailed";
    this.check.out.classList.toggle("live-good", ran && !failed && this.described.kind !== "open");
  }

  #hint() {
    this.act.hint(this.id, this.shown + 1);
  }

  #put(number) {
    const hint = h("div", { class: "live-hint", tabindex: -1 });
    hint.innerHTML = this.described.hints[number];
    this.hints.append(hint);
  }

  #solution(about) {
    const inside = h("div");
    let filled = false;
    const fill = () => {
      filled = true;
      inside.innerHTML = this.solution.html;
      this.act.typeset(inside);
    };
    const ask = () => [
      h("p", {}, "You have not tried yet. An attempt that fails teaches more than a solution that is read."),
      button("Show it all the same", fill, { about }),
    ];
    const fold = h("details", { class: "live-solution" }, h("summary", {}, "The solution, explained"), inside);
    fold.addEventListener("toggle", () => {
      if (!fold.open || filled) return;
      if (this.progress.attempts) fill();
      else inside.replaceChildren(...ask());
    });
    return fold;
  }
}

/** How far the reader is on the page: a sentence and the exercises, those that passed marked. */
export class Score {
  el = h("div", { class: "live-score" });

  /** exercises: {id: {title, kind}} in order. anchor(id): the address of the exercise on the page. */
  constructor(exercises, anchor) {
    this.graded = Object.entries(exercises).filter(([, { kind }]) => kind !== "open");
    this.said = h("p", { role: "status" });
    this.links = new Map(
      this.graded.map(([id, { title }], k) => [id, h("a", { href: `#${anchor(id)}`, title }, `${k + 1}`)]),
    );
    const list = h("ol", { "aria-label": "Exercises of this page" }, ...[...this.links.values()].map((link) => h("li", {}, link)));
    this.el.append(this.said, list);
  }

  show(progress) {
    const passed = this.graded.filter(([id]) => progress[id]?.passed);
    const attempts = this.graded.reduce((sum, [id]) => sum + (progress[id]?.attempts ?? 0), 0);
    const of = `of the ${this.graded.length} exercises with a check`;
    const text = `You have passed ${passed.length} ${of}${attempts ? `, in ${count(attempts, "attempt")}` : " so far"}.`;
    if (this.said.textContent !== text) this.said.textContent = text;
    for (const [k, [id, { title }]] of this.graded.entries()) {
      const done = Boolean(progress[id]?.passed);
      const link = this.links.get(id);
      link.classList.toggle("live-passed", done);
      link.textContent = done ? `${k + 1} ✓` : `${k + 1}`;
      link.setAttribute("aria-label", `Exercise ${k + 1}, ${title}${done ? ": passed" : ""}`);
    }
  }
}

/** Draws the formulas in `el`; MathJax is loaded for it where the page has none. settings: MathJax's. */
export async function typeset(el, settings, address) {
  if (!el.querySelector(".math")) return;
  if (!window.MathJax) {
    const ready = () => {
      delete window.MathJax.config.options.menuOptions; // as in site.js
      window.MathJax.startup.defaultReady();
    };
    const options = { processHtmlClass: "math" }; // Sphinx marks all of a page as not to be looked at
    window.MathJax = { ...settings, options, startup: { ready, typeset: false } };
    await new Promise((resolve) => document.head.append(h("script", { src: address, onload: resolve, onerror: resolve })));
  }
  await window.MathJax.startup?.promise;
  await window.MathJax.typesetPromise?.([el]);
}
