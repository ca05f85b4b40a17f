// Opens a notebook in a running JupyterLab, runs it, and plays with the widgets of chapter 02.
// node widget_ch02_lab.mjs NOTEBOOK_URL SHOTS_FOLDER
import fs from "node:fs";
import path from "node:path";
import { launch, report } from "./browser.mjs";

const [url, shots] = process.argv.slice(2);
fs.mkdirSync(shots, { recursive: true });
const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1100, height: 1400 } });
const errors = [];
page.on("pageerror", (error) => errors.push(error.message));
await page.goto(url);

// The server was started with --LabApp.expose_app_in_browser, which gives us Lab's own commands.
const command = (name, args = {}) =>
  page.evaluate(([name, args]) => void window.jupyterapp.commands.execute(name, args), [name, args]);
// Before its kernel is there, a notebook asks which one to take.
const idle = () => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === "idle";
await page.waitForFunction(idle, null, { timeout: 60_000 });
await command("notebook:run-all-cells");

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

await command("apputils:change-theme", { theme: "JupyterLab Dark" });
await page.waitForFunction(() => document.body.dataset.jpThemeLight === "false");
found.ink = await plane.evaluate((el) => getComputedStyle(el).getPropertyValue("--ink").trim());
await page.locator("#jupyterlab-splash").waitFor({ state: "detached" }); // it covers Lab while a theme loads
await page.screenshot({ path: path.join(shots, "lab-ch02-dark.png") });

await browser.close();
report(found);
