// The editor of a cell: CodeMirror with what Python needs, and no more. course/site/runtime.py bundles this
// file with esbuild to _static/live/codemirror.mjs, which a page loads at the first Edit.
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { pythonLanguage } from "@codemirror/lang-python";
import { HighlightStyle, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

// The classes that Pygments gives to the code of the page: so both look the same, in light and in dark.
const colours = HighlightStyle.define([
  { tag: [tags.controlKeyword, tags.definitionKeyword, tags.moduleKeyword, tags.keyword], class: "k" },
  { tag: tags.operatorKeyword, class: "ow" },
  { tag: [tags.bool, tags.null], class: "kc" },
  { tag: tags.comment, class: "c1" },
  { tag: tags.string, class: "s2" },
  { tag: [tags.escape, tags.special(tags.string)], class: "si" },
  { tag: tags.integer, class: "mi" },
  { tag: [tags.float, tags.number], class: "mf" },
  { tag: tags.function(tags.definition(tags.variableName)), class: "nf" },
  { tag: tags.definition(tags.className), class: "nc" },
  { tag: tags.meta, class: "nd" },
  { tag: [tags.operator, tags.compareOperator, tags.arithmeticOperator], class: "o" },
]);

// Colours and fonts are the page's own; only the shape is said here.
const shape = EditorView.theme({
  "&": { backgroundColor: "transparent", color: "inherit", fontSize: "inherit" },
  "&.cm-focused": { outline: "2px solid var(--pst-color-accent, currentColor)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--pst-font-family-monospace, monospace)", lineHeight: "1.5" },
  ".cm-content": { caretColor: "currentColor", padding: "0.6rem 0" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--pst-color-text-muted, inherit)", border: "none" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "transparent", outline: "1px solid currentColor" },
});

/**
 * Puts an editor for Python into the element `el`.
 *
 * text: what stands in it at first. at: what of it is selected, from and to. label: its name for screen
 * readers. onChange(text): after each change. onRun(): Shift-Enter or Ctrl-Enter (on a Mac Cmd-Enter too).
 * Escape, then Tab leaves the editor; without Escape, Tab indents.
 * Returns {text(), set(text), focus(), destroy()}; `set` counts as a change that can be undone.
 */
export function edit(el, { text = "", at = [0, 0], label = "Python code", onChange = null, onRun = null } = {}) {
  const run = () => {
    onRun?.();
    return onRun !== null;
  };
  const view = new EditorView({
    parent: el,
    state: EditorState.create({
      doc: text,
      selection: { anchor: at[0], head: at[1] },
      extensions: [
        // Ours first: CodeMirror's own keys use Mod-Enter for an empty line.
        keymap.of([
          ...["Ctrl-Enter", "Mod-Enter", "Shift-Enter"].map((key) => ({ key, run })),
        ]),
        keymap.of([indentWithTab, ...historyKeymap, ...defaultKeymap]),
        history(),
        lineNumbers(),
        bracketMatching(),
        indentOnInput(),
        indentUnit.of("    "),
        EditorState.tabSize.of(4),
        pythonLanguage,
        syntaxHighlighting(colours),
        shape,
        EditorView.contentAttributes.of({ "aria-label": label }),
        EditorView.updateListener.of((update) => update.docChanged && onChange?.(update.state.doc.toString())),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    set: (other) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: other } }),
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
