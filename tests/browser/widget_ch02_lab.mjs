// Opens a notebook in a running JupyterLab, runs it, and plays with the widgets of chapter 02.
// node widget_ch02_lab.mjs NOTEBOOK_URL SHOTS_FOLDER
import path from "node:path";
import { launch, openLab, report } from "./browser.mjs";

const [url, shots] = process.argv.slice(2);
const browser = await launch();
const { page, errors, darken } = await openLab(browser, url, 1400);

const graph = page.locator(".jp-OutputArea .value-graph");
const plane = page.locator(".jp-OutputArea .decision-boundary");
await plane.waitFor({ timeout: 30_000 });
const sentence = () => graph.locator(".vg-sentence").textContent();
const found = { errors, sentences: [await sentence()] };
await graph.getByRole("button", { name: "Step forward" }).click();
found.sentences.push(await sentence());

const cells = await page.locator(".jp-CodeCell").count();
await graph.locator(".vg-scroll").focus();
await page.keyboard.press("d");
await page.keyboard.press("d"); // would delete the cell, if the keys got through to JupyterLab
await page.keyboard.press("End");
found.cellsGone = cells - (await page.locator(".jp-CodeCell").count());
found.grad = await graph
  .locator(".vg-box")
  .evaluateAll((all) => Object.fromEntries(all.map((box) => [box.querySelector(".vg-label").textContent, box.querySelector(".vg-grad").textContent])));

const line = () => plane.locator(".db-line").textContent();
found.lines = [await line()];
for (const step of [10, 20]) {
  await plane.getByRole("button", { name: "Train on" }).click();
  await page.waitForFunction((step) => document.querySelector(".db-line").textContent.startsWith(`Step ${step} `), step, { timeout: 10_000 });
  found.lines.push(await line());
}
await page.screenshot({ path: path.join(shots, "lab-ch02-light.png") });

await darken();
found.ink = await plane.evaluate((el) => getComputedStyle(el).getPropertyValue("--ink").trim());
await page.screenshot({ path: path.join(shots, "lab-ch02-dark.png") });

await browser.close();
report(found);
