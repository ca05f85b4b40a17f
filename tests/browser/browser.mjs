// What the browser tests share: Chromium as installed on the system, driven by playwright-core.
// The packages are those of book/package.json; COURSE_NODE_MODULES and COURSE_CHROMIUM say where.
import { createRequire } from "node:module";
import path from "node:path";

const packages = path.resolve(process.env.COURSE_NODE_MODULES ?? "book/node_modules");
const { chromium } = createRequire(path.join(packages, "-"))("playwright-core");

export function launch() {
  return chromium.launch({
    executablePath: process.env.COURSE_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** Writes what was found as JSON, the last line of the output, and ends with exit status 0. */
export function report(found) {
  process.stdout.write(`\n${JSON.stringify(found)}\n`);
}
