// Three small things that a page of the site does by itself.

// Each <div data-widget="name" data-state="{...}"> becomes the widget of that name: the same module
// that JupyterLab shows. No Python runs on the page, so it is given no `ask`.
(() => {
  const here = document.currentScript.src;
  const mount = async (el) => {
    const { render } = await import(new URL(`widgets/${el.dataset.widget}.mjs`, here));
    render(el, JSON.parse(el.dataset.state), null);
  };
  const all = () => document.querySelectorAll("[data-widget]").forEach(mount);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
  else all();
})();

// MathJax's part that gives formulas to screen readers sets an option of its menu, and warns of it
// when the menu is not loaded. We do not load it (it fetches more than a formula needs).
if (window.MathJax) {
  window.MathJax.startup = {
    ready() {
      delete window.MathJax.config.options.menuOptions;
      window.MathJax.startup.defaultReady();
    },
  };
}

// Search shows what stands around the words it found. The theme counts its buttons and its own list of
// contents among the text of a page; only the article is.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const toText = Search.htmlToText;
  Search.htmlToText = (page, anchor) => {
    const article = new DOMParser().parseFromString(page, "text/html").querySelector(".bd-article");
    return toText(article ? `<div role="main">${article.innerHTML}</div>` : page, anchor);
  };
});
