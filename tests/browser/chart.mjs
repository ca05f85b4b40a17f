// Where the texts of SVG pictures stand and what they look like; tests/test_chart.py judges it.
// node chart.mjs FILE.svg ...
import path from "node:path";
import { pathToFileURL } from "node:url";
import { launch, report } from "./browser.mjs";

/** Every text of the picture: its box in pixels, its size, its colour, and the colours it may lie on. */
function look() {
  const root = document.documentElement;
  const scale = root.getBoundingClientRect().width / root.viewBox.baseVal.width;
  const value = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const rgb = (colour) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  return {
    grounds: [rgb(value("--page")), rgb(value("--card"))],
    texts: [...document.querySelectorAll("text")].map((text) => {
      const { left, top, right, bottom } = text.getBoundingClientRect();
      const style = getComputedStyle(text);
      const size = parseFloat(style.fontSize) * scale;
      return { text: text.textContent, box: [left, top, right, bottom], size, colour: rgb(style.fill) };
    }),
  };
}

const browser = await launch();
const found = [];
for (const theme of ["light", "dark"])
  for (const width of [328, 640]) {
    // An <img> of this width: in a picture, widths in @media are those at which it is shown.
    const context = await browser.newContext({ colorScheme: theme, viewport: { width, height: 900 } });
    const page = await context.newPage();
    for (const file of process.argv.slice(2)) {
      await page.goto(pathToFileURL(path.resolve(file)).href);
      found.push({ file: path.basename(file), theme, width, ...(await page.evaluate(look)) });
    }
    await context.close();
  }
await browser.close();
report(found);
