// People at a JupyterHub, each in a browser of their own: what they do, and what they see.
// node hub.mjs URL TASK PEOPLE SHOTS_FOLDER
//   TASK    work: fetch the assignment, answer, check, submit; mark: read the formgrader; read: read the feedback
//   PEOPLE  JSON: [{name, password, assignment, setup, answer, check}, ...]; the last three are for "work": text of the
//           set-up cell, what to write in place of the stub of that function, text of the check cell
import path from "node:path";
import { launch, report } from "./browser.mjs";

const [url, task, people, shots] = process.argv.slice(2);
const browser = await launch();
const found = { errors: [], elsewhere: [], people: {} };

/** Logs in and waits until JupyterLab has drawn itself. */
async function enter({ name, password }) {
  const page = await (await browser.newContext({ viewport: { width: 1300, height: 900 } })).newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => found.errors.push(`${name}: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) found.elsewhere.push(request.url());
  });
  await page.goto(url);
  await page.locator("#username_input").fill(name);
  await page.locator("#password_input").fill(password);
  await page.locator("#login_submit").click();
  await page.waitForURL(/\/user\/[^/]+\/lab/);
  await page.locator("#jupyterlab-splash").waitFor({ state: "detached" });
  await page.locator(".jp-DirListing-item").first().waitFor();
  return page;
}

/** Chooses a line of the menu "Nbgrader"; returns the lines that it has. */
async function menu(page, line) {
  await page.locator(".lm-MenuBar").getByRole("menuitem", { name: "Nbgrader" }).click();
  const lines = await page.locator(".lm-Menu-itemLabel").allTextContents();
  await page.locator(".lm-Menu").getByRole("menuitem", { name: line }).click();
  return lines.filter(Boolean);
}

/** Runs the cell that is selected and goes on to the next. */
const run = (page) => page.keyboard.press("Shift+Enter");

async function work(page, { assignment, setup, answer, check }) {
  const seen = { menu: await menu(page, "Assignment List"), files: await page.locator(".jp-DirListing-itemText").allTextContents() };
  const fetch = page.getByRole("button", { name: "Fetch", exact: true });
  await fetch.click();
  const fetched = page.locator("#fetched_assignments_list");
  await fetched.getByText(assignment).first().click();
  await fetched.getByText(assignment).nth(1).click(); // the notebook of the same name, below it
  const cell = (text) => page.locator(".jp-Notebook .jp-CodeCell").filter({ hasText: text }).first();
  await page.getByText("(ipykernel) | Idle").waitFor(); // before, a cell would not run
  await cell(setup).locator(".cm-content").click();
  await run(page);
  await cell(answer.split("\n")[0]).locator(".cm-content").click();
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText(answer);
  await run(page);
  await run(page); // the check, which comes next
  const said = cell(check).locator(".jp-OutputArea-output");
  await said.first().waitFor();
  seen.said = (await said.allTextContents()).join("\n");
  await page.keyboard.press("Control+S");
  await page.locator(".lm-DockPanel .lm-TabBar-tab.jp-mod-dirty").waitFor({ state: "detached" });
  await page.getByRole("tab", { name: "Assignments" }).click();
  await fetched.getByRole("button", { name: "Submit" }).click();
  await page.locator("#submitted_assignments_list").getByText(assignment).first().waitFor();
  return seen;
}

async function mark(page) {
  const seen = { menu: await menu(page, "Formgrader") };
  const frame = page.frameLocator("iframe").first();
  await frame.getByRole("link", { name: "Manual Grading" }).first().waitFor();
  seen.assignments = await frame.locator("#main-table tbody tr, table tbody tr").allInnerTexts();
  await frame.getByRole("link", { name: "Manage Students" }).click();
  await frame.getByRole("row").filter({ hasText: "mia" }).waitFor();
  seen.students = await frame.locator("tbody tr").allInnerTexts();
  return seen;
}

async function read(page, { assignment }) {
  await menu(page, "Assignment List");
  const submitted = page.locator("#submitted_assignments_list");
  await submitted.getByText(assignment).first().click();
  await submitted.getByRole("button", { name: "Fetch Feedback" }).click();
  await submitted.getByText("(view feedback)").click();
  await page.locator(".jp-DirListing-item").filter({ hasText: `${assignment}.html` }).dblclick();
  const body = page.frameLocator(".jp-HTMLViewer iframe").locator("body");
  await body.getByText("(Score:").first().waitFor();
  return { text: await body.innerText(), scripts: await body.locator("script").count() };
}

for (const person of JSON.parse(people)) {
  const page = await enter(person);
  try {
    found.people[person.name] = await { work, mark, read }[task](page, person);
  } finally {
    await page.screenshot({ path: path.join(shots, `${task}-${person.name}.png`) });
  }
  await page.context().close();
}
await browser.close();
report(found);
