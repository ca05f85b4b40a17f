// Mounts the widgets of chapter 02 on a blank page and handles them as a reader does. Reports what was
// to be seen; tests/test_widget_ch02.py judges it.
// node widget_ch02_page.mjs PAGE_URL, with states.json beside the page
import { launch, report } from "./browser.mjs";

const [url] = process.argv.slice(2);
const browser = await launch();
const page = await browser.newPage({ reducedMotion: "reduce", viewport: { width: 900, height: 900 } });
const errors = [];
page.on("pageerror", (error) => errors.push(error.message));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
await page.goto(url);
await page.evaluate(async () => {
  const states = await (await fetch("states.json")).json();
  const graph = (await import("./value_graph.mjs")).render;
  const plane = (await import("./decision_boundary.mjs")).render;
  const at = (id) => document.querySelector(`#${id}`);
  graph(at("small"), states.small, null);
  graph(at("folded"), states.folded, null);
  window.asked = [];
  window.fails = false;
  plane(at("with"), states.boundary, async (message) => {
    window.asked.push(message);
    if (window.fails) throw new Error("ZeroDivisionError: division by zero");
    return states.next;
  });
  plane(at("without"), states.boundary, null);
});
const found = { errors };

// ---- the graph
const small = page.locator("#small");
const press = (where, name) => where.getByRole("button", { name, exact: true }).click();
const rows = (where, row) =>
  where.locator(".vg-box").evaluateAll(
    (all, row) => Object.fromEntries(all.map((box) => [box.querySelector(".vg-label").textContent, box.querySelector(row).textContent])),
    row,
  );
const look = async () => ({
  sentence: await small.locator(".vg-sentence").textContent(),
  live: await small.locator(".vg-sentence").getAttribute("role"),
  count: await small.locator(".vg-count").textContent(),
  data: await rows(small, ".vg-data"),
  grad: await rows(small, ".vg-grad"),
});
const steps = async (n) => {
  for (let k = 0; k < n; k++) await press(small, "Step forward");
};
found.start = await look();
await steps(1);
found.first = await look();
await steps(3);
found.seed = await look();
await steps(4);
found.added = await look();
await press(small, "To the end");
found.end = await look();
await press(small, "Back one step");
found.back = await look();
await press(small, "To the start");
found.again = await look();

await small.locator(".vg-scroll").focus();
found.keys = [];
for (const key of ["ArrowRight", "End", "ArrowLeft"]) {
  await page.keyboard.press(key);
  found.keys.push((await look()).count);
}
const state = async () => ({
  label: await small.locator(".vg-play").getAttribute("aria-label"),
  live: await small.locator(".vg-sentence").getAttribute("aria-live"),
});
await press(small, "To the start");
await press(small, "Play");
found.playing = await state();
await press(small, "Pause");
found.paused = await state();

const folded = page.locator("#folded");
const boxes = () => folded.locator(".vg-box").count();
found.folded = { boxes: await boxes(), opens: await folded.locator(".vg-opens").count() };
await folded.locator(".vg-opens").first().focus();
await page.keyboard.press("Enter");
found.opened = { boxes: await boxes() };
while (!(found.opened.seed = await folded.locator(".vg-sentence").textContent()).startsWith("Backward begins")) {
  await press(folded, "Step forward");
}
await press(folded, "Back to the whole graph");
found.closed = { boxes: await boxes(), focus: await page.evaluate(() => document.activeElement.classList.contains("vg-opens")) };

// ---- the plane
const plane = page.locator("#with");
const show = async () => ({
  line: await plane.locator(".db-line").textContent(),
  label: await plane.locator(".db-map").getAttribute("aria-label"),
  points: await plane.locator(".db-points > *").count(),
  spot: await plane.locator(".db-points circle").evaluateAll((all) => all.map((one) => [one.getAttribute("cx"), one.getAttribute("cy")])),
  cells: await plane.locator(".db-map g[shape-rendering] rect").count(),
  fills: await plane.locator(".db-map g[shape-rendering] rect").evaluateAll((all) => [...new Set(all.map((cell) => cell.getAttribute("fill")))]),
  border: await plane.locator(".db-border").getAttribute("d"),
});
found.boundary = await show();
await plane.locator(".db-slider").focus();
await page.keyboard.press("ArrowLeft");
found.slid = await show();
await press(plane, "Train on");
found.trained = {
  line: (await show()).line,
  max: await plane.locator(".db-slider").getAttribute("max"),
  asked: await page.evaluate(() => window.asked),
};
await page.evaluate(() => (window.fails = true));
await press(plane, "Train on");
found.problem = await plane.locator(".db-problem").textContent();
const without = page.locator("#without");
found.without = {
  more: await without.getByRole("button", { name: "Train on" }).count(),
  play: await without.getByRole("button", { name: "Play" }).count(),
  still: await page.getByText("still", { exact: true }).count(),
};

await page.setViewportSize({ width: 320, height: 700 });
found.width = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);

await browser.close();
report(found);
