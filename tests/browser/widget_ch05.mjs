// Mounts the next token of chapter 05 on a blank page and handles it as a reader does: typed letters, bars,
// sliders, keys. Reports what was to be seen; tests/test_widget_ch05.py judges it.
// node widget_ch05.mjs PAGE_URL, with given.json beside the page
import { basics } from "./basics.mjs";
import { launch, opener, report } from "./browser.mjs";

const [url] = process.argv.slice(2);
const browser = await launch();
const errors = [];

const open = opener(browser, url, errors);

const mount = (page, state, answer) =>
  page.evaluate(
    async ([state, answer]) => {
      const given = await (await fetch("given.json")).json();
      const { render } = await import("./next_token.mjs");
      window.asked = [];
      window.problem = null; // what "Python" stops with
      const ask = async (message) => {
        window.asked.push(message);
        await new Promise((resolve) => (window.finish = resolve)); // it takes its time
        if (window.problem) throw new Error(window.problem);
        return given[answer];
      };
      window.view = render(document.querySelector("#here"), given[state], answer ? ask : null);
    },
    [state, answer],
  );

let page = await open({ reducedMotion: "reduce", viewport: { width: 1280, height: 900 } });
let here = page.locator("#here");
const found = { errors };
const said = () => here.locator("[aria-live]").textContent();
const problem = () => here.locator("[role=alert]").textContent();
const chance = () => here.locator(".nt-chance").textContent();
const done = () => here.locator(".nt-done").evaluate((one) => (one.hidden ? "" : one.textContent.trim().replace(/\s+/g, " ")));
const press = (name) => here.getByRole("button", { name, exact: true }).click();
const bar = (label) => here.locator(`.nt-bar[aria-label^="${label}"]`);
const labels = () => here.locator(".nt-bar").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));
const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
const field = () => here.getByLabel("Beginning");
const slider = (name) => here.getByLabel(name);
const move = async (name, keys) => {
  await slider(name).focus();
  for (const key of keys) await page.keyboard.press(key);
  return slider(name).getAttribute("aria-valuetext");
};

const begin = await page.evaluate(async () => (await (await fetch("given.json")).json()).begin);

// ------------------------------------------------------------------------- what is drawn from
found.cases = await page.evaluate(async () => {
  const { cases } = await (await fetch("given.json")).json();
  const { drawing, draw } = await import("./next_token.mjs");
  return cases.map(({ logits, temperature, top_k, top_p, u }) => {
    const { probs, drawn } = drawing(logits, temperature, top_k, top_p);
    return { probs, drawn, token: draw(drawn, u) };
  });
});

// ------------------------------------------------------------------------- a page without Python
await mount(page, "state", null);
found.start = { said: await said(), labels: await labels(), chance: await chance(), done: await done() };
found.heights = await here.locator(".nt-bar i").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().height));
found.stops = await here.locator("[role=toolbar] [tabindex='0']").count();
found.basics = await basics(page);
await field().fill(begin.slice(0, 2).toUpperCase());
found.typed = { said: await said(), labels: await labels(), chance: await chance(), value: await field().inputValue() };

await here.locator(".nt-bar[tabindex='0']").focus();
found.keys = {};
for (const key of ["ArrowRight", begin[2], "End", "ArrowRight", "Home", begin[2]]) {
  await page.keyboard.press(key);
  found.keys[`${Object.keys(found.keys).length} ${key}`] = await focused();
}
found.outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
await page.keyboard.press("Enter");
found.taken = { value: await field().inputValue(), said: await said(), chance: await chance() };
await bar(". (the end)").click();
found.finished = { value: await field().inputValue(), said: await said(), done: await done() };

await page.evaluate(() => (Math.random = () => 0.5));
await press("Draw a letter");
found.drawn = await field().inputValue();
await here.getByLabel("Likeliest first").check();
found.sorted = { labels: await labels(), said: await said() };
await here.getByLabel("Likeliest first").uncheck();
found.unsorted = await labels();
await press("Start again");
found.cooler = { value: await move("Temperature", Array(5).fill("ArrowLeft")), labels: await labels() };
found.coldest = { value: await move("Temperature", ["Home"]), said: await said() };
found.hottest = { value: await move("Temperature", ["End"]), said: await said() };

await move("Temperature", ["End", ...Array(5).fill("ArrowLeft")]); // back at 1
found.again_before = await here.getByRole("button", { name: "Same random numbers again" }).count();
await press("Start again");
found.written = {};
const write = async (button, name) => {
  const before = await done();
  await press(button);
  await page.waitForFunction((before) => document.querySelector(".nt-done").textContent.trim().replace(/\s+/g, " ") !== before, before);
  found.written[name] = { done: await done(), said: await said(), live: await here.locator(".nt-said").getAttribute("aria-live") };
};
await write("Write a name", "first at 1");
await move("Temperature", ["Home", ...Array(5).fill("ArrowRight")]);
await write("Same random numbers again", "first at 0.5");
await write("Write a name", "second at 0.5");

found.bad = {};
for (const name of ["zoë", "ana-lu", "abcdefghijklmnop"]) {
  await field().fill(name);
  found.bad[name] = await problem();
}
await field().fill("qxqx");
found.unknown = { problem: await problem(), labels: await labels(), said: await said(), off: await bar("a").getAttribute("aria-disabled") };
await bar("a").click({ force: true });
await field().press("Enter");
found.unknown.value = await field().inputValue();
await press("Start again");
found.fresh = { problem: await problem(), said: await said(), value: await field().inputValue() };
found.note = await here.locator(".nt-note").textContent();

// ------------------------------------------------------------------------- with Python behind it
await mount(page, "state", "answer");
await field().fill("qxqx");
found.busy = await here.locator("[aria-busy=true]").count();
await page.evaluate(() => (window.problem = "ZeroDivisionError: division by zero") && window.finish());
await here.locator("[aria-busy]").waitFor({ state: "detached" });
found.failed = { problem: await problem(), value: await field().inputValue() };
await page.evaluate(() => (window.problem = null));
await field().fill("qxq");
await field().fill("qxqx");
await page.evaluate(() => window.finish());
await page.waitForFunction(() => document.querySelector(".nt-said").textContent);
found.answered = { problem: await problem(), said: await said(), chance: await chance(), asked: await page.evaluate(() => window.asked) };
await press("Start again"); // what was asked first has not answered yet, and is no longer waited for
found.live_note = await here.locator(".nt-note").textContent();
await page.evaluate(() => window.view.destroy());
found.left_over = await here.locator("*").count();

// ------------------------------------------------------------------------- top k, top p, and a short model
await mount(page, "cut", null);
found.cut = { labels: await labels(), greyed: await here.locator(".nt-cut").count(), said: await said() };
const greyed = here.locator(".nt-cut").first();
found.cut.pressed = +(await greyed.getAttribute("data-slot"));
await greyed.click({ force: true }); // it says that it is disabled; a reader presses it all the same
found.cut.value = await field().inputValue();
found.cut.k = await move("Top k", ["End"]);
found.cut.p = await move("Top p", ["End"]);
found.cut.left = await here.locator(".nt-cut").count();
await mount(page, "tiny", null);
for (let k = 0; k < 4; k++) await bar("a").click();
found.tiny = { done: await done(), said: await said() };

// ------------------------------------------------------------------------- letter by letter, and a phone
page = await open({ viewport: { width: 700, height: 740 } });
await mount(page, "state", null);
found.passed = await page.evaluate(
  () =>
    new Promise((resolve) => {
      const seen = new Set();
      const look = () => {
        seen.add(document.querySelector("#here input").value);
        document.querySelector(".nt-done").hidden ? requestAnimationFrame(look) : resolve([...seen]);
      };
      [...document.querySelectorAll("#here button")].find((one) => one.textContent === "Write a name").click();
      look();
    }),
);
page = await open({ reducedMotion: "reduce", viewport: { width: 360, height: 740 } });
here = page.locator("#here");
await page.evaluate(() => (document.documentElement.dataset.theme = "dark"));
await mount(page, "cut", null);
await press("Write a name");
const style = (where, what) => here.locator(where).first().evaluate((one, what) => getComputedStyle(one).getPropertyValue(what), what);
found.phone = {
  ...(await basics(page)),
  bar: (await here.locator(".nt-bar").first().boundingBox()).width,
  right: await here.locator("input, button").evaluateAll((all) => Math.max(...all.map((one) => one.getBoundingClientRect().right))),
  ink: (await style(".next-token", "--ink")).trim(),
  moves: await style(".nt-bar i", "transition-duration"),
};
await browser.close();
report(found);
