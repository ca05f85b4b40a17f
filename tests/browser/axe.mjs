// Asks axe-core what is wrong with each page for who cannot see, or cannot use a mouse; tests/test_site.py
// judges it. node axe.mjs BASE_URL COLOURED PAGE ...; COLOURED: the pages whose colours are asked for, with commas
import fs from "node:fs";
import path from "node:path";
import { each, launch, packages, report, settled, still } from "./browser.mjs";

const [base, coloured, ...pages] = process.argv.slice(2);
const source = fs.readFileSync(path.join(packages, "axe-core", "axe.min.js"), "utf8");
const browser = await launch();
const found = {};

// Colours take axe most of its time, those of code above all. site.mjs measures each colour on every page, in
// every look; axe is the second opinion.
const COLOUR_RULES = ["color-contrast", "link-in-text-block"];
const SHAPE = { rules: Object.fromEntries(COLOUR_RULES.map((rule) => [rule, { enabled: false }])) };
const COLOURS = { runOnly: COLOUR_RULES };
const LOOKS = [
  { theme: "light", width: 1280, options: SHAPE },
  { theme: "light", width: 1280, options: COLOURS, but: ".highlight pre" },
  { theme: "dark", width: 1280, options: COLOURS, but: ".highlight pre" },
  { theme: "light", width: 360, options: SHAPE },
];

/** What axe finds on the page as it is now, `but` for some elements: one line each. */
function problems(page, options, but) {
  return page.evaluate(async ([options, but]) => {
    const where = but ? { exclude: [but] } : document;
    const { violations } = await window.axe.run(where, { resultTypes: ["violations"], ...options });
    const lines = violations.flatMap(({ impact, id, nodes }) => nodes.map((node) => `${impact} ${id}: ${node.html.slice(0, 160)}`));
    // Of a label around several fields axe takes each to be named; a browser names the first, even an <output>.
    const fields = [...document.querySelectorAll("input:not([type=hidden]), select, textarea")];
    const unnamed = fields.filter((one) => !one.labels.length && !one.ariaLabel && !one.hasAttribute("aria-labelledby"));
    return [...lines, ...unnamed.map((one) => `serious unnamed: ${one.outerHTML.slice(0, 160)}`)];
  }, [options, but]);
}

await each(pages, async (url) => {
  found[url] = {};
  const context = await browser.newContext({ reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(base + url);
  await settled(page);
  await page.evaluate(source);
  for (const { theme, width, options, but } of LOOKS) {
    if (options === COLOURS && !coloured.split(",").includes(url)) continue;
    await page.emulateMedia({ colorScheme: theme });
    await page.setViewportSize({ width, height: 800 });
    await page.waitForFunction((theme) => document.documentElement.dataset.theme === theme, theme);
    await still(page);
    (found[url][`${theme} ${width}`] ??= []).push(...(await problems(page, options, but)));
  }
  await context.close();
});
await browser.close();
report(found);
