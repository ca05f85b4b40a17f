// Mounts the attention map of chapter 04 on a blank page and handles it as a reader does: pointer, keys,
// typed names. Reports what was to be seen; tests/test_widget_ch04.py judges it.
// node widget_ch04.mjs PAGE_URL STATES_JSON
import { basics } from "./basics.mjs";
import { launch, opener, report } from "./browser.mjs";

const [url, states] = process.argv.slice(2);
const given = JSON.parse(states);
const browser = await launch();
const errors = [];

const open = opener(browser, url, errors);

const mount = (page, state, answer) =>
  page.evaluate(
    async ([state, answer]) => {
      const { render } = await import("./attention_map.mjs");
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
    [state, answer],
  );

const page = await open({ viewport: { width: 1280, height: 900 } });
const here = page.locator("#here");
const row = (head, t) => here.locator(`.am-row[data-head="${head}"][data-t="${t}"]`);
const texts = (where) => here.locator(where).allTextContents();
const said = () => here.locator("[aria-live]").textContent();
const pressed = () => texts("[aria-label^=Names] [aria-pressed=true]");
const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
const look = async () => ({ said: await said(), looks: await texts(".am-looks"), marked: await here.locator(".am-shown").count() });
const found = { errors };

await mount(page, given.names, given.answer);
found.start = { ...(await look()), pressed: await pressed(), titles: await texts(".am-title") };
found.cells = await here.locator(".am-row[data-head='1']").evaluateAll((all) => all.map((line) => line.querySelectorAll("i").length));
found.shades = await row(1, 3).locator("i").evaluateAll((all) => all.map((cell) => +cell.style.getPropertyValue("--w")));
found.colour = await row(1, 3).locator("i").first().evaluate((cell) => getComputedStyle(cell).backgroundColor);
found.side = await here.locator(".am-head").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().top));
found.basics = await basics(page);

await row(1, 2).hover();
found.hover = { ...(await look()), bars: await here.locator(".am-head").nth(1).locator(".am-bars span").evaluateAll((all) => all.map((bar) => +bar.style.getPropertyValue("--h"))) };
await page.mouse.move(0, 890);
found.left = await look();
await row(2, 1).click();
found.clicked = await here.locator("[aria-selected=true]").evaluateAll((all) => all.map((one) => [one.dataset.head, one.dataset.t]));
await page.mouse.move(0, 890);
found.stays = await said();

found.stops = await here.locator("[role=listbox] [tabindex='0']").count();
await here.locator("[role=listbox] [tabindex='0']").focus();
found.keys = {};
for (const key of ["ArrowDown", "ArrowRight", "End", "ArrowDown", "ArrowLeft", "Home"]) {
  await page.keyboard.press(key);
  found.keys[`${Object.keys(found.keys).length} ${key}`] = await focused();
}
found.outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);

const field = here.getByLabel("A name", { exact: true });
const go = here.getByRole("button", { name: "Look" });
const problem = () => here.locator("[role=alert]").textContent();
found.bad = {};
for (const name of given.bad) {
  await field.fill(name);
  await page.keyboard.press("Enter");
  found.bad[name] = await problem();
}
found.unasked = await page.evaluate(() => window.asked.length);
await field.fill(" AVA ");
await go.click();
found.there = { pressed: await pressed(), problem: await problem(), asked: await page.evaluate(() => window.asked.length) };
await here.getByRole("button", { name: "emma" }).click();
found.chosen = { pressed: await pressed(), focus: await page.evaluate(() => document.activeElement.textContent) };

await field.fill("Mia");
await page.keyboard.press("Enter");
found.busy = { busy: await here.locator("[aria-busy=true]").count(), off: await go.getAttribute("aria-disabled") };
await page.keyboard.press("Enter"); // Python is at work: no second question
await page.evaluate(() => (window.problem = "ZeroDivisionError: division by zero") && window.finish());
await here.locator("[aria-busy]").waitFor({ state: "detached" });
found.failed = { problem: await problem(), pressed: await pressed() };
await page.evaluate(() => (window.problem = null));
await go.click();
await page.evaluate(() => window.finish());
await here.locator("[aria-busy]").waitFor({ state: "detached" });
found.done = { pressed: await pressed(), problem: await problem(), said: await said() };
found.asked = await page.evaluate(() => window.asked);
await page.evaluate((state) => window.view.update(state), given.names);
found.updated = await pressed();

await mount(page, given.layers, null);
found.layers = { choice: await texts("[aria-label=Layer] button"), first: await texts(".am-title"), looks: await texts(".am-looks") };
await here.getByRole("button", { name: "Layer 2" }).click();
found.layers.second = await texts(".am-title");
found.layers.other = await texts(".am-looks");
await page.evaluate((state) => window.view.update(state), given.layers); // the layer stays
await here.getByRole("button", { name: given.layers.maps[1].name }).click();
found.layers.kept = await texts("[aria-label=Layer] [aria-pressed=true]");
await field.fill("mia");
await page.keyboard.press("Enter");
found.alone = { problem: await problem(), note: await texts(".am-note"), first: await pressed() };
await page.evaluate(() => window.view.destroy());
found.left_over = await here.locator("*").count();

// A phone, in the dark, for a reader who wants no movement.
const phone = await open({ reducedMotion: "reduce", colorScheme: "dark", viewport: { width: 360, height: 740 } });
await phone.evaluate(() => (document.documentElement.dataset.theme = "dark"));
await mount(phone, given.layers, null);
await phone.getByRole("button", { name: given.layers.maps[1].name }).click();
const style = (where, what) => phone.locator(where).first().evaluate((one, what) => getComputedStyle(one).getPropertyValue(what), what);
found.phone = {
  ...(await basics(phone)),
  lefts: await phone.locator(".am-head").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().left)),
  row: await phone.locator(".am-row").first().evaluate((one) => one.getBoundingClientRect().height),
  ink: (await style(".attention-map", "--ink")).trim(),
  moves: await style(".am-bars i", "transition-duration"),
  letters: parseFloat(await style(".am-row b", "font-size")),
};
await browser.close();
report(found);
