// Opens a notebook in a running JupyterLab, runs it, and plays with the widget that it shows.
// node widget_lab.mjs NOTEBOOK_URL SHOTS_FOLDER
import path from "node:path";
import { launch, openLab, report } from "./browser.mjs";

const [url, shots] = process.argv.slice(2);
const browser = await launch();
const { page, errors, darken } = await openLab(browser, url, 1000);

const tables = page.locator(".jp-OutputArea .bigram-table");
await tables.nth(1).waitFor({ timeout: 30_000 });
const table = tables.nth(0);
const name = () => table.locator(".bt-now").textContent();
const caption = () => table.locator(".bt-caption").textContent();
const found = { errors, names: [await name()], before: await caption() };

const bars = () => table.locator(".bt-bar i").evaluateAll((all) => all.map((bar) => bar.style.cssText || bar.parentElement.style.cssText));
found.bars = [await bars()];
await table.locator(".bt-label").nth(0).hover();
found.hover = await caption();
found.bars.push(await bars());

for (let i = 1; i <= 2; i++) {
  await table.getByRole("button", { name: "Continue" }).click();
  await page.waitForFunction((n) => document.querySelector(".bigram-table .bt-now").textContent.length === n, i, { timeout: 10_000 });
  found.names.push(await name());
}
// A letter by hand, and Python goes on from there.
await table.locator('.bt-cell[data-row="1"][data-col="0"]').click();
await table.getByRole("button", { name: "Continue" }).click();
await page.waitForFunction(() => document.querySelector(".bigram-table .bt-now").textContent.length === 4, null, { timeout: 10_000 });
found.names.push(await name());

const cells = await page.locator(".jp-CodeCell").count();
await table.locator('.bt-cell[data-row="0"][data-col="0"]').focus();
await page.keyboard.press("ArrowDown"); // moves in the table, not to another cell of the notebook
await page.keyboard.press("d");
await page.keyboard.press("d"); // would delete the cell, if the keys got through to JupyterLab
found.focus = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
found.cellsGone = cells - (await page.locator(".jp-CodeCell").count());
await page.screenshot({ path: path.join(shots, "lab-light.png") });

await tables.nth(1).getByRole("button", { name: "Continue" }).click();
await tables.nth(1).locator(".bt-problem:not(:empty)").waitFor({ timeout: 10_000 });
found.problem = await tables.nth(1).locator(".bt-problem").textContent();

await darken();
found.ink = await table.evaluate((el) => getComputedStyle(el).getPropertyValue("--ink").trim());
await page.screenshot({ path: path.join(shots, "lab-dark.png") });

await browser.close();
report(found);
