// Opens pages that may hold hostile HTML and says what each of them did; tests/test_cohort_feedback.py judges it.
// node hostile.mjs URL ...
import { launch, report } from "./browser.mjs";

const browser = await launch();
const found = {};
for (const url of process.argv.slice(2)) {
  const page = await browser.newPage();
  const did = { requests: [], dialogs: 0, errors: [] };
  page.on("request", (request) => request.url() === url || did.requests.push(request.url().slice(0, 100)));
  page.on("dialog", (dialog) => (did.dialogs++, dialog.dismiss()));
  page.on("pageerror", (error) => did.errors.push(error.message));
  await page.goto(url);
  await page.mouse.move(300, 300);
  await page.waitForTimeout(300);
  const links = await page.evaluate(() => [...document.querySelectorAll("[href], [src], [action], [data]")].map(
    (one) => one.getAttribute("href") ?? one.getAttribute("src") ?? one.getAttribute("action") ?? one.getAttribute("data")));
  did.hit = await page.evaluate(() => window.hit ?? 0);
  did.strange = links.filter((link) => /^[\s\0-\x20]*(javascript|vbscript|data:(?!image\/(png|jpeg|gif)))/i.test(link));
  did.active = await page.evaluate(() => document.querySelectorAll(
    "script, iframe, object, embed, form, input, button, svg, math, link, base, meta[http-equiv=refresh], video, audio, body style").length);
  did.handlers = await page.evaluate(() => [...document.querySelectorAll("*")].filter(
    (one) => [...one.attributes].some(({ name }) => name.startsWith("on") || name === "style")).length);
  did.text = await page.evaluate(() => document.body.innerText);
  did.title = await page.title();
  did.colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  found[url] = did;
  await page.close();
}
await browser.close();
report(found);
