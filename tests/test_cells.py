"""Which cells run in a browser: small cells whose names were worked out by hand."""

import builtins

import pytest
from synthetic import code, markdown, notebook

from course import paths
from course.authoring import cells

# Cells that run on their own once the names they read have a value.
RUN = [
    ("x = y + 1", {"y"}, set(), {"x"}),
    ("y = y + 1", {"y"}, set(), {"y"}),
    ("y += 1", {"y"}, set(), {"y"}),
    ("x = 1\nx += x", set(), set(), {"x"}),
    ("for i in range(y):\n    z = i\n    z", {"y"}, set(), {"i", "z"}),
    ("xs = [i + y for i in range(3)]", {"y"}, set(), {"xs"}),
    ("xs = [(i, j) for i in range(y) for j in range(i)]", {"y"}, set(), {"xs"}),
    ("if (n := y) > 2:\n    n", {"y"}, set(), {"n"}),
    ("xs = [last := i for i in range(3)]\nlast", set(), set(), {"xs", "last"}),
    ("def f(a, b=y):\n    c = a + z\n    return c\n", {"y"}, {"z"}, {"f"}),
    ("def f():\n    return g()\ndef g():\n    return 1\n", set(), set(), {"f", "g"}),
    ("def f(n):\n    return f(n - 1) if n else z\n", set(), {"z"}, {"f"}),
    ("f = lambda a: a + z", set(), {"z"}, {"f"}),
    ("def f():\n    global total\n    total = z\n", set(), {"z"}, {"f", "total"}),
    (
        "class A(Base):\n    size = y\n    def f(self):\n        return z\n",
        {"Base", "y"},
        {"z"},
        {"A"},
    ),
    ("import os.path as p, sys\nfrom math import pi as q", set(), set(), {"p", "sys", "q"}),
    ("try:\n    y / 0\nexcept ZeroDivisionError as why:\n    why", {"y"}, set(), {"why"}),
    ("with open(y) as file:\n    file.read()", {"y"}, set(), {"file"}),
    (
        "match y:\n    case [a, *b]:\n        a, b\n    case {'k': c}:\n        c",
        {"y"},
        set(),
        {"a", "b", "c"},
    ),
    ("x: int = 3\nf'{x} {y}'", {"y"}, set(), {"x"}),
]


@pytest.mark.parametrize(("text", "reads", "later", "binds"), RUN, ids=[run[0] for run in RUN])
def test_names_of_a_cell(text, reads, later, binds):
    (cell,) = cells.analyse(notebook(code(text)))
    known = set(dir(builtins))
    assert (cell.reads - known, cell.reads_later - known, cell.binds) == (reads, later, binds)


def test_changing_a_thing_counts_as_defining_it_for_later_cells():
    (cell,) = cells.analyse(notebook(code("table[0] = 1\nmodel.layer.weight = 2")))
    assert cell.reads == {"table", "model"} == cell.binds


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("import math, random\nfrom collections import Counter", True),
        ("import numpy as np", False),
        ("import matplotlib.pyplot as plt", False),
        ("def f():\n    import torch", False),
        ("from course import check, hint", True),
        ("from microgpt_ref import pure, twin", False),
        ("from microgpt_ref import pure", True),
        ("from microgpt_ref.pure import f", True),
        ("from microgpt_ref.twin import f", False),
        ("from microgpt_ref.sibling import f", False),  # it imports twin
        ("import microgpt_ref.pure as p", True),
        ("%matplotlib inline\nx = 1", True),
        ("%%time\nx = 1", True),
        ("%%bash\nls", False),
        ("!ls", False),
        ("files = !ls", False),
        ("len?", True),
        ("x = 5 %3", True),  # no magic: a remainder
        ("this is no Python", False),
        ("", True),
    ],
)
def test_standard_cells(text, standard, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    home = tmp_path / "microgpt_ref"
    home.mkdir()
    (home / "pure.py").write_text("import math\n")
    (home / "twin.py").write_text("import math\nimport numpy as np\n")
    (home / "sibling.py").write_text("from microgpt_ref.twin import np\n")
    nb = notebook(markdown("words"), code(text))
    assert cells.browser_cells(nb) == ([1] if standard else [])


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["import numpy as np", "np.zeros(3)"], ["2 `np` 1"]),
        (["import numpy as np\nx = np.ones(2)", "y = 1", "x + y"], ["3 `x` 1"]),
        (["import numpy as np\nx = 1", "x = 2\nx"], []),  # it has its own x before it reads one
        (["import numpy as np\nx = 1", "x = 2", "x"], []),
        (["x = 2", "import numpy as np\nx = 1", "x"], ["3 `x` 2"]),
        (["xs = [1]", "import numpy as np\nxs[0] = np.ones(1)", "xs"], ["3 `xs` 2"]),
        (["def f():\n    return np", "import numpy as np"], ["1 `np` 2"]),
        (["def f():\n    return x", "x = 1", "import numpy as np\nx = 2"], []),
        (["import numpy as np\nx = 1", "import numpy as np\nx + 1"], []),
        (["import matplotlib.pyplot as plt", "def draw():\n    plt.show()"], ["2 `plt` 1"]),
        (["import math", "math.pi"], []),
        (["%%bash\nx=1", "print('x')"], []),
    ],
)
def test_violations(texts, told):
    found = cells.violations(notebook(*map(code, texts)))
    assert len(found) == len(told)
    for sentence, expected in zip(found, told, strict=True):
        user, name, owner = expected.split()
        assert sentence.startswith(f"Code cell {user} uses {name}, which code cell {owner} defines")


def test_a_cell_that_shows_third_party_code_needs_no_import(tmp_path, monkeypatch):
    monkeypatch.setattr(cells.paths, "ROOT", tmp_path)
    home = tmp_path / "microgpt_ref"
    home.mkdir()
    (home / "twin.py").write_text("import numpy as np\n")
    (home / "pure.py").write_text("import math\n")
    texts = ["import numpy as np\nnp", "# from microgpt_ref/twin.py: f\ndef f():\n    return np"]
    assert cells.violations(notebook(*map(code, texts))) == []
    texts[1] = texts[1].replace("twin", "pure")
    assert len(cells.violations(notebook(*map(code, texts)))) == 1


def test_a_tag_says_that_a_cell_goes_on_with_third_party_things():
    tagged = code("x + 1")
    tagged["metadata"] = {"tags": ["needs:torch"]}
    nb = notebook(code("import torch\nx = torch.ones(1)"), tagged, code("y = 1"))
    assert cells.violations(nb) == []
    assert cells.browser_cells(nb) == [2]
    nb["cells"][0] = code("x = 1")
    (sentence,) = cells.violations(nb)
    assert sentence.startswith("Code cell 2 is tagged `needs:torch` and uses nothing")


def test_a_cell_that_is_no_python_is_named():
    (sentence,) = cells.violations(notebook(code("x = 1"), markdown("no"), code("x = = 2")))
    assert sentence.startswith("Code cell 2 is no valid Python (") and "line 1" in sentence


def test_magics_become_pass_in_their_place():
    assert cells.python("if x:\n    %time f()\nlen?\n") == "if x:\n    pass\npass\n"
    assert cells.python("%%time\nx = 1") == "x = 1"
    assert cells.python("x = 7\ny = 20 \\\n%x") == "x = 7\ny = 20 \\\n%x"
