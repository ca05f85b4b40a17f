// What a browser makes of the cohort's report; tests/test_cohort_report.py judges it.
// node report.mjs FILE.html [FOLDER]: with a folder, pictures of every look go there.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { launch, packages, report } from "./browser.mjs";

const [file, shots] = process.argv.slice(2);
const axe = fs.readFileSync(path.join(packages, "axe-core", "axe.min.js"), "utf8");
const browser = await launch();
const found = { looks: {}, dialogs: 0, requests: [], messages: [] };

const unfold = () => document.querySelectorAll("details").forEach((one) => (one.open = true));

for (const theme of ["light", "dark"])
  for (const width of [1280, 400]) {
    const context = await browser.newContext({ colorScheme: theme, viewport: { width, height: 900 } });
    const page = await context.newPage();
    page.on("dialog", (dialog) => (found.dialogs++, dialog.dismiss()));
    page.on("request", (request) => found.requests.push(request.url()));
    page.on("console", (message) => found.messages.push(message.text()));
    await page.goto(pathToFileURL(path.resolve(file)).href);
    if (shots) await page.screenshot({ path: path.join(shots, `${theme}-${width}.png`), fullPage: true });
    const folded = await page.evaluate(() => document.body.innerText);
    await page.evaluate(unfold);
    if (shots) await page.screenshot({ path: path.join(shots, `${theme}-${width}-open.png`), fullPage: true });
    const look = await page.evaluate(() => ({
      wide: document.documentElement.scrollWidth,
      text: document.body.innerText,
      letters: [...document.querySelectorAll(".plot text")].map((one) => one.getBoundingClientRect().height),
      outside: [...document.querySelectorAll(".plot")].flatMap((plot) => {
        const { left, right } = plot.getBoundingClientRect();
        const texts = [...plot.querySelectorAll("text")];
        return texts.filter((one) => one.getBoundingClientRect().left < left - 1 || one.getBoundingClientRect().right > right + 1).map((one) => one.textContent);
      }),
    }));
    // The page's policy lets nobody run a script in it, not even axe: it is asked outside of the page's world.
    const session = await context.newCDPSession(page);
    await session.send("Page.setBypassCSP", { enabled: true });
    await page.reload();
    await page.evaluate(unfold);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const wrong = violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)}`));
    found.looks[`${theme} ${width}`] = { ...look, folded, wrong };
    await context.close();
  }

// What somebody would do who could write into the page.
const page = await browser.newPage();
await page.goto(pathToFileURL(path.resolve(file)).href);
found.policy = await page.evaluate(async () => {
  const script = document.createElement("script");
  script.textContent = "document.title = 'taken'";
  document.body.append(script);
  const image = new Image();
  const loaded = new Promise((done) => ((image.onload = () => done("loaded")), (image.onerror = () => done("refused"))));
  image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
  const refused = await fetch("http://127.0.0.1:9/").then(() => "sent", () => "refused");
  return { title: document.title, image: await loaded, fetch: refused };
});
await browser.close();
report(found);
