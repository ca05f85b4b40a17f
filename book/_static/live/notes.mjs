// What is said under a cell: a question with its answers as buttons, and the reader's texts from before.
import { button, h, sentence } from "./dom.mjs";

/** A sentence about the cell `name`, with buttons: [[text, function], ...]. */
export function question(name, text, choices) {
  const made = choices.map(([label, act]) => button(label, act, { about: `(${name})`, class: "live-quiet" }));
  return h("div", { class: "live-note" }, h("p", {}, ...sentence(text)), ...made);
}

/** The reader's earlier texts of a cell, the latest first: [{text, why, when}]. back(text): brings one back. */
export function before(name, texts, back) {
  const row = ({ text, why, when }) => {
    const date = new Date(when).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    const again = button("Bring it back", () => back(text), { about: `(${name})`, class: "live-quiet" });
    return h("li", {}, `${date}, ${why}: `, again, h("pre", {}, text));
  };
  const rows = [...texts].reverse().map(row);
  return h("details", { class: "live-earlier" }, h("summary", {}, `Earlier texts of yours: ${texts.length}`), h("ul", {}, ...rows));
}
