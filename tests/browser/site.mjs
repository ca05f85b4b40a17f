// Reads the built site as people do, and reports what happened; tests/test_book.py judges it.
// node site.mjs BASE_URL SHOTS_FOLDER PAGE ...; with COURSE_SHOTS set it also takes a picture of each whole page.
import fs from "node:fs";
import path from "node:path";
import { each, launch, report, settled, still } from "./browser.mjs";

const [base, shots, ...pages] = process.argv.slice(2);
fs.mkdirSync(shots, { recursive: true });
const browser = await launch();
const found = { outside: [], errors: [], missing: [], pages: {}, modes: {}, search: null };

async function open(url, { theme = "light", width = 1280, ...options } = {}) {
  const context = await browser.newContext({
    colorScheme: theme,
    viewport: { width, height: 800 },
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  const loaded = [];
  page.on("request", (request) => {
    const address = request.url();
    if (/^(data|blob):/.test(address)) return;
    if (new URL(address).origin === new URL(base).origin) loaded.push(new URL(address).pathname);
    else found.outside.push(`${url}: ${address}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) found.missing.push(`${url}: ${response.status()} ${response.url()}`);
  });
  page.on("pageerror", (error) => found.errors.push(`${url}: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) found.errors.push(`${url}: ${message.text()}`);
  });
  await page.goto(base + url, { waitUntil: "load" });
  await settled(page);
  return { context, page, loaded };
}

/** Texts whose contrast with what is behind them is below WCAG's AA; figures are not looked at. */
function tooFaint() {
  const channel = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(colour, [r, g, b, a / 255]);
    }
    return known.get(colour);
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
  const behind = (el) => {
    if (!el) return [255, 255, 255];
    const colour = rgba(getComputedStyle(el).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(el.parentElement));
  };
  const faint = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const el = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || el.closest("mjx-assistive-mml, script, style, svg")) continue;
    if (!el.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const box = el.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue; // hidden but for screen readers
    const style = getComputedStyle(el);
    const under = behind(el);
    const [a, b] = [light(over(rgba(style.color), under)), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) {
      const name = `${el.tagName.toLowerCase()}.${[...el.classList].join(".")} in ${el.parentElement.className}`;
      faint.set(`${ratio.toFixed(2)} ${name}`, walk.currentNode.data.trim().slice(0, 30));
    }
  }
  return [...faint].map(([what, text]) => `${what}: ${text}`);
}

await each(pages, async (url) => {
  const seen = (found.pages[url] = { wide: {}, faint: {}, theme: {} });
  const { context, page, loaded } = await open(url);
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    await still(page);
    seen.theme[theme] = await page.evaluate(() => document.documentElement.dataset.theme);
    seen.loaded = [...new Set(loaded)]; // a new context has an empty cache: this is what a first visit loads
    seen.asked = await page.locator(".math").count();
    seen.math = await page.locator("mjx-container").count();
    // A widget's module puts one group in the place of the picture that stands still.
    seen.mounted = await page
      .locator("[data-widget]")
      .evaluateAll((all) => all.filter((el) => el.querySelector(":scope > [role=group]")).map((el) => el.dataset.widget));
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 800 });
      await still(page);
      const name = `${url.replace(/\.html$/, "").replaceAll("/", "-")}-${theme}-${width}.png`;
      if (process.env.COURSE_SHOTS) await page.screenshot({ path: path.join(shots, name), fullPage: true });
      seen.wide[`${theme} ${width}`] = await page.evaluate(() => document.documentElement.scrollWidth);
      seen.faint[`${theme} ${width}`] = await page.evaluate(tooFaint);
    }
  }
  await context.close();
});

{
  // The button goes round auto, light, dark; what was chosen holds on the next page.
  const { context, page } = await open(pages[0], { theme: "light" });
  const look = () =>
    page.evaluate(() => ({
      mode: document.documentElement.dataset.mode,
      theme: document.documentElement.dataset.theme,
      background: getComputedStyle(document.body).backgroundColor,
    }));
  found.modes.start = await look();
  for (let i = 0; i < 3 && (await look()).theme !== "dark"; i++)
    await page.locator(".theme-switch-button:visible").first().click();
  found.modes.chosen = await look();
  await page.goto(base + pages[1]);
  found.modes.next = await look();
  await context.close();
}

{
  const { context, page } = await open("search.html?q=bigram");
  await page.locator("#search-results li").first().waitFor({ timeout: 10_000 });
  await page.locator("#search-results li p.context, #search-results li div.context").first().waitFor({ timeout: 10_000 });
  found.search = await page.locator("#search-results li").evaluateAll((all) =>
    all.map((li) => [li.querySelector("a").getAttribute("href"), li.innerText]),
  );
  await context.close();
}

await browser.close();
report(found);
