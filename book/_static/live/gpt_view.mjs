// What there is to see of the GPT of the front page, before anything happens; gpt_page.mjs makes it live.

/** Builds it in `el`, and gives the parts by name. What stood in `el` stays, for paper. */
export function build(el, runs) {
  const toggle = make("button", { type: "button", class: "gp-first" });
  const again = make("button", { type: "button", hidden: "" }, "Start again");
  const choice = make("fieldset", {}, make("legend", {}, "Length"), ...runs.map(radio));
  const problem = make("p", { class: "gp-problem", role: "alert" });
  const status = make("p", { class: "gp-status" });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true"); // the sentences say it in words
  const legend = make("p", { class: "gp-note" });
  const said = make("p", { class: "gp-said", "aria-live": "polite" });

  const warmth = make("input", { type: "range", min: 0.1, max: 1.5, step: 0.1, value: 0.5 });
  const degree = make("output");
  const more = make("button", { type: "button" }, "More names");
  const list = make("ul", { class: "gp-names", "aria-label": "Names that it invents, the newest first" });
  const caption = make("p", { class: "gp-title" });
  const attention = make("div");
  // No <pre>: of those the theme takes the tab stop away.
  const lines = make("div", { class: "gp-lines", tabindex: 0, role: "region", "aria-label": "Losses" });
  const printout = make("details", {}, make("summary", {}, "The losses, as microgpt.py prints them"), lines);
  const begun = make("div", { hidden: "" },
    make("div", { class: "gp-row" }, make("label", {}, "Temperature", warmth, degree), more),
    make("p", { class: "gp-note" }, "A low temperature keeps to likely letters, a high one dares unlikely ones."),
    list, caption,
    make("p", { class: "gp-note" }, "For each letter, four heads decide which letters so far to look at. Type a name to see it."),
    attention, printout,
  );

  const root = make("div", { class: "gp-live", role: "group", "aria-label": "A GPT that learns" },
    make("div", { class: "gp-row" }, toggle, again, choice),
    problem, status, svg, legend, said, begun,
  );
  el.replaceChildren(make("div", { class: "gp-still" }, ...el.childNodes), root);
  return { toggle, again, choice, problem, status, svg, legend, said, warmth, degree, more, list, caption, attention, lines, printout, begun };
}

function radio({ label }, i) {
  const button = make("input", { type: "radio", name: "gp-run", value: i });
  button.checked = i === 0;
  return make("label", {}, button, label);
}

export function make(tag, attributes = {}, ...parts) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...parts);
  return made;
}
