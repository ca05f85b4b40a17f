// Walks pages with the keyboard alone, tries what their security policy forbids, and looks at them on
// paper; tests/test_site.py judges it. node reading.mjs BASE_URL WALKED PRINTED ATTACKED
// WALKED, PRINTED: pages with commas between them, the front page first; ATTACKED: a lesson
import { launch, report, settled } from "./browser.mjs";

const [base, ...given] = process.argv.slice(2);
const [walked, printed, [attacked]] = given.map((pages) => pages.split(","));
const browser = await launch();
const found = { keys: {}, skip: {}, menu: null, paper: {}, policy: null };

async function open(url, options = {}) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  await page.goto(base + url);
  await settled(page);
  return { page, context };
}

/** Number every control that is shown and takes the keyboard; their beginnings. Of radio buttons that
 * belong together, the keyboard stops at one. */
function number() {
  const controls = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter(
    (one) => one.tabIndex >= 0 && !one.disabled && !one.matches("[type=radio]:not(:checked)") && one.checkVisibility({ visibilityProperty: true }),
  );
  // What a ring may be made of, on the control or on what stands in it.
  window.look = (one) =>
    [one, ...[...one.querySelectorAll("*")].slice(0, 3)].map((part) => {
      const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(part);
      return [outlineStyle === "none" ? 0 : outlineWidth, boxShadow, borderColor].join();
    }).join("; ");
  controls.forEach((one, i) => ((one.dataset.number = i), (one.before = window.look(one))));
  return controls.map((one) => one.outerHTML.replace(/\s+/g, " ").slice(0, 140));
}

/** The focused control: its number, whether it looks focused, and whether it is on the screen. */
function focused() {
  const one = document.activeElement;
  if (one === document.body) return null;
  const { left, right, top, bottom } = one.getBoundingClientRect();
  return {
    number: one.dataset.number,
    seen: window.look(one) !== one.before,
    there: right > 0 && bottom > 0 && left < innerWidth && top < innerHeight,
    name: one.outerHTML.replace(/\s+/g, " ").slice(0, 140),
  };
}

async function walk(page) {
  const controls = await page.evaluate(number);
  const reached = new Map();
  const look = async () => {
    const one = await page.evaluate(focused);
    if (!one || reached.has(one.number)) return null;
    if (one.number !== undefined) reached.set(one.number, one); // else a box that scrolls: the browser's own stop
    return one;
  };
  for (let i = 0; i < 2 * controls.length + 20; i++) {
    await page.keyboard.press("Tab");
    if (i === 0) await page.waitForTimeout(300); // the skip link slides in
    if (!(await look())) break;
    if (await page.evaluate(() => document.activeElement.matches("textarea, .cm-content"))) {
      await page.keyboard.press("Escape"); // in a field for code Tab indents, and Escape leaves it
      await look();
    }
  }
  // A field that was reached may have given its place to the editor.
  const there = await page.evaluate(() => [...document.querySelectorAll("[data-number]")].map((one) => one.dataset.number));
  // Every context here asks for reduced motion.
  const moving = await page.evaluate(() => {
    const long = (text) => text.split(",").some((one) => parseFloat(one) > 0.001); // seconds
    const moves = (style) => long(style.transitionDuration) || (style.animationName !== "none" && long(style.animationDuration));
    return [...document.body.querySelectorAll("*")].filter((one) => moves(getComputedStyle(one))).map((one) => one.outerHTML.slice(0, 100));
  });
  const which = (bad) => [...reached.values()].filter(bad).map((one) => one.name);
  return {
    moving,
    controls: controls.length,
    missed: controls.filter((_, i) => !reached.has(String(i)) && there.includes(String(i))),
    unseen: which((one) => !one.seen),
    away: which((one) => !one.there),
  };
}

for (const url of walked) {
  for (const width of [1280, 360]) {
    const { page, context } = await open(url, { viewport: { width, height: 800 } });
    found.keys[`${url} ${width}`] = await walk(page);
    await context.close();
  }
}

{
  // The first stop skips the menus; on a phone the menu opens, holds the keyboard and closes.
  const { page, context } = await open(walked[0], { viewport: { width: 360, height: 800 } });
  await page.keyboard.press("Tab");
  found.skip.name = await page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  found.skip.next = await page.evaluate(() => !!document.activeElement.closest("main"));
  await page.getByRole("button", { name: "Toggle primary sidebar" }).press("Enter");
  const menu = page.locator("#pst-primary-sidebar-modal");
  found.menu = { open: await menu.evaluate((one) => one.open) };
  await page.keyboard.press("Tab");
  found.menu.inside = await menu.evaluate((one) => one.contains(document.activeElement));
  await page.keyboard.press("Escape");
  found.menu.closed = await menu.evaluate((one) => !one.open);
  await context.close();
}

for (const url of printed) {
  // A dark page on paper: light, wide lines broken, long code unfolded, no menus; then dark again.
  const { page, context } = await open(url, { colorScheme: "dark", viewport: { width: 700, height: 1000 } });
  const folded = () => page.locator("details.hide:not([open])").count();
  const paper = (found.paper[url] = { folded: await folded() });
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  Object.assign(paper, {
    theme: await page.evaluate(() => document.documentElement.dataset.theme),
    unfolded: paper.folded - (await folded()),
    menus: await page.locator(".bd-sidebar, .bd-header-article, .prev-next-footer, .copybtn").filter({ visible: true }).count(),
    cut: await page.evaluate(() => [...document.querySelectorAll(".bd-article pre, .bd-article table")]
      .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && one.tagName === "PRE")
      .map((one) => one.textContent.slice(0, 60))),
  });
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  const button = page.locator(".btn-download-pdf-button");
  await page.evaluate(() => (window.print = () => (window.printed = true)));
  if ((paper.button = await button.count())) await button.evaluate((one) => one.click());
  paper.printed = await page.evaluate(() => window.printed ?? false);
  paper.after = { theme: await page.evaluate(() => document.documentElement.dataset.theme), folded: await folded() };
  await context.close();
}

{
  // What a notebook's output, a learner's text or a stranger could try.
  const { page, context } = await open(attacked);
  const out = new Set(); // requests that were made, and not stopped by the policy
  page.on("request", (request) => out.add(request.url()));
  page.on("requestfailed", (request) => request.failure().errorText === "csp" && out.delete(request.url()));
  await page.evaluate(() => {
    window.refused = [];
    document.addEventListener("securitypolicyviolation", (event) => window.refused.push(event.effectiveDirective));
    const box = document.body.appendChild(document.createElement("div"));
    box.innerHTML = `<img src="https://example.org/a.png"><img src="data:," onerror="window.stolen = 1">
      <iframe src="https://example.org/"></iframe><link rel="stylesheet" href="https://example.org/a.css">
      <form action="https://example.org/"><input name="a"></form><object data="https://example.org/"></object>`;
    const script = box.appendChild(document.createElement("script"));
    script.textContent = "window.stolen = 2";
    box.appendChild(document.createElement("script")).src = "https://example.org/a.js";
    box.querySelector("form").submit();
    const tries = {
      fetch: () => fetch("https://example.org/"),
      eval: async () => new Function("window.stolen = 3")(),
      socket: () => new Promise((done, fail) => Object.assign(new WebSocket("wss://example.org/"), { onopen: done, onerror: fail })),
      module: () => import("https://example.org/a.mjs"),
      data: () => import("data:text/javascript,window.stolen = 4"),
    };
    window.worked = [];
    // Later, not in this call: what the debugger itself evaluates is under no policy.
    setTimeout(async () => {
      const all = Object.entries(tries).map(([name, go]) => go().then(() => window.worked.push(name), () => {}));
      await Promise.all(all);
      window.done = true;
    });
  });
  await page.waitForFunction(() => window.done);
  found.policy = await page.evaluate(() => ({
    refused: [...new Set(window.refused)].sort(),
    worked: window.worked,
    stolen: window.stolen ?? null,
    at: location.pathname,
  }));
  found.policy.out = [...out];
  await context.close();
}
await browser.close();
report(found);
