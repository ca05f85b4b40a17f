"""The report on a cohort. Oracles: answers whose origin is known, counts made by hand, the engine
itself, an HTML parser, a browser."""

import ast
import builtins
import json
import random
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import browsing
import pytest
import reporting
from reporting import ANN, BO, EVIL

from course import cli
from course.checking import exercise
from course.cohort import alike, clusters, inbox, report, summary, texts
from course.cohort.alike import Answer, Known

NAME = "01_bigram"
SHORT = ("pairs", "sample", "bigram_nll", "count_ngrams", "softmax_gradient")
NAMES = {
    "ada": ("Ada", "Lovelace"),
    "bo": ("Bo", "Ng"),
    "cy": ("Cyrus", "Twombly"),
    "dan": ("Dan", "Ó Súilleabháin"),
    "eve": (EVIL, "\u202e\"'&<img src=x onerror=alert(2)>"),
    "fay": ("Fay", "Wray"),
    "gus": ("Gus", "Gorman"),
    "hal": ("Hal", ""),
}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Eight learners, chapter 01 due and graded; each has one thing that the page tells."""
    made = reporting.cohort(tmp_path_factory.mktemp("cohort"), NAMES)
    reporting.assign(made, NAME)
    same = {
        "result": "not yet",
        "cause": "constant_ratio",
        "sentence": f"All your values are the expected ones times 0.5. {EVIL}",
    }
    wrong = exercise.find("ch01-normalize"), lambda counts, smoothing: [0.5 for _ in counts]
    answers, nothing = answered(*wrong), {"answers": ["None"] * 3}
    said = {
        "ada": {},
        "bo": {"ch01-pairs": reporting.misconception("ch01-pairs")},
        "cy": {"ch01-pairs": reporting.misconception("ch01-pairs")},
        "dan": {"ch01-normalize": same | {"answers": answers}, "ch01-sample": same | nothing},
        "eve": {"ch01-normalize": {"result": "broken", "sentence": f"{EVIL} `{EVIL}`"}},
        "fay": {"ch01-normalize": same | {"answers": answers}, "ch01-sample": same | nothing},
        "gus": {},
    }
    for student, rows in said.items():
        body = BO if student == "bo" else ANN if student in ("ada", "gus") else {}
        cells = {f"ch01-{name}": reporting.written(text, name) for name, text in body.items()}
        if student == "dan":
            cells["ch01-normalize"] = (
                f"def normalize(counts, smoothing):\n    # {EVIL}\n    return 0"
            )
        reporting.hand_in(made, student, cells)
        reporting.graded(made, student, rows, status="ours" if student == "eve" else "graded")
    home = made.inbox / NAME / inbox.NOBODY / "odd" / "2026-12-01T000000Z-1"
    home.mkdir(parents=True)
    record = {
        "label": f"Nobody {EVIL}",
        "source": "x.zip",
        "collected": "2026-12-01T00:00:00+00:00",
    }
    record |= {"handed_in": "", "late": False, "digest": "0", "refused": []}
    (home / inbox.RECORD).write_text(json.dumps(record), encoding="utf-8")
    return made


def answered(one, function) -> list[str]:
    """What the sandbox writes down of a wrong answer on the fixed probes."""
    from course.sandbox.grading import fixed_answers

    return fixed_answers(one, SimpleNamespace(found={one.entry: function}))


# ------------------------------------------------------------------------------------------ alike


@pytest.fixture(scope="module")
def known(cohort):
    """What anyone may know of chapter 01."""
    return texts.known(cohort, NAME)


def written(body: dict[str, str], student: str, change=lambda text: text) -> list[Answer]:
    """The answers of a learner."""
    cells = {name: reporting.written(text, name) for name, text in body.items()}
    return [Answer(student, f"ch01-{name}", change(text)) for name, text in cells.items()]


def renamed(text: str) -> str:
    """Every variable and argument gets another name."""
    found = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    found |= {node.arg for node in ast.walk(ast.parse(text)) if isinstance(node, ast.arg)}
    names = found - {*dir(builtins), "math", "pairs", "softmax", "collections"}
    return re.sub(rf"(?<![.\w])({'|'.join(names)})\b", r"\1_other", text)


def decorated(text: str) -> str:
    """Other comments, another indentation, empty lines."""
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    return "\n\n".join(
        f"{line.replace('    ', chr(9))}  # mine, line {n}" for n, line in enumerate(lines)
    )


def helped(text: str) -> str:
    """A function of its own first, which does nothing that matters."""
    return f"def helper(x):\n    y = [x] * 3\n    return len(y)\n\n\n{text}\n\n\nprint(helper(1))\n"


DISGUISES = {
    "verbatim": lambda text: text,
    "other names": renamed,
    "other comments and white space": decorated,
    "both": lambda text: decorated(renamed(text)),
    "among other code": helped,
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("body", [ANN, BO], ids=["Ann", "Bo"])
def test_a_copy_is_found_whatever_it_wears(disguise, body, known):
    """Oracle: we made the copy, and nobody else copied."""
    other = BO if body is ANN else ANN
    answers = written(body, "source") + written(body, "copy", DISGUISES[disguise])
    answers += written(other, "honest")
    pairs, copies = alike.compare(answers, known, 3)
    assert [set(pair.students) for pair in pairs] == [{"source", "copy"}]
    assert copies == []


def test_functions_in_another_order_are_found(known):
    """One cell with two functions, turned round. Oracle: as above."""
    whole = [
        f"def f{k}(x, docs):\n{ANN[name]}" for k, name in enumerate(("count_ngrams", "sample"))
    ]
    whole.append(f"def g(rows, targets):\n{ANN['softmax_gradient']}")
    answers = [Answer("one", "ch01-open", "\n".join(whole))]
    answers.append(Answer("other", "ch01-open", "\n".join(reversed(whole))))
    ((pair,), _) = alike.compare(answers, known, 9)
    assert set(pair.students) == {"one", "other"}


def test_honest_solutions_are_not_alike(known):
    """Two that were written apart, in the smallest cohort, where nothing is common."""
    assert alike.compare(written(ANN, "ann") + written(BO, "bo"), known, 2) == ([], [])


def test_an_answer_that_is_nearly_forced_is_no_evidence(known):
    """The same one-line answers, not ours, to four short exercises."""
    lines = {"pairs": "    return [(a, b) for a, b in zip(tokens[:-1], tokens[1:])]\n"}
    lines["bigram_nll"] = "    return sum(-math.log(probs[a][b]) for d in docs for a, b in d)\n"
    lines["sample"] = "    return [i for i, p in enumerate(probs) if sum(probs[: i + 1]) > u][0]\n"
    lines["normalize"] = (
        "    return [(c + smoothing) / (sum(counts) + 27 * smoothing) for c in counts]\n"
    )
    answers = [one for who in ("ann", "bo") for one in written(lines, who)]
    assert alike.compare(answers, known, 2) == ([], [])


def test_a_copied_solution_is_named_and_no_pair(cohort, known):
    """Two learners with our solution; one of them has put other names in."""
    solution = {id: one.ours["our solution"] for id, one in known.items()}
    long = [id for id in solution if id != "ch01-open" and len(solution[id]) > 400]
    assert "ch01-train_bigram" in long
    answers = [Answer("plain", id, solution[id]) for id in long]
    answers += [Answer("disguised", id, renamed(solution[id])) for id in long]
    pairs, copies = alike.compare(answers, known, 30)
    assert pairs == []
    told = {(copy.student, copy.source, copy.names) for copy in copies}
    assert ("plain", "our solution", True) in told
    assert ("disguised", "our solution", False) in told
    assert not any(names for who, _, names in told if who == "disguised")


def test_the_released_text_is_nobodys(known):
    answers = [Answer(who, id, one.released) for id, one in known.items() for who in ("ann", "bo")]
    assert len(answers) == 20
    assert alike.compare(answers, known, 2) == ([], [])


def test_what_many_have_is_common_knowledge():
    """In a class of 40, three may share it, and four are a habit."""
    for many, pairs in ((3, 3), (4, 0)):
        answers = [one for k in range(many) for one in written(ANN, f"s{k}")]
        assert len(alike.compare(answers, {}, 40)[0]) == pairs


def test_a_program_in_c_is_compared_as_one():
    """The magic line is left out, and the language is that of the file."""
    text = "int f(int a) { return a; }\n"
    assert texts.program(f"%%answer linear_backward.c\n{text}") == (text, "c")
    assert texts.program("%%answer k.cu\n__global__") == ("__global__", "cuda")
    assert texts.program("%timeit f(1)") == ("%timeit f(1)", "python")
    loop = "for (int i = 0; i < n; i++) {{ {0} += i * {0}; if ({0} > 9) {0} -= n; }}"
    more = "while (n > 0 && {0} != 17) {{ {0} = {0} * 31 + n; n = n / 2; }}"
    body = (
        f"int f(int n) {{{{ int {{0}} = 0; {loop} {more} {loop[:-3]} n--; }}}} return {{0}}; }}}}"
    )
    answers = [Answer(who, "x", body.format(who)) for who in ("s", "total")]
    assert len(alike.compare(answers, {"x": Known(language="c")}, 2)[0]) == 1


# --------------------------------------------------------------------------------------- clusters


def result(student, rows, **more):
    values = {"assignment": NAME, "marks": 1.0, "of": 2.0, "late": 0.0, "seconds": 1.0}
    values |= {"status": "graded", "waits": False, "remarks": []} | more
    return SimpleNamespace(student=student, rows=rows, **values)


def row(answers, cause="value", id="ch01-pairs", outcome="not yet", sentence="said"):
    named = {"id": id, "title": "T", "cause": cause, "answers": answers, "result": outcome}
    return named | {"sentence": sentence, "kind": "function", "seconds": 1.0}


def test_equal_answers_are_a_group_whatever_their_last_digits():
    """0.1 + 0.2 and 0.3 are one answer; 0.3 and 0.31 are two, and so are a sum and an exception."""
    results = [
        result(
            "a", [row(["[0.30000000000000004, 1]", "raised KeyError"], "sign", sentence="minus")]
        ),
        result("b", [row(["[0.3, 1]", "raised KeyError"], "sign")]),
        result("c", [row(["[0.31, 1]", "raised KeyError"])]),
        result("d", [row(["[0.3, 1]", "[]"])]),
        result("e", [row(["[0.3, 1]", "raised KeyError"], "misconception 1")]),
        result("f", [row(["[0.3, 1]", "raised KeyError"], outcome="passed")]),
    ]
    ((one,), alone) = clusters.clusters(results)
    assert (one.students, one.answers) == (("a", "b"), ("[0.3, 1]", "raised KeyError"))
    assert (one.pattern, alone) == ("minus", 2)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0.1234567", "0.123457"),
        ("-0.0", "0.0"),
        ("1e-17", "0.0"),
        ("-3.00000001e+20", "-3e+20"),
        ("[12345678, 1.5]", "[12345678, 1.5]"),  # a whole number keeps all its digits
        ("'v1.50000001'", "'v1.50000001'"),  # no number of its own
        ("<f at 0x7f3a00112233>", "<f at 0x…>"),
        ("nan", "nan"),
    ],
)
def test_numbers_are_rounded_where_they_stand_alone(given, expected):
    assert clusters.rounded(given) == expected


def test_probes_are_those_that_the_sandbox_asked():
    """Oracle: the reference itself gives the right answers; a wrong one differs from them."""
    one = exercise.find("ch01-pairs")
    asked = clusters.probes(one)
    right = [clusters.rounded(text) for text in answered(one, exercise.resolve(one.reference))]
    assert [answer for _, answer in asked] == right and len(asked) > 3
    wrong = answered(one, lambda tokens: [])
    assert sum(a != b for (_, a), b in zip(asked, wrong)) > 3
    first = next(iter(one.probes(random.Random(one.id))))
    assert asked[0][0].startswith(f"pairs([{first[0][0]}" if first[0] else "pairs([")


# ---------------------------------------------------------------------------------------- summary


def test_sentences_are_the_courses_own():
    """What comes out of a sandbox can say anything; the class hears what the checks say."""
    one = exercise.find("ch01-pairs")
    known = [each.sentence for each in one.misconceptions]
    results = [
        result("a", [row(None, "misconception 0", sentence=known[0])]),
        result(
            "b", [row(None, "misconception 0", sentence=f"{known[0]} It was graded without ...")]
        ),
        result("c", [row(None, "misconception 1", sentence="Ada is a fool.")]),
        result("d", [row(None, "misconception 99", sentence="Ada is a fool.")]),
        result("e", [row(None, "misconception ²", sentence="Ada is a fool.")]),
        result("f", [row(None, "caught all", sentence="Ada is a fool.")]),
    ]
    told = summary.sayings(results, {one.id: one})
    assert [(each.sentence, each.students) for each in told] == [(known[0], 2), (known[1], 1)]


def test_who_falls_behind():
    """Counted by hand: of the last two chapters that half of the class has handed in."""
    students = ["a", "b", "c", "d"]
    handed = {"01": {"a", "b", "c"}, "02": {"a", "b", "c", "d"}, "03": {"a", "b"}, "04": {"a"}}
    marks = {"a": (1, 1), "b": (0.4, 0.4), "c": (0.1, 0), "d": (1, 1)}
    results = [
        result(student, [], assignment=name, marks=share, of=1)
        for student, shares in marks.items()
        for name, share in zip(("02", "03"), shares)
        if student in handed[name]
    ]
    found = summary.behind(students, list(handed), handed, results)
    assert [(one.student, one.why) for one in found] == [
        ("b", "less than half of the marks in 02 and 03"),
        ("c", "nothing handed in of 03"),
        ("d", "nothing handed in of 03"),
    ]


def test_what_waits():
    rows = [row(None, id="ch01-open", outcome="open"), row(None, outcome="passed")]
    broken = [row(None, outcome="broken", sentence="why")]
    results = [
        result("a", rows, waits=True),
        result("b", rows),  # read already
        result("c", broken, status="ours", waits=True),
        result("d", [], status="ours", remarks=["no memory"]),
        result("e", [row(None)], waits=True),
    ]
    made = summary.todo(results, {NAME: {"a", "b", "z"}}, {NAME: ["X"], "02": []})
    assert made.read == {(NAME, "ch01-open"): ["a"]}
    assert made.ours == [(NAME, "c", "ch01-pairs: why"), (NAME, "d", "no memory")]
    assert (made.ungraded, made.unknown, made.again) == (
        {NAME: ["z"]},
        {NAME: ["X"]},
        {NAME: ["e"]},
    )
    assert summary.todo([results[1]], {NAME: {"b"}}, {}).nothing


def test_a_chapter_is_counted():
    """Three learners, two handed in: by hand."""
    rows = [row(None, outcome="passed"), row(None, id="ch01-sample", outcome="stopped")]
    results = [result("a", rows, late=0.5), result("b", [rows[0], row(None, id="ch01-sample")])]
    made = summary.chapter(NAME, 3, {"a", "b"}, results)
    assert made.counts == {"passed": 2, "not yet": 2, "not handed in": 2}
    assert (made.late, made.median, made.kinds) == (1, 0.5, ["passed", "not yet"])


# ------------------------------------------------------------------------------------------- page


class Page(HTMLParser):
    """Elements with their attributes, and the texts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def page(cohort):
    return report.html(cohort)


def test_the_page_says_what_an_instructor_asks(page):
    """What was put in, in the order in which it is needed."""
    text = " ".join("".join(Page(page).texts).split())
    sentence = exercise.find("ch01-pairs").misconceptions[0].sentence
    wanted = [
        "Read 7 answers",
        "1 failure of ours.",
        "1 unknown name",
        "2 of 7 · ch01-pairs",
        sentence.replace("`", ""),
        "wrong in the same way, and not known yet",
        "2 of 7 · ch01-normalize",
        "# <script>alert(1)</script>",
        "Who may need a word",
        "when it was handed in",
        "It proves nothing.",
        "Ada Lovelace (ada) and Gus Gorman (gus)",
    ]
    places = [text.find(" ".join(part.split())) for part in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    first = [text.find(f" {name} ") for name in ("To do", "For the class", "Progress")]
    assert first == sorted(first)


def test_nothing_foreign_becomes_html(page):
    """Oracle: an HTML parser. No script, handler, style or address is in the page but our own."""
    parsed = Page(page)
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "link",
        "form",
        "base",
        "input",
    }
    for tag, attributes in parsed.elements:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], tag
        for key in ("href", "src", "xlink:href"):
            assert attributes.get(key, "#").startswith("#"), attributes
    assert "\u202e" not in page
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    (policy,) = [a["content"] for _, a in parsed.elements if a.get("http-equiv")]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy


def test_every_table_and_picture_can_be_read_without_eyes(page):
    parsed = Page(page)
    count = [tag for tag, _ in parsed.elements].count
    assert count("table") == count("caption") >= 4
    pictures = [attributes for tag, attributes in parsed.elements if tag == "svg"]
    assert len(pictures) == 2 and count("desc") == 2
    for one in pictures:
        assert one["role"] == "img" and one["aria-labelledby"]
    assert all("scope" in attributes for tag, attributes in parsed.elements if tag == "th")


def test_an_anonymous_page_names_nobody(cohort):
    """Oracle: the roster. Neither a name nor an id nor a learner's program is in it."""
    text = " ".join("".join(Page(report.html(cohort, anonymous=True)).texts).split())
    for student in cohort.students():
        for word in (student.id, student.first_name, student.last_name, student.email):
            assert not word or not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text), word
    for part in ("Lovelace", "alert", "Nobody <", "padded", "def "):
        assert part not in text
    assert "Read 7 answers" in text and "1 pair of learners" in text


def test_a_name_in_an_answer_is_hidden(cohort):
    hide = report._hider(cohort.students())
    assert hide("['ada', 'Ó SÚILLEABHÁIN', 'adam', 'bo@example.org']") == "['…', '…', 'adam', '…']"


def test_the_command_writes_a_page_and_keeps_the_one_before(cohort, capsys):
    for _ in range(2):
        assert cli.main(["cohort", "report", "--dir", str(cohort.root)]) == 0
    assert cli.main(["cohort", "report", "--anonymous", "--dir", str(cohort.root)]) == 0
    said = capsys.readouterr().out.splitlines()
    names = sorted(path.name for path in cohort.reports.iterdir())
    assert len(names) == len(said) == 3
    assert [re.sub(r"^\d{4}-\d\d-\d\d", "", name) for name in names] == ["", "-2", "-anonymous"]
    assert all((cohort.reports / name / "index.html").is_file() for name in names)


def test_a_cohort_without_anything(tmp_path):
    """Nobody, nothing: the page says so."""
    text = " ".join(Page(report.html(reporting.cohort(tmp_path / "empty", {}))).texts)
    for part in ("0 learners", "Nothing waits for you.", "Nothing is graded yet."):
        assert part in text


def test_who_was_found_later_is_unknown_no_more(tmp_path):
    """The same files, collected again from a folder with a learner's name."""
    made = SimpleNamespace(inbox=tmp_path)
    about = {
        "source": "x",
        "collected": "2026-12-01T00:00:00+00:00",
        "handed_in": "",
        "late": False,
    }
    for home, label, digest in (
        (f"{inbox.NOBODY}/one", "One", "1"),
        (f"{inbox.NOBODY}/two", "Two", "2"),
        ("ada", "ada", "1"),
    ):
        folder = made.inbox / NAME / home / f"2026-12-0{digest}"
        folder.mkdir(parents=True)
        record = about | {"label": label, "digest": digest, "refused": []}
        (folder / inbox.RECORD).write_text(json.dumps(record), encoding="utf-8")
    assert report.unassigned(made, NAME) == ["Two"]


def test_in_a_browser(page, tmp_path):
    """Oracle: Chromium, and axe-core. In light and dark, wide and narrow: nothing runs, nothing is
    asked for, nothing is wider than the screen, and names of learners are folded away."""
    env = browsing.browser()
    file = tmp_path / "index.html"
    file.write_text(page, encoding="utf-8")
    found = browsing.drive("report.mjs", file, env=env)
    assert found["dialogs"] == 0 and found["messages"] == []
    assert {url for url in found["requests"] if url != file.as_uri()} == set()
    for look, seen in found["looks"].items():
        assert seen["wide"] <= int(look.split()[1]), look
        assert seen["wrong"] == [], look
        assert seen["outside"] == [] and min(seen["letters"]) > 10, look
        for name in ("Hal", "Gus Gorman"):  # who handed in nothing, and one of two alike
            assert name not in seen["folded"] and name in seen["text"]
    assert found["policy"] == {"title": "autumn: report", "image": "refused", "fetch": "refused"}
