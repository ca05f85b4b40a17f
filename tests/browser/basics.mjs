// What holds for every widget, whatever it shows: asked of a page on which one is mounted.

/** {unnamed, wide, ids, small}: controls without a name, the page's width, ids that stand twice, buttons
 * and fields that are lower than 24 pixels (WCAG 2.2, target size). */
export function basics(page) {
  return page.evaluate(() => {
    const controls = [...document.querySelectorAll("#here :is(button, input, [role=option], [role=listbox], [role=toolbar], [role=group])")];
    const name = (one) => one.getAttribute("aria-label") ?? (one.labels?.[0] ?? one).textContent;
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    const shown = controls.filter((one) => one.matches("button, input:not([type=checkbox])") && one.checkVisibility());
    return {
      unnamed: controls.filter((one) => !name(one).trim()).map((one) => one.outerHTML.slice(0, 80)),
      wide: document.documentElement.scrollWidth,
      ids: ids.filter((id, i) => ids.indexOf(id) !== i),
      small: shown.filter((one) => one.getBoundingClientRect().height < 24).map(name),
    };
  });
}
