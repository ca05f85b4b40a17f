// The worker of a page: Python, and nothing that it could send anything with.
//
// session.mjs starts it from a blob: URL of this text, so that the page's content security policy holds here
// too, and hands over every file that it needs. So nothing is ever fetched here, and what could fetch is
// taken away before Pyodide is loaded; what only loading needs goes afterwards.
//
// It gets {type: "load", module, files, scripts, lock, snapshot}, then one {id, request} after the other, and
// sends
//   loaded {snapshot}               Python's memory as it is then, for a later worker; null where it came from one
//   failed {why}
//   output {id, output}             while a request is answered
//   answered {id, reply}
//   died {id, why}                  Python cannot go on: out of memory, or a fault of its own

// What stays: JavaScript itself, and the few tools that Python's modules time, random and os call.
const KEPT = `
  AggregateError Array ArrayBuffer Atomics BigInt BigInt64Array BigUint64Array Boolean DataView Date Error
  EvalError FinalizationRegistry Float16Array Float32Array Float64Array Function Infinity Int16Array Int32Array
  Int8Array Intl Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp
  Set String SuppressedError Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array
  Uint8ClampedArray WeakMap WeakRef WeakSet WebAssembly console crypto decodeURI decodeURIComponent encodeURI
  encodeURIComponent globalThis isFinite isNaN parseFloat parseInt performance undefined TextDecoder
  TextEncoder`.trim().split(/\s+/);
// What loading needs besides, with stand-ins for fetch and location.
const LOADING = "MessageChannel URL WorkerGlobalScope clearTimeout self setTimeout".split(" ");

const MOST = 1 << 14; // pages of 64 kB that Python's memory may have: beyond 1 GB it is a MemoryError
const HOME = "https://nowhere.invalid/"; // an address of files that are here already
const send = postMessage.bind(globalThis);
let current = 0; // the id of the request that is being answered

addEventListener("message", async ({ data }) => {
  if (data.type === "load") await begin(data);
  else answer(data);
});
let python = null; // answer(request) of course/site/worker.py

async function begin({ module, files, scripts, lock, snapshot }) {
  try {
    strip([...KEPT, ...LOADING]);
    standIn(module, files);
    const [{ loadPyodide }, { default: createPyodideModule }] = await Promise.all(scripts.map((one) => import(one)));
    const pyodide = await load(loadPyodide, createPyodideModule, lock, snapshot);
    const taken = snapshot ? null : pyodide.makeMemorySnapshot();
    python = serve(pyodide);
    strip(KEPT);
    python('{"type": "seal"}');
    send({ type: "loaded", snapshot: taken }, taken ? [taken.buffer] : []);
  } catch (error) {
    send({ type: "failed", why: `${error}` });
  }
}

function answer({ id, request }) {
  try {
    current = id;
    send({ type: "answered", id, reply: JSON.parse(python(JSON.stringify(request))) });
  } catch (error) {
    send({ type: "died", id, why: `${error?.message ?? error}`.split("\n")[0] });
  }
}

/** Takes from the global scope, and from all that it inherits from, every name but these. */
function strip(names) {
  const keep = new Set(names);
  for (let at = globalThis; at && at !== Object.prototype; at = Object.getPrototypeOf(at))
    for (const name of Object.getOwnPropertyNames(at)) {
      if (keep.has(name) || Reflect.deleteProperty(at, name)) continue;
      // Some are fixed, such as a number called TEMPORARY: with a plain value nothing can be done.
      if (Object(globalThis[name]) === globalThis[name]) throw new Error(`${name} cannot be taken away`);
    }
}

/** Puts into the scope what Pyodide loads its files with, and makes text that is code worth nothing. */
function standIn(module, files) {
  globalThis.fetch = async (url) => {
    const bytes = files[`${url}`.split("/").at(-1)];
    return { ok: bytes !== undefined, arrayBuffer: async () => bytes };
  };
  globalThis.location = new URL(HOME);
  WebAssembly.instantiateStreaming = async (_, imports) => ({
    module,
    instance: await WebAssembly.instantiate(module, imports),
  });
  const { grow } = WebAssembly.Memory.prototype;
  WebAssembly.Memory.prototype.grow = function (pages) {
    if (this.buffer.byteLength / 65536 + pages > MOST) throw new RangeError("That is more than a page may use.");
    return grow.call(this, pages);
  };
  const dead = function () {
    throw new EvalError("Text is not run as code here.");
  };
  for (const one of [function () {}, async function () {}, function* () {}, async function* () {}])
    Object.defineProperty(Object.getPrototypeOf(one), "constructor", { value: dead });
  dead.prototype = Function.prototype;
  globalThis.Function = dead;
}

/** Pyodide with the course in it. snapshot: Python's memory as an earlier worker left it at this point. */
async function load(loadPyodide, createPyodideModule, lock, snapshot) {
  const pyodide = await loadPyodide({
    createPyodideModule,
    indexURL: HOME,
    packageBaseUrl: HOME,
    lockFileContents: { info: lock, packages: {} },
    jsglobals: {}, // what `import js` would find
    env: { PYTHONDONTWRITEBYTECODE: "1" },
    fsInit: async (FS) => FS.writeFile("/course.zip", await (await fetch("course.zip")).arrayBuffer()),
    ...(snapshot ? { _loadSnapshot: snapshot } : { _makeSnapshot: true }),
  });
  // What Python's own files 1 and 2 get is nobody's: cells print by way of sys.stdout.
  for (const set of ["setStdout", "setStderr"]) pyodide[set]({ write: (bytes) => bytes.length });
  pyodide.setStdin({ error: true });
  pyodide.runPython(`
import sys, zipfile
with zipfile.ZipFile("/course.zip") as file:
    file.extractall("/book")
if "/book" not in sys.path:
    sys.path.insert(0, "/book")
import course.site.worker, course.checking.engine
`);
  return pyodide;
}

/** The function of course/site/worker.py that answers requests. */
function serve(pyodide) {
  const { FS } = pyodide;
  FS.registerDevice(FS.makedev(70, 0), { write: listen() });
  FS.mkdev("/dev/page", 0o200, FS.makedev(70, 0));
  const answer = pyodide.runPython(`course.site.worker.serve("/dev/page")`);
  pyodide.globals.clear();
  return answer;
}

/** The writing end of the file by which Python sends outputs: JSON, one a line. */
function listen() {
  const utf8 = new TextDecoder();
  let text = "";
  return (_, buffer, offset, length) => {
    text += utf8.decode(new Uint8Array(buffer.buffer, buffer.byteOffset + offset, length), { stream: true });
    const lines = text.split("\n");
    text = lines.pop();
    for (const line of lines) send({ type: "output", id: current, output: parsed(line) });
    return length;
  };
}

function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null; // a cell has written to the file itself
  }
}
