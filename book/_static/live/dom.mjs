// Elements without HTML texts: what stands in a string stays text.

/** An element: attributes by name, functions as listeners ("onclick"), children as nodes or texts. */
export function h(tag, attributes = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") el.addEventListener(name.slice(2), value);
    else if (value === true) el.setAttribute(name, "");
    else if (value !== false && value != null) el.setAttribute(name, value);
  }
  el.append(...children);
  return el;
}

/** A button that says `text`; about: more for a screen reader, where several buttons say the same. */
export function button(text, onclick, { about = "", ...attributes } = {}) {
  const label = about ? { "aria-label": `${text} ${about}` } : {};
  return h("button", { type: "button", ...label, ...attributes, onclick }, text);
}

/** A sentence as nodes; `code` in it is set as code. */
export function sentence(text) {
  return text.split(/`([^`]+)`/).map((part, k) => (k % 2 ? h("code", {}, part) : part));
}
