// Trains the GPT of the front page as readers do: with and without mouse, motion, network and JavaScript.
// Reports what was to be seen; tests/test_front_page.py judges it.
// node front_page.mjs BASE_URL SHOTS_FOLDER
import fs from "node:fs";
import path from "node:path";
import { launch, packages, report } from "./browser.mjs";

const [base, shots] = process.argv.slice(2);
fs.mkdirSync(shots, { recursive: true });
const axe = fs.readFileSync(path.join(packages, "axe-core", "axe.min.js"), "utf8");
const browser = await launch();
const found = { errors: [], outside: [], wide: {}, axe: {} };

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const loaded = [];
  const workers = [];
  page.on("worker", (worker) => workers.push(worker.url()));
  page.on("request", (request) => {
    if (/^(data|blob):/.test(request.url())) return;
    if (request.url().startsWith(base)) loaded.push(request.url().slice(base.length));
    else found.outside.push(request.url());
  });
  page.on("pageerror", (error) => found.errors.push(error.message));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) found.errors.push(message.text());
  });
  // What workers tell the page, so that losses can be read to the last digit.
  await page.addInitScript(() => {
    window.told = [];
    window.Worker = class extends Worker {
      constructor(...all) {
        super(...all);
        this.addEventListener("message", ({ data }) => window.told.push({ ...data, at: performance.now() }));
      }
    };
  });
  await page.goto(`${base}index.html`, { waitUntil: "networkidle" });
  const part = (name) => page.locator(`[data-gpt] ${name}`);
  const text = (name) => part(name).textContent();
  return {
    page, context, loaded, workers, part, text,
    toggle: part(".gp-first"),
    button: (name) => part("").getByRole("button", { name, exact: true }),
    status: () => text(".gp-status"),
    step: async () => Number((await text(".gp-status")).match(/Step ([\d,]+)/)?.[1].replace(",", "") ?? 0),
    until: (words) => page.waitForFunction((words) => document.querySelector(".gp-status").textContent.includes(words), words, { timeout: 120_000 }),
    beyond: (step) => page.waitForFunction((step) => Number(document.querySelector(".gp-status").textContent.match(/Step ([\d,]+)/)?.[1].replace(",", "")) > step, step),
    rows: () => part(".gp-names li").evaluateAll((all) => all.map((li) => [...li.children].map((one) => one.textContent))),
    told: (type) => page.evaluate((type) => window.told.filter((one) => one.type === type), type),
    /** All losses since the last beginning. */
    losses: () => page.evaluate(() => window.told.slice(window.told.findLastIndex(({ type }) => type === "begun")).flatMap(({ losses }) => losses ?? [])),
    shoot: async (name) => {
      await page.mouse.move(0, 0);
      await part("").screenshot({ path: path.join(shots, `${name}.png`) });
    },
  };
}

/** Every map on the screen: its letters, and each row's weights as they are drawn. */
function maps() {
  return [...document.querySelectorAll("[data-gpt] .am-head")].map((head) => ({
    letters: [...head.querySelectorAll(".am-row > b")].map((b) => b.textContent),
    rows: [...head.querySelectorAll(".am-row")].map((row) => [...row.querySelectorAll("i")].map((cell) => Number(cell.style.getPropertyValue("--w")) ** 2)),
  }));
}

{
  // The 1,000 steps of the trace, stopped once, begun again once, by the mouse.
  const see = await open();
  const { page, toggle, button } = see;
  found.before = { loaded: [...see.loaded], workers: [...see.workers], status: await see.status(), buttons: await see.part("button:visible").allTextContents() };
  const pressed = await page.evaluate(() => performance.now());
  await toggle.click();
  await see.part(".gp-names li").first().waitFor();
  await see.beyond(60);
  await button("Stop").click();
  await page.waitForTimeout(300);
  const stopped = await see.step();
  await page.waitForTimeout(700);
  found.stopped = { step: stopped, later: await see.step(), status: await see.status(), steps: (await see.losses()).length };
  await button("Go on").click();
  await see.beyond(stopped + 20);
  found.first = { losses: await see.losses() };
  found.firstName = (await see.told("names"))[0].at - pressed;
  found.begun = (await see.told("begun"))[0];
  found.after = { loaded: see.loaded.filter((one) => !found.before.loaded.includes(one)), workers: [...see.workers] };

  await page.evaluate(() => {
    window.said = [];
    new MutationObserver(() => window.said.push(document.querySelector(".gp-said").textContent)).observe(document.querySelector(".gp-said"), { childList: true });
  });
  await button("Start again").click();
  await see.beyond(200);
  found.running = { maps: await page.evaluate(maps), live: await see.part(".attention-map [aria-live]").getAttribute("aria-live"), step: await see.step() };
  await see.part("details summary").click();
  await see.until("done");
  found.losses = await see.losses();
  found.printed = (await see.text(".gp-lines")).split("\n").filter(Boolean);
  found.said = await page.evaluate(() => window.said);
  found.done = { status: await see.status(), rows: await see.rows(), buttons: await see.part("button:visible").allTextContents() };
  await see.part("details summary").click();

  // Temperature: the slider invents at once, the button goes on.
  found.temperatures = {};
  for (const temperature of ["0.1", "1.5"]) {
    const before = (await see.told("names")).length;
    await see.part("input[type=range]").fill(temperature);
    for (let k = 0; k < 4; k++) await button("More names").click();
    await page.waitForFunction((n) => window.told.filter(({ type }) => type === "names").length >= n, before + 5);
    const told = (await see.told("names")).slice(before);
    found.temperatures[temperature] = { names: told.flatMap(({ names }) => names), row: (await see.rows())[0] };
  }

  // The map of a name, and of what is none.
  const name = see.part("").getByLabel("A name");
  const look = async (typed) => {
    await name.fill(typed);
    await button("Look").click();
  };
  await look("Isabella");
  await page.waitForFunction(() => document.querySelectorAll(".am-head:first-child .am-row").length === 9);
  found.map = { maps: await page.evaluate(maps), live: await see.part(".attention-map [aria-live]").getAttribute("aria-live") };
  found.wrong = {};
  for (const typed of ["zoé", "a1 b", "abcdefghijklmnop", ""]) {
    await look(typed);
    found.wrong[typed] = await see.text(".am-problem");
  }
  await see.context.close();
}

{
  // Every name, at full speed, by the keyboard alone.
  const see = await open();
  const { page } = see;
  const focused = () => page.evaluate(() => {
    const at = document.activeElement;
    const { outlineStyle, outlineWidth } = getComputedStyle(at);
    const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
    return [at.closest("[data-gpt]") ? at.textContent.trim() || at.type : "", seen];
  });
  const tab = async (words) => {
    const reached = [];
    for (let k = 0; k < 12; k++) {
      await page.keyboard.press("Tab");
      reached.push(await focused());
      if (reached.at(-1)[0] === words) break;
    }
    return reached;
  };
  await see.toggle.focus();
  found.keys = { start: await tab("radio") };
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await see.beyond(1500);
  found.full = { status: await see.status() };
  found.keys.running = await tab("range");
  await page.keyboard.press("ArrowRight");
  found.keys.degree = await see.text("output");
  found.keys.rest = await tab("The losses, as microgpt.py prints them");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  found.keys.lines = await page.evaluate(() => document.activeElement.className);
  await see.until("done");
  found.full.done = await see.status();
  found.full.rates = (await see.told("steps")).map(({ rate }) => rate).filter(Boolean);
  await see.context.close();
}

{
  // The list of names cannot be loaded, and then it can.
  const see = await open();
  await see.page.route("**/names.txt", (route) => route.fulfill({ status: 404, body: "" }));
  await see.toggle.click();
  await see.part(".gp-problem:not(:empty)").waitFor();
  found.lost = { problem: await see.text(".gp-problem"), button: await see.toggle.textContent() };
  await see.page.unroute("**/names.txt");
  await see.page.route("**/gpt.mjs", (route) => route.fulfill({ status: 404, body: "" }));
  await see.toggle.click();
  await see.part(".gp-problem:not(:empty)").waitFor();
  found.lost.module = await see.text(".gp-problem");
  await see.page.unroute("**/gpt.mjs");
  found.errors = found.errors.filter((error) => !error.includes("404")); // the two that we made
  await see.toggle.click();
  await see.beyond(10);
  found.lost.then = await see.text(".gp-problem");
  await see.context.close();
}

{
  // On paper before Start: the picture. Reduced motion: the curve moves once a second.
  const see = await open({ reducedMotion: "reduce" });
  await see.page.emulateMedia({ media: "print" });
  found.paper = { picture: await see.part("img").isVisible(), live: await see.part(".gp-live").isVisible() };
  await see.page.emulateMedia({ media: "screen", reducedMotion: "reduce" });
  found.screen = { picture: await see.part("img").isVisible(), live: await see.part(".gp-live").isVisible() };
  await see.toggle.click();
  await see.beyond(0);
  found.drawings = await see.page.evaluate(() => new Promise((done) => {
    let count = 0;
    new MutationObserver((all) => (count += all.length)).observe(document.querySelector(".gp-line"), { attributes: true });
    setTimeout(() => done(count), 3500);
  }));
  await see.context.close();
}

{
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${base}index.html`);
  const picture = page.locator("[data-gpt] img");
  found.plain = { text: (await page.locator("[data-gpt]").innerText()).trim(), buttons: await page.locator("[data-gpt] button").count(), high: (await picture.boundingBox()).height };
  await context.close();
}

for (const colorScheme of ["light", "dark"])
  for (const width of [1280, 360]) {
    const see = await open({ colorScheme, viewport: { width, height: 900 }, hasTouch: width === 360 });
    const name = (when) => `front-${when}-${colorScheme}-${width}`;
    const measure = async (when) => {
      found.wide[name(when)] = await see.page.evaluate(() => document.documentElement.scrollWidth);
      await see.shoot(name(when));
    };
    await measure("off");
    await see.toggle.click();
    await see.beyond(120);
    await measure("running");
    await see.part("").getByLabel("A name").fill("christopherjohn");
    await see.button("Look").click();
    await see.button("Stop").click();
    await see.part("details summary").click();
    await see.page.waitForFunction(() => document.querySelectorAll(".am-head:first-child .am-row").length === 16);
    await measure("stopped");
    await see.page.evaluate(axe);
    found.axe[`${colorScheme} ${width}`] = await see.page.evaluate(async () => {
      const { passes, violations } = await window.axe.run("[data-gpt]", { resultTypes: ["violations"] });
      return { passes: passes.length, violations: violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0].html.slice(0, 160)}`) };
    });
    await see.context.close();
  }

await browser.close();
report(found);
