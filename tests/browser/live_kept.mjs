// What a browser keeps, when things get in the way: a course that changed, two tabs, a private window, a full
// disk, a server that is gone, a widget with Python behind it. tests/test_live_pages.py judges it.
// node live_kept.mjs SITE_FOLDER GIVEN_JSON_FILE
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { launch, report } from "./browser.mjs";
import * as reader from "./live_reader.mjs";

const [site, file] = process.argv.slice(2);
const { lesson, cell, widget, exercises, setup, answer, check, formula } = JSON.parse(fs.readFileSync(file, "utf8"));
const TYPES = { html: "text/html", css: "text/css", js: "text/javascript", mjs: "text/javascript", json: "application/json", svg: "image/svg+xml" };
const server = http.createServer((request, response) => {
  const where = path.join(site, decodeURIComponent(new URL(request.url, "http://here").pathname));
  fs.readFile(where, (error, data) => {
    response.writeHead(error ? 404 : 200, { "content-type": TYPES[where.split(".").at(-1)] ?? "application/octet-stream" });
    response.end(data);
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const base = `http://127.0.0.1:${server.address().port}/`;
const browser = await launch();
const found = { errors: [] };
const fresh = () => browser.newContext({ viewport: { width: 1100, height: 900 }, reducedMotion: "reduce" });
const notes = (page, id) => reader.cell(page, id).locator(".live-notes").innerText();
const earlier = (page, id) => reader.cell(page, id).locator(".live-earlier").evaluateAll((all) => all.flatMap((one) => [...one.querySelectorAll("li")].map((li) => li.textContent)));
const shows = (page, id, text) =>
  page.waitForFunction(([id, text]) => document.querySelector(`.tag_cell-${id}`).innerText.includes(text), [id, text]);

/** The course has another text for the cell than when the reader wrote. */
async function change(context, id, text) {
  await context.route(`**/pages/${exercises}.json`, async (route) => {
    const answer = await route.fetch();
    const page = await answer.json();
    for (const one of [...page.cells, ...page.notebook.cells]) if (one.id === id) one.source = text;
    await route.fulfill({ response: answer, json: page });
  });
}

// ------------------------------------------------------------------------- the course changed
let context = await fresh();
let page = await reader.open(context, `${base}${exercises}.html`, found);
await reader.write(page, setup, "mine = 1");
await change(context, setup, "theirs = 2");
await page.reload();
await reader.ready(page);
found.changed = { note: await notes(page, setup), text: await reader.text(page, setup) };
await reader.cell(page, setup).locator("[data-kind=changed]").getByRole("button", { name: "Compare" }).click();
found.changed.compared = await reader.cell(page, setup).locator(".live-difference pre").innerText();
await reader.press(page, setup, "Edit"); // writing on does not make the question go away
await reader.cell(page, setup).locator(".cm-content").click();
await page.keyboard.press("ControlOrMeta+End");
await page.keyboard.insertText("0");
await page.reload();
await reader.ready(page);
found.changed.written = { note: await notes(page, setup), text: await reader.text(page, setup) };
await reader.press(page, setup, "Keep mine");
await page.waitForFunction((id) => !document.querySelector(`.tag_cell-${id} [data-kind=changed]`), setup);
await page.reload();
await reader.ready(page);
found.changed.kept = { note: await notes(page, setup), text: await reader.text(page, setup) };
await context.unrouteAll();
await change(context, setup, "theirs = 3");
await page.reload();
await reader.ready(page);
await reader.press(page, setup, "Take the course's");
await page.waitForFunction((id) => !document.querySelector(`.tag_cell-${id} [data-kind=changed]`), setup);
await page.reload();
await reader.ready(page);
await reader.press(page, setup, "Edit");
found.changed.taken = { note: await notes(page, setup), text: await reader.text(page, setup), earlier: await earlier(page, setup) };
await reader.cell(page, setup).locator(".live-earlier summary").click();
await reader.press(page, setup, "Bring it back");
await shows(page, setup, "mine = 10");
found.changed.back = await reader.text(page, setup);
await context.close();

// ------------------------------------------------------------------------- gone in the moment of writing
context = await fresh();
page = await reader.open(context, `${base}${exercises}.html`, found);
await reader.write(page, setup, "early = 1");
await Promise.all([
  page.waitForNavigation(),
  page.evaluate(() => {
    document.execCommand("insertText", false, "23"); // as a key does; then at once
    location.reload();
  }),
]);
await reader.ready(page);
found.left = await reader.text(page, setup);
await context.close();

// ------------------------------------------------------------------------- two tabs
context = await fresh();
page = await reader.open(context, `${base}${exercises}.html`, found);
const other = await reader.open(context, `${base}${exercises}.html`, found);
await reader.write(page, setup, "from_one = 1");
await shows(other, setup, "from_one = 1");
found.tabs = { heard: await reader.text(other, setup) };
// Now they do not hear of each other: what each has typed must be there in the end.
const deaf = await context.newPage();
await deaf.addInitScript(() => delete globalThis.BroadcastChannel);
await deaf.goto(`${base}${exercises}.html`);
await reader.ready(deaf);
await reader.write(page, setup, "first = 1");
await shows(other, setup, "first = 1");
await reader.write(deaf, setup, "second = 2");
await deaf.waitForFunction((id) => document.querySelector(`.tag_cell-${id} .live-earlier`), setup); // it is written
await reader.write(page, setup, "third = 3");
await shows(other, setup, "third = 3");
await page.reload();
await reader.ready(page);
found.tabs.text = await reader.text(page, setup);
found.tabs.earlier = await earlier(page, setup);
await context.close();

// ------------------------------------------------------------------------- a browser that keeps nothing
context = await fresh();
await context.addInitScript(() => {
  IDBFactory.prototype.open = () => {
    throw new DOMException("private", "SecurityError");
  };
});
page = await reader.open(context, `${base}${exercises}.html`, found);
found.private = { warned: await page.locator(".live-panel [role=alert]").innerText() };
await reader.write(page, answer, "pairs = 1");
await page.keyboard.press("Escape");
found.private.text = await reader.text(page, answer);
found.private.hint = await reader.press(page, check, "Hint").then(() => reader.cell(page, check).locator(".live-hint").innerText());
await reader.save(page, `${file}.ipynb`);
found.private.saved = fs.readFileSync(`${file}.ipynb`, "utf8").includes("pairs = 1");
await context.close();

// ------------------------------------------------------------------------- a formula on a page that has none else
context = await fresh();
page = await reader.open(context, `${base}${exercises}.html`, found);
const solution = reader.cell(page, formula).locator(".live-solution");
await solution.locator("summary").click();
await solution.getByRole("button", { name: "Show it all the same" }).click();
await solution.locator("mjx-container").first().waitFor();
found.formulas = { asked: await solution.locator(".math").count(), drawn: await solution.locator(".math > mjx-container").count() };
await context.close();

// ------------------------------------------------------------------------- a disk that is full
context = await fresh();
page = await reader.open(context, `${base}${exercises}.html`, found);
await reader.write(page, setup, "before = 1");
await page.evaluate(() => {
  IDBObjectStore.prototype.put = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
});
await reader.write(page, setup, "after = 2");
found.full = { warned: await page.locator(".live-panel [role=alert]").innerText() };
await reader.save(page, `${file}.ipynb`);
found.full.saved = fs.readFileSync(`${file}.ipynb`, "utf8").includes("after = 2");
await context.close();

// ------------------------------------------------------------------------- a server that is gone
context = await fresh();
page = await reader.open(context, `${base}${lesson}.html`, found);
found.widget = { printed: await reader.cell(page, widget).locator("button").filter({ hasText: "Continue" }).count() };
await reader.run(page, widget);
server.close();
server.closeAllConnections();
const known = () => reader.cell(page, widget).locator(".live-output .bt-now").innerText();
found.widget.names = [await known()];
await reader.cell(page, widget).locator(".live-output").getByRole("button", { name: "Continue" }).click();
await page.waitForFunction((id) => document.querySelector(`.tag_cell-${id} .live-output .bt-now`).textContent.length === 1, widget);
found.widget.names.push(await known());

const gone = await page.evaluate(() => fetch(location.href, { cache: "no-store" }).then(() => "there", () => "gone"));
found.offline = { server: gone, ...(await reader.run(page, cell)) };
await reader.write(page, cell, "while True: pass", { plain: true });
await page.keyboard.press("Shift+Enter");
await page.waitForTimeout(1500);
await reader.press(page, cell, "Stop");
await reader.ended(page, cell);
await reader.write(page, cell, "print(6 * 7)", { plain: true });
await page.keyboard.press("Shift+Enter");
found.offline.after = { said: await reader.ended(page, cell), output: await reader.output(page, cell) };
await reader.cell(page, widget).locator(".live-output").getByRole("button", { name: "Continue" }).click();
await reader.cell(page, widget).locator(".bt-problem:not(:empty)").waitFor();
found.widget.problem = await reader.cell(page, widget).locator(".live-output .bt-problem").innerText();
found.errors = found.errors.filter((text) => !/ERR_CONNECTION_REFUSED|Failed to fetch/.test(text)); // our own fetch
await browser.close();
report(found);
