// What a reader does on a page whose cells run; the scripts of live pages share it.

const ENDED = /^(Done|Not yet|It stopped|It has not run|Stopped|Python)/;

/** Opens a page of the site and waits until its cells have their buttons. `found.errors` gets what goes wrong. */
export async function open(context, url, found) {
  const page = await context.newPage();
  page.on("pageerror", (error) => found.errors.push(`${url}: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) found.errors.push(`${url}: ${message.text()}`);
  });
  page.on("request", (request) => found.requests?.push(request.url()));
  await page.goto(url);
  await ready(page);
  return page;
}

export const ready = (page) => page.waitForSelector("html[data-live=ready]");
export const cell = (page, id) => page.locator(`.tag_cell-${id}`);
/** Presses the cell's button of this name, under More if it is not seen at once; "Hint" is whichever is next. */
export async function press(page, id, name) {
  const button = (name) => cell(page, id).getByRole("button", { name: new RegExp(`^${name} [(\\d]`) });
  if (!(await button(name).count())) await button("More").click();
  await button(name).click();
}
export const status = (page, id) => cell(page, id).locator(".live-status").innerText();
export const output = (page, id) => cell(page, id).locator(".live-output").innerText();
export const printed = (page, id) => cell(page, id).locator("> .cell_output:not(.live-output)").innerText();

/** What stands in the cell's field, in the reader's text or in the course's. */
export const text = (page, id) =>
  cell(page, id).evaluate((el) => {
    const seen = (one) => one?.checkVisibility() && one;
    const lines = el.querySelector(".cm-content")?.querySelectorAll(".cm-line");
    if (lines?.length) return [...lines].map((line) => line.textContent).join("\n");
    const plain = seen(el.querySelector(".live-plain"));
    if (plain) return plain.value;
    return (seen(el.querySelector(".live-own pre")) || el.querySelector(".cell_input pre")).textContent;
  });

/** Waits until the cell has run, or was stopped; what is said of it then. */
export async function ended(page, id, timeout = 180_000) {
  const there = ([id, pattern]) => new RegExp(pattern).test(document.querySelector(`.tag_cell-${id} .live-status`).textContent);
  await page.waitForFunction(there, [id, ENDED.source], { timeout });
  return status(page, id);
}

/** Presses Run, or Check; what is said at the end, and how many milliseconds it took. */
export async function run(page, id, name = "Run") {
  const began = Date.now();
  await press(page, id, name);
  const said = await ended(page, id);
  return { said, ms: Date.now() - began };
}

/** Puts a text into the cell's field, which is opened if need be, as a paste does. */
export async function write(page, id, text, { plain = false } = {}) {
  const [small, large] = [".live-plain", ".cm-content"].map((name) => cell(page, id).locator(name));
  if (!(await small.or(large).count())) await press(page, id, "Edit");
  await small.evaluateAll((all) => all[0]?.focus()); // CodeMirror may take its place at this very moment
  await (plain ? small : large).click(); // the plain field stays where CodeMirror cannot be loaded
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(text);
}

/** Downloads the page as a notebook to the file `path`. */
export async function save(page, path) {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export as a notebook" }).click(),
  ]);
  await download.saveAs(path);
  return { name: download.suggestedFilename(), said: await said(page) };
}

/** Imports a file; what the page says to it. */
export async function load(page, path) {
  const before = await said(page);
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    page.getByRole("button", { name: "Import a notebook" }).click(),
  ]);
  await chooser.setFiles(path);
  await page.waitForFunction((before) => document.querySelector(".live-said").textContent !== before, before);
  return said(page);
}

export const said = (page) => page.locator(".live-said").evaluate((el) => el.textContent);
