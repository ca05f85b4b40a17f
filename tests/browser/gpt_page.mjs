// Trains gpt.mjs on a blank page and in a Web Worker of that page; tests/test_ch09_javascript.py judges it.
// node gpt_page.mjs PAGE_URL START_JSON
import fs from "node:fs";
import { launch, report } from "./browser.mjs";

const [url, start] = process.argv.slice(2);
const given = JSON.parse(fs.readFileSync(start, "utf8"));
const browser = await launch();
const page = await browser.newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(error.message));
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
await page.goto(url);

const inPage = await page.evaluate(async ({ stateDict, tokenDocs, steps }) => {
  const { Trainer } = await import("./gpt.mjs");
  const trainer = new Trainer(stateDict, tokenDocs);
  return Array.from({ length: steps }, () => trainer.step());
}, given);

const inWorker = await page.evaluate((given) => {
  const code = `import { train } from "${new URL("gpt.mjs", location.href)}";
    onmessage = ({ data }) => postMessage(train(data.stateDict, data.tokenDocs, data.steps, { totalSteps: 1000 }).losses);`;
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(given);
  });
}, given);

await browser.close();
report({ inPage, inWorker, errors });
