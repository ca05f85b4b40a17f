// A reader's texts as a notebook, and a notebook as a reader's texts. Nothing here needs a page: Node.js runs
// it as well. `page` is the page's JSON (course/site/live.py); what is kept of it in a browser is
//   {texts: {cell id: text}, own: [{after: cell id or null, cell}]}
// where `own` are cells that the course does not have, brought along by an imported notebook.

/** A file that is no notebook of this page; its message is the sentence for the reader. */
export class Unusable extends Error {}

const CURE = "Choose a notebook that this page exported, or your copy from the folder work/ of the course.";

/** The text of an .ipynb with the reader's texts in it, as Jupyter would save it. */
export function exported(page, { texts = {}, own = [] }) {
  const ids = new Set(page.notebook.cells.map(({ id }) => id));
  const named = own.map(({ after, cell }) => {
    let { id } = cell;
    for (let k = 1; ids.has(id) || !VALID_ID.test(id ?? ""); k++) id = `own-${k}`;
    ids.add(id);
    return { after, cell: { ...cell, id } };
  });
  const behind = (id) => named.filter(({ after }) => after === id).map(({ cell }) => cell);
  const cells = page.notebook.cells.flatMap((cell) => [
    { ...cell, source: texts[cell.id] ?? cell.source },
    ...behind(cell.id),
  ]);
  const onDisk = [...behind(null), ...cells].map((cell) => sorted({ ...cell, source: lines(cell.source) }));
  return `${JSON.stringify(sorted({ ...page.notebook, cells: onDisk }), null, 1)}\n`;
}

const VALID_ID = /^[\w-]{1,64}$/; // what nbformat allows
const lines = (text) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
const sorted = (object) => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));

/**
 * What the file `name` with this text holds for the page: {texts, own, told}. `texts` has the cells that
 * differ from the course's, `told` sentences on what is unusual. Throws Unusable.
 */
export function imported(page, text, name) {
  const nb = read(text, name);
  const cells = nb.cells.map((cell) => ({ ...cell, source: source(cell) }));
  const pairs = pair(page.notebook.cells, cells);
  refuse(page, cells, pairs, name);
  const found = { texts: {}, own: [], told: [] };
  let after = null;
  cells.forEach((cell, at) => {
    const ours = pairs.get(at);
    if (ours) after = ours.id;
    if (ours && !cell.attachments) {
      if (cell.source === ours.source) return;
      if (!ours.metadata?.nbgrader?.locked) found.texts[ours.id] = cell.source;
      else found.told.push(`The check of ${gradeId(ours).replace(/-check$/, "")} stays the course's own.`);
    } else if (cell.source.trim()) found.own.push({ after, cell: ordinary(cell) });
  });
  const there = new Set(pairs.values());
  const missing = page.notebook.cells.filter((one) => !there.has(one) && one.cell_type === "code").length;
  if (missing) found.told.push(`${name} lacks ${count(missing, "cell")} of this page; what stands here stays.`);
  if (found.own.length)
    found.told.push(
      `${count(found.own.length, "cell")} of your own ${found.own.length === 1 ? "is" : "are"} kept and exported ` +
        "again; this page does not show what it has no place for.",
    );
  return found;
}

export const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

// ------------------------------------------------------------------------------------ reading

function read(text, name) {
  let nb;
  try {
    nb = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch {
    throw new Unusable(text.trim() ? `${name} is no notebook: it is not JSON. ${CURE}` : `${name} is empty. ${CURE}`);
  }
  if (nb?.worksheets || nb?.nbformat < 4)
    throw new Unusable(`${name} has a format of before 2015. Open and save it in JupyterLab, then import it here.`);
  if (!Array.isArray(nb?.cells)) throw new Unusable(`${name} is no notebook: it has no list of cells. ${CURE}`);
  const broken = nb.cells.findIndex((cell) => typeof cell !== "object" || cell === null || Array.isArray(cell));
  if (broken >= 0) throw new Unusable(`${name} is damaged: its cell ${broken + 1} is no cell. ${CURE}`);
  return nb;
}

const source = ({ source = "" }) => (Array.isArray(source) ? source.join("") : String(source));

function gradeId(cell) {
  const id = cell.metadata?.nbgrader?.grade_id;
  return typeof id === "string" && id ? id : null;
}

/** Which cell of the course each cell of the file is: Map of its place to the course's cell, each once.
 * By grade_id, else by id, else by equal text: pasting makes new ids, and some editors lose nbgrader's. */
function pair(ours, cells) {
  const pairs = new Map();
  const taken = new Set();
  for (const key of [gradeId, (cell) => cell.id, (cell) => cell.source])
    cells.forEach((cell, at) => {
      if (pairs.has(at) || !key(cell) || (key !== gradeId && gradeId(cell))) return;
      const same = (one) => !taken.has(one) && key(one) === key(cell) && one.cell_type === cell.cell_type;
      const found = ours.find(same);
      if (!found) return;
      pairs.set(at, found);
      taken.add(found);
    });
  return pairs;
}

/** A notebook of something else is refused: its exercises are others, or few of its cells are this page's. */
function refuse(page, cells, pairs, name) {
  const known = [...pairs.values()];
  const graded = page.notebook.cells.filter(gradeId);
  const belongs = graded.length
    ? known.some(gradeId)
    : known.filter((cell) => cell.cell_type === "code").length >= page.cells.length / 3;
  if (belongs) return;
  const other = cells.map(gradeId).find((id) => /^ch\d\d-/.test(id ?? ""));
  if (other && !other.startsWith(`ch${page.chapter}-`))
    throw new Unusable(`${name} holds exercises of chapter ${other.slice(2, 4)}: import it on their page.`);
  throw new Unusable(`${name} is not a notebook of this page: its cells are others. ${CURE}`);
}

/** A cell of the reader's own, without outputs; a pasted exercise must not be graded a second time. */
function ordinary(cell) {
  const { nbgrader, ...metadata } = typeof cell.metadata === "object" ? (cell.metadata ?? {}) : {};
  const kept = { ...cell, metadata };
  if (cell.cell_type === "code") Object.assign(kept, { outputs: [], execution_count: null });
  return kept;
}
