// What there is to see of the GPT of the front page, before anything happens; gpt_page.mjs makes it live.
import { h } from "./dom.mjs";

/** Builds it in `el`, and gives the parts by name. What stood in `el` stays, for paper. */
export function build(el, runs) {
  const toggle = h("button", { type: "button", class: "gp-first" });
  const again = h("button", { type: "button", hidden: "" }, "Start again");
  const choice = h("fieldset", {}, h("legend", {}, "Length"), ...runs.map(radio));
  const problem = h("p", { class: "gp-problem", role: "alert" });
  const status = h("p", { class: "gp-status" });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true"); // the sentences say it in words
  const legend = h("p", { class: "gp-note" });
  const said = h("p", { class: "gp-said", "aria-live": "polite" });

  const warmth = h("input", { type: "range", min: 0.1, max: 1.5, step: 0.1, value: 0.5 });
  const degree = h("output");
  const more = h("button", { type: "button" }, "More names");
  const list = h("ul", { class: "gp-names", "aria-label": "Names that it invents, the newest first" });
  const caption = h("p", { class: "gp-title" });
  const attention = h("div");
  // No <pre>: of those the theme takes the tab stop away.
  const lines = h("div", { class: "gp-lines", tabindex: 0, role: "region", "aria-label": "Losses" });
  const printout = h("details", {}, h("summary", {}, "The losses, as microgpt.py prints them"), lines);
  const begun = h("div", { hidden: "" },
    h("div", { class: "gp-row" }, h("label", {}, "Temperature", warmth, degree), more),
    h("p", { class: "gp-note" }, "A low temperature keeps to likely letters, a high one dares unlikely ones."),
    list, caption,
    h("p", { class: "gp-note" }, "For each letter, four heads decide which letters so far to look at. Type a name to see it."),
    attention, printout,
  );

  const root = h("div", { class: "gp-live", role: "group", "aria-label": "A GPT that learns" },
    h("div", { class: "gp-row" }, toggle, again, choice),
    problem, status, svg, legend, said, begun,
  );
  el.replaceChildren(h("div", { class: "gp-still" }, ...el.childNodes), root);
  return { toggle, again, choice, problem, status, svg, legend, said, warmth, degree, more, list, caption, attention, lines, printout, begun };
}

function radio({ label }, i) {
  const button = h("input", { type: "radio", name: "gp-run", value: i });
  button.checked = i === 0;
  return h("label", {}, button, label);
}
