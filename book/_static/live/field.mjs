// The field in which a cell is written: a plain text field at once, CodeMirror as soon as it is there.
//
// CodeMirror is loaded when somebody begins to write, never before. Until then, and where it cannot be loaded,
// the plain field does everything: Shift-Enter and Ctrl-Enter run, Escape leaves.

let loading = null;
const codemirror = () =>
  (loading ??= import("./codemirror.mjs").catch(() => {
    loading = null; // without a network: the plain field stays, the next one tries again
    return null;
  }));

/**
 * Puts a field with the text into `el`. label: its name for screen readers. focus: whether writing begins
 * now. onText(text): after each change. onRun(): Shift-Enter or Ctrl-Enter. onLeave(): Escape.
 * Returns {text(), set(text), focus(), destroy()}.
 */
export function field(el, { text, label, focus = false, onText, onRun, onLeave }) {
  const plain = plainField(text, label, { onText, onRun });
  let now = plain;
  let gone = false;
  el.append(plain.el);
  el.addEventListener("keydown", leave);
  plain.el.addEventListener("focus", improve, { once: true });
  if (focus) plain.focus();

  function leave(event) {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault();
    onLeave();
  }

  async function improve() {
    const module = await codemirror();
    while (composing) await composing; // half a sign, such as an accent: not now
    if (!module || gone) return;
    const [from, to] = [plain.el.selectionStart, plain.el.selectionEnd];
    const had = document.activeElement === plain.el;
    const home = document.createElement("div");
    plain.el.replaceWith(home);
    now = module.edit(home, { text: plain.text(), label, onChange: onText, onRun, at: [from, to] });
    if (had) now.focus();
  }

  let composing = null;
  plain.el.addEventListener("compositionstart", () => {
    composing = new Promise((resolve) => plain.el.addEventListener("compositionend", resolve, { once: true }));
    composing.then(() => (composing = null));
  });

  return {
    text: () => now.text(),
    set: (other) => other !== now.text() && now.set(other),
    focus: () => now.focus(),
    destroy() {
      gone = true;
      el.removeEventListener("keydown", leave);
      if (now !== plain) now.destroy();
      el.replaceChildren();
    },
  };
}

function plainField(text, label, { onText, onRun }) {
  const el = document.createElement("textarea");
  Object.assign(el, { value: text, spellcheck: false, wrap: "off", className: "live-plain" });
  el.setAttribute("aria-label", label);
  el.setAttribute("autocapitalize", "off");
  const fit = () => (el.rows = el.value.split("\n").length);
  fit();
  el.addEventListener("input", () => {
    fit();
    onText(el.value);
  });
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.shiftKey || event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    onRun();
  });
  return {
    el,
    text: () => el.value,
    focus: () => el.focus(),
    set(other) {
      el.value = other;
      fit();
      onText(other);
    },
  };
}
