// Exports and imports notebooks as a page does, without a page: notebook.mjs needs none.
// node live_notebook.mjs JOBS_JSON_FILE: [{page, kept} or {page, text, name}, ...] gives a list of what came.
import fs from "node:fs";
import { Unusable, exported, imported } from "../../book/_static/live/notebook.mjs";
import { report } from "./browser.mjs";

const jobs = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
report(
  jobs.map(({ page, kept, text, name }) => {
    if (kept) return exported(page, kept);
    try {
      return imported(page, text, name);
    } catch (why) {
      if (why instanceof Unusable) return { refused: why.message };
      throw why;
    }
  }),
);
