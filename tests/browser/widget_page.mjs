// Mounts the bigram table on a blank page with an `ask` of its own, and handles it as a reader does:
// pointer, finger, keys. Reports what was to be seen; tests/test_widget.py judges it.
// node widget_page.mjs PAGE_URL STATE_JSON
import { launch, report } from "./browser.mjs";

const [url, state] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext({ hasTouch: true, reducedMotion: "reduce" });
const page = await context.newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(error.message));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
await page.goto(url);

await page.evaluate(async (given) => {
  const { render } = await import("./bigram_table.mjs");
  window.asked = [];
  window.next = { row: 1, name: "b", names: [] }; // what "Python" will answer
  const ask = async (message) => {
    window.asked.push(message);
    if (window.next instanceof Error) throw window.next;
    return { ...JSON.parse(given), ...window.next };
  };
  window.view = render(document.querySelector("#with"), JSON.parse(given), ask);
  render(document.querySelector("#without"), JSON.parse(given), null);
}, state);

const here = page.locator("#with");
const name = () => here.locator(".bt-now").textContent();
const caption = () => here.locator(".bt-caption").textContent();
const heights = () => here.locator(".bt-bar i").evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().height));
const current = () => here.locator("[aria-current=true]").getAttribute("data-row");
const cell = (row, col) => here.locator(`.bt-cell[data-row="${row}"][data-col="${col}"]`);
const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
const found = { errors };

found.start = { name: await name(), caption: await caption(), current: await current(), heights: await heights() };
found.label = await cell(0, 1).getAttribute("aria-label");
found.cells = await here.locator("[role=gridcell]").count();
found.stops = await here.locator("[role=grid] [tabindex='0']").count();

await here.locator(".bt-label").nth(0).hover();
found.hover = { caption: await caption(), current: await current(), heights: await heights() };
await cell(0, 1).hover();
found.one = await caption();
await page.mouse.move(0, 0);
found.left = await caption();
await here.locator(".bt-label").nth(1).tap();
found.tapped = await caption();

await here.getByRole("button", { name: "Continue" }).click();
found.continued = { name: await name(), current: await current(), asked: await page.evaluate(() => window.asked) };
await page.evaluate(() => (window.next = new Error("ZeroDivisionError: division by zero")));
await here.getByRole("button", { name: "Continue" }).click();
found.problem = { text: await here.locator(".bt-problem").textContent(), name: await name() };

await cell(2, 0).click(); // not the marked row: shown, not taken
found.other = { name: await name(), caption: await caption() };
await cell(1, 0).click();
found.byHand = { name: await name(), current: await current(), problem: await here.locator(".bt-problem").textContent() };

await cell(0, 0).focus();
await page.keyboard.press("ArrowRight");
await page.keyboard.press("ArrowRight");
found.keys = { focus: await focused(), caption: await caption() };
await page.keyboard.press("Enter"); // the end token: the name is finished
found.finished = { name: await name(), done: await here.locator(".bt-done").textContent(), focus: await focused() };
found.live = await here.locator("[aria-live]").textContent();
await page.keyboard.press("ArrowUp");
found.up = await focused();
found.outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);

await page.evaluate(() => window.view.update({ row: 0, name: "aba", names: ["b"] }));
found.updated = { name: await name(), current: await current() };
await here.getByRole("button", { name: "Start again" }).click();
found.again = { name: await name(), current: await current() };
await page.evaluate(() => window.view.destroy());
found.left_over = await here.locator("*").count();

const alone = page.locator("#without");
found.alone = {
  continues: await alone.getByRole("button", { name: "Continue" }).count(),
  note: await alone.locator(".bt-note").textContent(),
};
await alone.locator('.bt-cell[data-row="2"][data-col="1"]').click();
found.alone.name = await alone.locator(".bt-now").textContent();

await browser.close();
report(found);
