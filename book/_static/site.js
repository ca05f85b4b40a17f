// Small things that a page of the site does by itself.

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

// A page whose cells can run says so in its head (course/site/live.py); live/page.mjs sees to them.
(() => {
  const here = document.currentScript.src;
  document.addEventListener("DOMContentLoaded", () => {
    const page = document.querySelector('meta[name="course-page"]');
    if (page) import(new URL("live/page.mjs", here)).then(({ open }) => open(page.content));
  });
})();

// MathJax's part that gives formulas to screen readers sets an option of its menu, and warns of it
// when the menu is not loaded. We do not load it (it fetches more than a formula needs).
if (window.MathJax) {
  window.MathJax.startup = {
    ready() {
      delete window.MathJax.config.options.menuOptions;
      window.MathJax.startup.defaultReady();
      // A formula that is wider than its place scrolls there; the keyboard must reach it to scroll.
      const reach = () =>
        document.querySelectorAll("mjx-container[display]").forEach((formula) => {
          if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
          else formula.removeAttribute("tabindex");
        });
      window.MathJax.startup.promise.then(reach);
      addEventListener("resize", reach);
    },
  };
}

// Paper is white, so a dark page is printed as a light one; and what is folded only because it is
// long is unfolded. (Answers stay folded: they were meant to be asked for.)
document.addEventListener("click", (event) => {
  if (event.target.closest(".btn-download-pdf-button")) print();
});
(() => {
  const page = document.documentElement;
  let theme, folded;
  addEventListener("beforeprint", () => {
    theme = page.dataset.theme;
    page.dataset.theme = "light";
    folded = [...document.querySelectorAll("details.hide:not([open])")];
    folded.forEach((one) => (one.open = true));
  });
  addEventListener("afterprint", () => {
    page.dataset.theme = theme;
    folded.forEach((one) => (one.open = false));
  });
})();

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
