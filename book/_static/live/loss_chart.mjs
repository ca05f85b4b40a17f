// The loss while a model trains. Upright strokes: from the lowest to the highest loss of a few steps. The
// line: the mean of the last twentieth of the run, or of what there is. Dashed: a model that knows nothing.

const [LOW, HIGH] = [1.4, 4.6]; // nats; what lies outside is cut off
const TICKS = [2, 3, 4];
const [LEFT, TOP, FOOT] = [34, 20, 36]; // pixels around the plot
const STROKES = 400; // at most

export class LossChart {
  #svg;
  #nothing;
  #strokes = draw("path", { class: "gp-strokes" });
  #line = draw("path", { class: "gp-line" });
  #bins = []; // {low, high, mean} of a few steps each
  #sum = 0; // of the last `span` losses

  /** svg: an empty <svg>; nothing: the loss of a model that knows nothing. */
  constructor(svg, nothing) {
    this.#svg = svg;
    this.#nothing = nothing;
    this.begin(1000);
    new ResizeObserver(() => this.frame()).observe(svg);
  }

  /** Empties the chart for a run of so many steps. */
  begin(total) {
    this.total = total;
    this.span = Math.ceil(total / 20);
    this.losses = [];
    this.#sum = 0;
    this.#bins = [];
    this.frame();
  }

  /** The mean of the last `span` losses. */
  get mean() {
    return this.#sum / Math.min(this.span, this.losses.length);
  }

  /** Takes the losses of the next steps; draw() shows them. */
  add(losses) {
    const each = Math.ceil(this.total / STROKES);
    for (const loss of losses) {
      this.losses.push(loss);
      this.#sum += loss - (this.losses.at(-1 - this.span) ?? 0);
      const k = Math.floor((this.losses.length - 1) / each);
      const { low, high } = this.#bins[k] ?? { low: loss, high: loss };
      this.#bins[k] = { low: Math.min(low, loss), high: Math.max(high, loss), mean: this.mean };
    }
  }

  /** What stays while a run lasts: the axes. And the curve anew. */
  frame() {
    const [width, height] = [this.#svg.clientWidth || 320, this.#svg.clientHeight || 240];
    const bottom = height - FOOT;
    this.across = (step) => LEFT + (step / this.total) * (width - LEFT - 8);
    this.up = (loss) => bottom - ((Math.min(HIGH, Math.max(LOW, loss)) - LOW) / (HIGH - LOW)) * (bottom - TOP);
    const known = this.up(this.#nothing);
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(
      this.#strokes,
      this.#line,
      draw("path", { class: "gp-axis", d: `M${LEFT} ${TOP}V${bottom}H${width}` }),
      draw("path", { class: "gp-nothing", d: `M${LEFT} ${known}H${width}` }),
      text(width - 4, known - 6, `knows nothing: ${this.#nothing.toFixed(2)}`, "end"),
      text(LEFT, 12, "loss", "start"),
      text(width - 4, height - 3, "step", "end"),
      ...TICKS.map((loss) => text(LEFT - 6, this.up(loss) + 4, loss, "end")),
      ...["start", "middle", "middle", "middle", "end"].map((anchor, k) => {
        const step = Math.round((k * this.total) / 4);
        return text(this.across(step), bottom + 15, step.toLocaleString("en"), anchor);
      }),
    );
    this.draw();
  }

  /** Shows every loss that was added. */
  draw() {
    const each = Math.ceil(this.total / STROKES);
    const at = (k) => this.across(Math.min((k + 1) * each, this.losses.length)).toFixed(1);
    const strokes = this.#bins.map(({ low, high }, k) => `M${at(k)} ${(this.up(low) + 0.5).toFixed(1)}V${(this.up(high) - 0.5).toFixed(1)}`);
    const line = this.#bins.map(({ mean }, k) => `${k ? "L" : "M"}${at(k)} ${this.up(mean).toFixed(1)}`);
    this.#strokes.setAttribute("d", strokes.join(""));
    this.#line.setAttribute("d", line.join(""));
  }
}

const text = (x, y, words, anchor) => draw("text", { x, y, "text-anchor": anchor }, words);

function draw(tag, attributes, words = "") {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) drawn.setAttribute(name, value);
  drawn.textContent = words;
  return drawn;
}
