// Mounts the roofline of chapter 09 on a blank page and handles it as a reader does: sliders, pointer,
// keys. Reports what was to be seen; tests/test_widget_ch09.py judges it.
// node widget_ch09.mjs PAGE_URL STATE_JSON
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
    const { render } = await import("./roofline.mjs");
    window.view = render(document.querySelector("#here"), state);
  }, state);
  return page;
}

const page = await open({ viewport: { width: 1280, height: 900 } });
const here = page.locator("#here");
const said = () => here.locator("[aria-live]").textContent();
const slider = (name) => here.getByRole("slider", { name });
const roof = () => here.locator(".rl-roof").getAttribute("d");
const boxes = (page) =>
  page.locator("#here .rl-marks text").evaluateAll((all) =>
    all.map((one) => {
      const { left, right, top, bottom } = one.getBoundingClientRect();
      return { name: one.textContent, left, right, top, bottom };
    }),
  );
const found = { errors };

found.start = { said: await said(), roof: await roof() };
found.marks = await here.locator(".rl-marks circle").evaluateAll((all) => all.map((one) => [+one.getAttribute("cx"), +one.getAttribute("cy")]));
found.labels = await here.locator(".rl-marks g").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
found.names = await boxes(page);
found.basics = await basics(page);

found.steps = [];
for (let w = 0; w < state.widths.length; w++) {
  await slider("Numbers for each position").fill(String(w));
  for (let b = 0; b < state.batches.length; b++) {
    await slider("Names in a batch").fill(String(b));
    found.steps.push({ said: await said(), roof: await roof(), values: await here.locator("output").allTextContents() });
  }
}
await slider("Names in a batch").press("ArrowLeft");
found.key = await here.locator("output").allTextContents();

await here.locator(".rl-marks g").nth(1).hover();
found.hover = await said();
await page.mouse.move(2, 890);
found.left = await said();
await here.locator(".rl-marks g").nth(0).focus();
found.focus = await said();
await page.keyboard.press("Tab");
found.tab = await said();

await page.evaluate((state) => window.view.update({ ...state, width: state.widths[1], batch: state.batches[2] }), state);
await here.locator("input").first().focus();
found.updated = await said();
await page.evaluate(() => window.view.destroy());
found.left_over = await here.locator("*").count();

const phone = await open({ viewport: { width: 360, height: 700 }, colorScheme: "dark" });
await phone.evaluate(() => (document.documentElement.dataset.theme = "dark"));
found.phone = { ...(await basics(phone)), names: await boxes(phone) };
found.phone.ink = await phone.locator("#here .rl-marks circle").first().evaluate((one) => getComputedStyle(one).fill);
await browser.close();
report(found);
