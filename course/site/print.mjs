// Prints the joined book: Chromium, driven by playwright-core. course/site/pdf.py starts it.
// node print.mjs BASE_URL BOOK_HTML TARGET_PDF
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";

process.on("uncaughtException", (error) => {
  process.stderr.write(error.message.split("\n")[0]); // pdf.py makes a sentence of it
  process.exit(1);
});

const [base, file, target] = process.argv.slice(2);
const { chromium } = createRequire(path.join(process.env.COURSE_NODE_MODULES, "-"))("playwright-core");
const browser = await chromium.launch({
  executablePath: process.env.COURSE_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
});
const page = await browser.newPage({ colorScheme: "light" });
const missing = [];
page.on("requestfailed", (request) => missing.push(request.url()));
page.on("response", (response) => response.status() >= 400 && missing.push(response.url()));
page.on("pageerror", (error) => missing.push(error.message));
// The book stands at the top of the site, so that its pictures and styles are found, but not in it.
await page.route(`${base}book.html`, (route) => route.fulfill({ path: file, contentType: "text/html; charset=utf-8" }));
await page.goto(`${base}book.html`, { waitUntil: "networkidle", timeout: 120_000 });
await page.evaluate(async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
});
// What would be cut off on paper, whose text is 174 mm wide. Nothing may be.
await page.emulateMedia({ media: "print" });
await page.setViewportSize({ width: Math.floor((174 / 25.4) * 96), height: 900 });
const cut = await page.evaluate(() =>
  [...document.querySelectorAll(".course-page :is(pre, table, img, svg, mjx-container, p)")]
    .filter((one) => one.checkVisibility())
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 || (one.clientWidth && one.scrollWidth > one.clientWidth + 1))
    .map((one) => `${one.closest(".course-page").id}: ${one.tagName.toLowerCase()} ${(one.alt ?? one.textContent).trim().slice(0, 60)}`),
);

const print = (options) => page.pdf({ preferCSSPageSize: true, printBackground: true, ...options });

/**
 * {id: page number} of every place of the book that a link leads to. Chromium writes objects in the clear;
 * one that does not gives {}, and the contents then have links but no numbers.
 */
function places(pdf) {
  const text = pdf.toString("latin1");
  const [top, dests] = [/\/Pages (\d+) 0 R/.exec(text), /\/Dests (\d+) 0 R/.exec(text)];
  if (!top || !dests) return {};
  const objects = new Map([...text.matchAll(/^(\d+) 0 obj\n([^]*?)\nendobj$/gm)].map(([, number, body]) => [number, body]));
  const order = [];
  const walk = (number) => {
    const kids = /\/Kids \[([^\]]*)\]/.exec(objects.get(number));
    if (kids) for (const [, kid] of kids[1].matchAll(/(\d+) 0 R/g)) walk(kid);
    else order.push(number);
  };
  walk(top[1]);
  const named = objects.get(dests[1]);
  return Object.fromEntries([...named.matchAll(/\/(\S+) \[(\d+) 0 R/g)].map(([, id, at]) => [id, order.indexOf(at) + 1]));
}

// Where a chapter begins is known when it has been printed: so the contents are right the second time.
const numbers = places(await print());
await page.evaluate((numbers) => {
  for (const link of document.querySelectorAll(".course-contents a")) link.lastChild.textContent = numbers[link.hash.slice(1)] ?? "";
}, numbers);
// Tags are what a screen reader goes by; they are most of the file.
const data = await print({ outline: true, tagged: true });
fs.writeFileSync(target, data);
await browser.close();
process.stdout.write(`\n${JSON.stringify({ missing, cut, numbers, bytes: data.length })}\n`);
