// A newcomer's path through each chapter: a lesson is run, changed, broken, stopped; an exercise solved after a
// wrong try; the page reloaded, exported and imported. tests/test_live_pages.py judges it. In one chapter, that
// which is `whole`, screenshots are taken, the lesson is reloaded, and the export goes to another browser.
// node live_page.mjs BASE_URL SHOTS_FOLDER GIVEN_JSON_FILE
import fs from "node:fs";
import path from "node:path";
import { launch, report } from "./browser.mjs";
import * as reader from "./live_reader.mjs";

const [base, shots, file] = process.argv.slice(2);
const chapters = JSON.parse(fs.readFileSync(file, "utf8"));
fs.mkdirSync(shots, { recursive: true });
const browser = await launch();
const fresh = () => browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", acceptDownloads: true });

/** Screenshots of a cell as it stands, at two widths; also how wide the page is then. */
async function shoot(page, { whole, lesson }, found, what, id, themes = ["light"]) {
  for (const theme of whole ? themes : []) {
    if (theme === "dark") await page.evaluate(() => (document.documentElement.dataset.theme = "dark"));
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(400); // the side bars slide away
      await reader.cell(page, id).evaluate((el) => el.scrollIntoView({ block: "center" }));
      await page.screenshot({ path: path.join(shots, `live-${path.basename(lesson)}-${what}-${theme}-${width}.png`) });
      (found.wide ??= {})[`${what} ${theme} ${width}`] = await page.evaluate(() => document.documentElement.scrollWidth);
    }
    if (theme === "dark") await page.evaluate(() => (document.documentElement.dataset.theme = "light"));
  }
}

async function lesson(context, given, found) {
  const page = await reader.open(context, `${base}${given.lesson}.html`, found);
  const { cell, first } = given;
  const printed = () => reader.cell(page, cell).locator("> .cell_output:not(.live-output)").isVisible();
  found.before = { requests: [...found.requests], printed: await reader.printed(page, cell) };
  await shoot(page, given, found, "begin", first);
  found.run = { ...(await reader.run(page, cell)), output: await reader.output(page, cell) };
  found.swap = { printed: await printed() };
  await reader.press(page, cell, "As printed");
  found.swap.back = await printed();
  await reader.press(page, cell, "As run here");

  await reader.press(page, cell, "Edit");
  await reader.cell(page, cell).locator(".cm-content").waitFor();
  await page.keyboard.press("ControlOrMeta+End");
  await page.keyboard.insertText('\nprint("mine:", 6 * 7)');
  let began = Date.now();
  await page.keyboard.press("Shift+Enter");
  found.edited = { said: await reader.ended(page, cell), ms: Date.now() - began, output: await reader.output(page, cell) };
  await page.keyboard.insertText("\nnobody_defined_this");
  await page.keyboard.press("ControlOrMeta+Enter");
  found.broken = { said: await reader.ended(page, cell), output: await reader.output(page, cell) };
  await shoot(page, given, found, "broken", cell, ["light", "dark"]);
  await page.keyboard.press("Escape");
  found.escaped = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));

  await reader.write(page, first, "print('begun')\nwhile True:\n    pass\n");
  await page.keyboard.press("Shift+Enter");
  await reader.cell(page, first).locator(".live-output", { hasText: "begun" }).waitFor();
  await page.waitForTimeout(500);
  await reader.press(page, cell, "Run"); // it waits behind the loop
  began = Date.now();
  await reader.press(page, first, "Stop");
  found.stopped = { said: await reader.ended(page, first), other: await reader.ended(page, cell), ms: Date.now() - began };
  await reader.press(page, first, "Compare");
  await shoot(page, given, found, "stopped", first);
  await reader.press(page, first, "Reset");
  const earlier = reader.cell(page, first).locator(".live-earlier");
  await earlier.waitFor();
  found.reset = { text: await reader.text(page, first), earlier: await earlier.locator("pre").allTextContents() };
  await reader.press(page, cell, "Reset");
  found.again = { ...(await reader.run(page, cell)), output: await reader.output(page, cell) };
  if (!given.whole) return page.close();
  await page.reload();
  await reader.ready(page);
  found.lesson_kept = await earlier.locator("summary").innerText();
  await page.close();
}

async function exercises(context, given, found) {
  const page = await reader.open(context, `${base}${given.exercises}.html`, found);
  const { answer, check, wrong, right } = given.exercise;
  const at = reader.cell(page, check);
  const marks = async () => ({
    score: await page.locator(".live-score p").innerText(),
    mark: await at.locator(".live-mark").innerText(),
    hints: await at.locator(".live-hint").count(),
  });
  const verdict = () => at.locator(".live-output").evaluate((el) => ({ text: el.innerText, html: el.innerHTML, good: el.classList.contains("live-good") }));
  const seen = async () => ({ ...(await reader.run(page, check, "Check")), verdict: await verdict(), ...(await marks()) });
  found.stub = await seen();
  await at.locator(".live-solution summary").click();
  found.unasked = await at.locator(".live-solution").innerText();
  await at.locator(".live-solution summary").click();

  await reader.write(page, answer, wrong);
  found.wrong = await seen();
  await reader.press(page, check, "Hint");
  await at.locator(".live-hint").waitFor();
  await reader.press(page, check, "All values");
  await page.waitForFunction((id) => document.querySelectorAll(`.tag_cell-${id} .live-output .output`).length > 1, check);
  found.values = await reader.output(page, check);
  await shoot(page, given, found, "wrong", check, ["light", "dark"]);
  await reader.write(page, answer, right);
  found.right = await seen();
  await at.locator(".live-solution summary").click();
  await at.locator(".live-solution .highlight").waitFor();
  found.solution = await at.locator(".live-solution").innerText();
  await shoot(page, given, found, "right", check, ["light", "dark"]);
  const note = () => at.locator(".live-notes").innerText();
  await reader.write(page, answer, "def (:\n");
  found.unreadable = { ...(await seen()), note: await note() };
  await reader.write(page, answer, "my_own = 1\n"); // Python still knows the answer that passed
  found.nameless = { ...(await seen()), note: await note() };
  await reader.write(page, answer, right);
  await page.keyboard.press("Escape");
  await page.reload();
  await reader.ready(page);
  found.kept = { text: await reader.text(page, answer), ...(await marks()) };

  found.saved = await reader.save(page, given.saved);
  found.refused = {};
  for (const [what, one] of Object.entries(given.refused)) found.refused[what] = await reader.load(page, one);
  found.refused.text = await reader.text(page, answer);
  await reader.write(page, answer, "# something else");
  found.back = { said: await reader.load(page, given.saved), text: await reader.text(page, answer) };
  await page.close();
}

/** What was exported comes into another reader's browser, over what stands there. */
async function importing(given, found) {
  const context = await fresh();
  const page = await reader.open(context, `${base}${given.exercises}.html`, found);
  const { answer } = given.exercise;
  await reader.write(page, answer, "# what I had written before");
  found.loaded = { said: await reader.load(page, given.saved), text: await reader.text(page, answer) };
  found.loaded.earlier = await reader.cell(page, answer).locator(".live-earlier pre").allTextContents();
  found.twice = await reader.load(page, given.saved);
  found.copy = { said: await reader.load(page, given.copy) };
  await reader.save(page, given.again);
  await page.reload();
  await reader.ready(page);
  found.copy.text = await reader.text(page, answer);
  await context.close();
}

const all = {};
const context = await fresh();
for (const given of chapters) {
  const found = (all[given.number] = { errors: [], requests: [], times: {} });
  for (const [what, act] of Object.entries({ lesson, exercises })) {
    const began = Date.now();
    await act(context, given, found);
    found.times[what] = Date.now() - began;
  }
  if (given.whole) await importing(given, found);
}
await browser.close();
report(all);
