// What the browser tests share: Chromium as installed on the system, driven by playwright-core.
// The packages are those of book/package.json; COURSE_NODE_MODULES and COURSE_CHROMIUM say where.
import { createRequire } from "node:module";
import path from "node:path";

export const packages = path.resolve(process.env.COURSE_NODE_MODULES ?? "book/node_modules");
const { chromium } = createRequire(path.join(packages, "-"))("playwright-core");

export function launch() {
  return chromium.launch({
    executablePath: process.env.COURSE_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A function that opens the address in a browser of its own; what a page complains of goes to the list `errors`. */
export function opener(browser, url, errors) {
  return async (options) => {
    const page = await (await browser.newContext(options)).newPage();
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(url);
    return page;
  };
}

/** Waits until a page of the site is all there: formulas, fonts, widgets, and the buttons where cells run. */
export async function settled(page) {
  await page.evaluate(async () => {
    await window.MathJax?.startup?.promise;
    await document.fonts.ready;
  });
  if (await page.locator('meta[name="course-page"]').count()) await page.locator(".live-panel").waitFor();
  await page.waitForLoadState("networkidle");
}

/**
 * Waits until a page that just changed its size or its colours stands still, however busy the machine is: two
 * frames until it is told, then longer than the theme's own timers take, and two frames until it is drawn.
 */
export function still(page) {
  return page.evaluate(async () => {
    const frames = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    await frames();
    await new Promise((done) => setTimeout(done, 400));
    await frames();
  });
}

/**
 * Opens a notebook in a running JupyterLab and runs all its cells: the page, the errors of its scripts
 * (a list that grows), and `darken()`, which changes Lab to its dark theme.
 */
export async function openLab(browser, url, height) {
  const page = await browser.newPage({ viewport: { width: 1100, height } });
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(url);
  // The server was started with --LabApp.expose_app_in_browser, which gives us Lab's own commands.
  const command = (name, args = {}) =>
    page.evaluate(([name, args]) => void window.jupyterapp.commands.execute(name, args), [name, args]);
  // Before its kernel is there, a notebook asks which one to take.
  const idle = () => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === "idle";
  await page.waitForFunction(idle, null, { timeout: 60_000 });
  await command("notebook:run-all-cells");
  const darken = async () => {
    await command("apputils:change-theme", { theme: "JupyterLab Dark" });
    await page.waitForFunction(() => document.body.dataset.jpThemeLight === "false");
    await page.locator("#jupyterlab-splash").waitFor({ state: "detached" }); // it covers Lab while a theme loads
  };
  return { page, errors, darken };
}

/** Calls act(item) for each item, three at a time: a page waits more than it works. */
export async function each(items, act) {
  const waiting = [...items];
  const one = async () => {
    while (waiting.length) await act(waiting.shift());
  };
  await Promise.all([one(), one(), one()]);
}

/** Writes what was found as JSON, the last line of the output, and ends with exit status 0. */
export function report(found) {
  process.stdout.write(`\n${JSON.stringify(found)}\n`);
}
