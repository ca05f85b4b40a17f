// Runs every cell of a lesson on its page, as "Run all above" does, and reports what each printed.
// node live_lesson.mjs BASE_URL PAGE CELL_ID
import { launch, report } from "./browser.mjs";
import * as reader from "./live_reader.mjs";

const [base, lesson, last] = process.argv.slice(2);
const browser = await launch();
const found = { errors: [] };
const page = await reader.open(await browser.newContext(), `${base}${lesson}.html`, found);
const began = Date.now();
await reader.press(page, last, "Run all above");
found.above = await reader.ended(page, last, 900_000);
await reader.run(page, last);
found.seconds = (Date.now() - began) / 1000;
found.cells = await page.locator(".live-cell").evaluateAll((all) =>
  all
    .filter((el) => el.querySelector(".live-run"))
    .map((el) => {
      const texts = (where) => [...(el.querySelector(where)?.querySelectorAll(".output.stream pre, .output.text_plain pre") ?? [])].map((one) => one.textContent);
      return {
        id: [...el.classList].find((name) => name.startsWith("tag_cell-")).slice(9),
        said: el.querySelector(".live-status").textContent,
        printed: texts(".cell_output:not(.live-output)").join(""),
        ran: texts(".live-output").join(""),
        html: el.querySelectorAll(".live-output .text_html").length,
        problem: el.querySelector(".live-error, .live-verdict")?.textContent ?? "",
      };
    }),
);
await browser.close();
report(found);
