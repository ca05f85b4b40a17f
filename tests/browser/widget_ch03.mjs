// Mounts the two widgets of chapter 03 on a blank page and handles them as a reader does: pointer, keys,
// slider, a typed number. Reports what was to be seen; tests/test_widget_ch03.py judges it.
// node widget_ch03.mjs PAGE_URL STATES_JSON
import { launch, opener, report } from "./browser.mjs";

const [url, states] = process.argv.slice(2);
const given = JSON.parse(states);
const browser = await launch();
const errors = [];

const open = opener(browser, url, errors);

const mount = (page, name, state, answer) =>
  page.evaluate(
    async ([name, state, answer]) => {
      const { render } = await import(`./${name}.mjs`);
      window.asked = [];
      window.problem = null; // what "Python" stops with
      const ask = async (message) => {
        window.asked.push(message);
        await new Promise((resolve) => (window.finish = resolve)); // it takes its time
        if (window.problem) throw new Error(window.problem);
        return answer;
      };
      window.view = render(document.querySelector("#here"), state, answer ? ask : null);
    },
    [name, state, answer],
  );

// ------------------------------------------------------------------------- the embedding plane
let page = await open({ reducedMotion: "reduce", viewport: { width: 360, height: 740 } });
let here = page.locator("#here");
const plane = {};
const letter = (label) => here.locator(`.ep-letter[aria-label^="${label}"]`);
const said = () => here.locator("[aria-live]").textContent();
const place = (label) => letter(label).getAttribute("transform");
const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
await mount(page, "embedding_plane", given.plane);
plane.start = await said();
plane.stops = await here.locator("svg [tabindex='0']").count();
plane.places = await here.locator(".ep-letter").evaluateAll((all) =>
  all.map((one) => one.getAttribute("transform").match(/[-\d.]+/g).map(Number)),
);
plane.size = await here.locator(".ep-letter text").first().evaluate((one) => parseFloat(getComputedStyle(one).fontSize));
plane.wide = await page.evaluate(() => document.documentElement.scrollWidth);
await letter("a").hover();
plane.hover = { said: await said(), lines: await here.locator(".ep-lines line").count() };
plane.near = await here.locator(".ep-near").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
await page.mouse.move(0, 0);
plane.left = await said();

await letter("a").focus();
plane.focus = await said();
await page.keyboard.press("ArrowRight");
plane.arrow = { at: await focused(), said: await said() };
await page.keyboard.press("c");
plane.typed = await focused();
await page.keyboard.press("Home");
await page.keyboard.press("ArrowLeft");
plane.around = await focused();
plane.selected = await here.locator("[aria-selected=true]").getAttribute("aria-label");
await page.keyboard.press("Escape");
plane.escaped = await said();

await letter("a").click();
plane.before = await place("e");
await here.locator("input[type=range]").focus();
await page.keyboard.press("Home");
plane.first = { said: await said(), moved: await place("e"), step: await here.locator("output").textContent() };
plane.valuetext = await here.locator("input[type=range]").getAttribute("aria-valuetext");
await here.getByRole("button", { name: "Play" }).click();
plane.playing = await here.locator("button").textContent();
await here.getByRole("button", { name: "Play" }).waitFor({ timeout: 20_000 }); // it has come to its end
plane.played = { step: await here.locator("output").textContent(), place: await place("e"), said: await said() };
await page.setViewportSize({ width: 900, height: 740 });
await page.waitForFunction(() => +document.querySelector(".ep-plane").getAttribute("viewBox").split(" ")[2] > 600);
plane.wider = await place("e");
await page.evaluate(() => window.view.destroy());
plane.left_over = await here.locator("*").count();

// With movement the letters pass through places between the two frames.
page = await open({ viewport: { width: 700, height: 740 } });
await mount(page, "embedding_plane", given.plane);
plane.passed = await page.evaluate(
  () =>
    new Promise((resolve) => {
      const e = document.querySelectorAll(".ep-letter")[1];
      const seen = new Set();
      const look = (times) => {
        seen.add(e.getAttribute("transform"));
        times ? requestAnimationFrame(() => look(times - 1)) : resolve(seen.size);
      };
      const slider = document.querySelector("input[type=range]");
      slider.value = 0;
      slider.dispatchEvent(new Event("input"));
      look(100);
    }),
);

// ------------------------------------------------------------------------- the learning rates
page = await open({ viewport: { width: 360, height: 740 } });
here = page.locator("#here");
const rates = {};
const slider = () => here.locator("input[type=range]");
await mount(page, "learning_rates", given.rates, given.answer);
const strong = () => here.locator(".lr-curve.lr-chosen").count();
rates.start = { said: await said(), strong: await strong(), wide: await page.evaluate(() => document.documentElement.scrollWidth) };
rates.counts = { curves: await here.locator("svg").first().locator("polyline").count(), marks: await here.locator(".lr-mark").count() };
await slider().focus();
await page.keyboard.press("ArrowRight");
rates.right = { said: await said(), value: await slider().getAttribute("aria-valuetext"), strong: await strong() };
await page.keyboard.press("Home");
rates.home = await said();
await page.keyboard.press("End");
rates.end = await said();
await slider().evaluate((one, log) => {
  one.value = log; // as a pointer lets it go between two rates
  one.dispatchEvent(new Event("input"));
}, Math.log10(0.09));
rates.dragged = { said: await said(), value: +(await slider().inputValue()) };
const marks = await here.locator(".lr-mark").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().left + one.getBoundingClientRect().width / 2));
rates.marks = marks;
const box = await here.locator("svg").nth(1).boundingBox();
await page.mouse.click(marks[0] + 4, box.y + box.height / 2);
rates.clicked = await said();
const track = await slider().boundingBox();
rates.track = [track.x, track.x + track.width];

const field = here.getByLabel("A rate of your own");
const run = here.getByRole("button", { name: "Run" });
const problem = () => here.locator("[role=alert]").textContent();
await field.fill("fast");
await run.click();
rates.nonsense = { problem: await problem(), asked: await page.evaluate(() => window.asked.length) };
await field.fill("0,7");
await page.keyboard.press("Enter");
rates.busy = { said: await said(), busy: await here.locator("[aria-busy=true]").count(), off: await run.getAttribute("aria-disabled") };
await page.keyboard.press("Enter"); // Python is at work: no second question
await page.evaluate(() => (window.problem = "ZeroDivisionError: division by zero") && window.finish());
await here.locator("[aria-busy]").waitFor({ state: "detached" });
rates.failed = { problem: await problem(), said: await said(), marks: await here.locator(".lr-mark").count() };
await page.evaluate(() => (window.problem = null));
await run.click();
await page.evaluate(() => window.finish());
await here.locator("[aria-busy]").waitFor({ state: "detached" });
rates.done = { said: await said(), problem: await problem(), marks: await here.locator(".lr-mark").count() };
rates.asked = await page.evaluate(() => window.asked);
await page.evaluate((state) => window.view.update(state), given.rates);
rates.updated = { said: await said(), marks: await here.locator(".lr-mark").count() };
await page.evaluate(() => window.view.destroy());
rates.left_over = await here.locator("*").count();
await mount(page, "learning_rates", given.rates, null);
rates.alone = { fields: await here.locator("form, button, input[type=text]").count(), note: await here.locator(".lr-note").textContent() };

await browser.close();
report({ errors, plane, rates });
