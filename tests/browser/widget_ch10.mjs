// Mounts memory_access of chapter 10 on a blank page and handles it as a reader does: buttons, sliders,
// Play, pointer. Reports what was to be seen; tests/test_widget_ch10.py judges it.
// node widget_ch10.mjs PAGE_URL STATE_JSON
import { basics } from "./basics.mjs";
import { launch, opener, report } from "./browser.mjs";

const [url, given] = process.argv.slice(2);
const state = JSON.parse(given);
const browser = await launch();
const errors = [];

const blank = opener(browser, url, errors);

async function open(options) {
  const page = await blank(options);
  await page.evaluate(async (state) => {
    const { render } = await import("./memory_access.mjs");
    window.view = render(document.querySelector("#here"), state);
  }, state);
  return page;
}

const page = await open({ viewport: { width: 1280, height: 900 } });
const here = page.locator("#here");
const said = () => here.locator("[aria-live]").textContent();
const slider = (name) => here.getByRole("slider", { name });
const says = (k) => here.locator("output").nth(k).textContent();
const play = here.locator(".ma-play");
const playing = async () => [await play.textContent(), await here.locator("[aria-live]").getAttribute("aria-live")];
const found = { errors, basics: await basics(page), patterns: [] };

await slider("Thread").fill("5");
for (const { name, steps } of state.patterns) {
  await here.getByRole("button", { name, exact: true }).click();
  const first = await said();
  await slider("Step").fill(String(steps.length - 1));
  found.patterns.push({
    first,
    last: await said(),
    about: await here.locator(".ma-about").textContent(),
    pressed: await here.locator("[aria-pressed=true]").allTextContents(),
    shared: await here.locator(".ma-panel").nth(1).isVisible(),
    drawn: await here.locator(".ma-panel").first().locator(".ma-now path").evaluateAll((all) =>
      all.map((one) => [...one.getAttribute("d").matchAll(/M(\d+) (\d+)/g)].map(([, x, y]) => [+x, +y])),
    ),
    mine: await here.locator(".ma-panel").first().locator(".ma-now path").evaluateAll((all) => all.findIndex((one) => one.classList.contains("ma-mine"))),
  });
}

await here.getByRole("button", { name: "columns" }).click();
await play.click();
found.playing = await playing();
await page.waitForFunction(() => +document.querySelectorAll("#here output")[0].textContent.split(" ")[0] > 2);
await play.click();
found.paused = await playing();
found.moved = +(await says(0)).split(" ")[0];
await here.getByRole("button", { name: "four at once" }).click();
await slider("Step").fill("6");
await play.click();
await page.waitForFunction(() => document.querySelector("#here .ma-play").textContent === "Play");
found.ended = [await play.textContent(), await says(0)];

await here.getByRole("button", { name: "rows" }).click();
await here.locator(".ma-now path").nth(9).hover();
found.hover = await says(1);
await slider("Thread").press("ArrowRight");
found.key = await says(1);
await page.evaluate((state) => window.view.update({ ...state, pattern: state.patterns[4].name, step: 40, thread: 7 }), state);
found.updated = await said();
if (process.env.COURSE_SHOTS) await page.screenshot({ path: `${process.env.COURSE_SHOTS}/widget_ch10.png` });
await page.evaluate(() => window.view.destroy());
found.left_over = await here.locator("*").count();

const phone = await open({ viewport: { width: 360, height: 900 }, colorScheme: "dark" });
await phone.evaluate(() => (document.documentElement.dataset.theme = "dark"));
found.phone = await basics(phone);
found.phone.ink = await phone.locator("#here .ma-now path").nth(3).evaluate((one) => getComputedStyle(one).fill);
await browser.close();
report(found);
