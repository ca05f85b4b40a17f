"""A cohort made for tests of its report: an nbgrader course with submissions and results."""

from __future__ import annotations

import datetime
from pathlib import Path

from sqlalchemy import insert

from course import notebooks, paths
from course.checking import exercise
from course.cohort import gradebook, marks
from course.cohort.folder import CONFIG, Cohort, open_cohort

DUE = datetime.datetime(2026, 12, 1, 17)
EVIL = "<script>alert(1)</script>"

# Two honest learners of chapter 01, who wrote without looking at each other or at a solution.
ANN = {
    "pairs": """\
    out = []
    for i in range(len(tokens) - 1):
        out.append((tokens[i], tokens[i + 1]))
    return out
""",
    "sample": """\
    # walk along the probabilities until their sum is larger than u
    s = 0
    for i in range(len(probs)):
        s = s + probs[i]
        if u < s:
            return i
    # rounding: take the last letter that can happen at all
    i = len(probs) - 1
    while probs[i] == 0:
        i -= 1
    return i
""",
    "bigram_nll": """\
    losses = []
    for doc in docs:
        for i in range(1, len(doc)):
            p = probs[doc[i - 1]][doc[i]]
            losses.append(-math.log(p))
    return sum(losses) / len(losses)
""",
    "count_ngrams": """\
    counts = {}
    for doc in docs:
        start = [doc[0]] * (n - 2)
        padded = start + list(doc)
        for i in range(n - 1, len(padded)):
            context = tuple(padded[i - n + 1 : i])
            if context not in counts:
                counts[context] = [0] * vocab_size
            counts[context][padded[i]] += 1
    return counts
""",
    "softmax_gradient": """\
    grads = []
    n = len(rows)
    for r in range(n):
        biggest = max(rows[r])
        e = [math.exp(x - biggest) for x in rows[r]]
        z = sum(e)
        g = [x / z for x in e]
        g[targets[r]] = g[targets[r]] - 1
        g = [x / n for x in g]
        grads.append(g)
    return grads
""",
}
BO = {
    "pairs": "    return [(a, b) for a, b in zip(tokens[:-1], tokens[1:])]\n",
    "sample": """\
    cumulative = 0.0
    last = 0
    for index, p in enumerate(probs):
        cumulative += p
        if p > 0:
            last = index
        if u < cumulative:
            return index
    return last
""",
    "bigram_nll": """\
    everything = [pair for d in docs for pair in pairs(d)]
    return -sum(math.log(probs[a][b]) for a, b in everything) / len(everything)
""",
    "count_ngrams": """\
    table = collections.defaultdict(lambda: [0] * vocab_size)
    for doc in docs:
        ctx = (doc[0],) * (n - 1)
        for t in doc[1:]:
            table[ctx][t] += 1
            ctx = (*ctx, t)[1:]
    return dict(table)
""",
    "softmax_gradient": """\
    result = []
    for row, target in zip(rows, targets):
        p = softmax(row)
        y = [1.0 if k == target else 0.0 for k in range(len(row))]
        result.append([(pk - yk) / len(rows) for pk, yk in zip(p, y)])
    return result
""",
}


def cohort(root: Path, students: dict[str, tuple[str, str]]) -> Cohort:
    """A cohort with these learners, {id: (first name, last name)}, and no assignment."""
    root.mkdir(parents=True, exist_ok=True)
    text = 'c = get_config()\nc.CourseDirectory.course_id = "autumn"\n'
    (root / CONFIG).write_text(text, encoding="utf-8")
    made = open_cohort(root)
    with made.gradebook() as book:
        for id, (first, last) in students.items():
            book.add_student(id, first_name=first, last_name=last, email=f"{id}@example.org")
    return made


def assign(made: Cohort, name: str) -> None:
    """Adds an assignment of the course, with a grade cell for each exercise."""
    with made.gradebook() as book:
        book.add_assignment(name, duedate=DUE)
        book.add_notebook(name, name)
        for one in exercises(name):
            cell = f"{one.id}-check" if one.kind != "open" else one.id
            book.add_grade_cell(cell, name, name, max_score=one.points, cell_type="code")
    with gradebook.open_book(made) as book, book.transaction() as connection:
        run = {"assignment": name, "seed": "s", "started": DUE, "version": "0", "options": "{}"}
        connection.execute(insert(gradebook.RUNS).values(**run))


def exercises(name: str) -> list:
    """The exercises of a chapter's own notebook."""
    return exercise.of_notebook(exercise.load(name[:2]), name)


def written(body: str, name: str) -> str:
    """The released cell of `name` of chapter 01 with a body in the place of its stub."""
    nb = notebooks.read(paths.EXERCISES / "01_bigram.ipynb")
    cell = next(one for one in nb["cells"] if notebooks.grade_id(one) == f"ch01-{name}")
    return notebooks.source(cell).partition("    # YOUR CODE HERE")[0] + body


def hand_in(made: Cohort, student: str, answers: dict[str, str], name: str = "01_bigram") -> Path:
    """Writes a submission: the released notebook with these whole cells by the exercise's id."""
    nb = notebooks.read(paths.EXERCISES / f"{name}.ipynb")
    for cell in nb["cells"]:
        cell["source"] = answers.get(notebooks.grade_id(cell), notebooks.source(cell))
    file = made.submitted(student, name) / f"{name}.ipynb"
    notebooks.write(file, nb)
    return file


def graded(made: Cohort, student: str, said: dict[str, dict], name: str = "01_bigram", **more):
    """Records a result: `said` holds what differs from "passed" in the rows, by exercise."""
    rows = []
    for one in exercises(name):
        row = {"id": one.id, "title": one.title, "kind": one.kind, "points": one.points}
        row |= {"result": "open" if one.kind == "open" else "passed", "sentence": "", "cause": ""}
        row |= {"seconds": 0.5, "rubric": len(one.rubric), "answers": None, "notebook": name}
        rows.append(row | said.get(one.id, {}))
    timestamp = more.pop("timestamp", DUE - datetime.timedelta(hours=len(student)))
    given = {"status": "graded", "remarks": []} | more
    result = gradebook.Graded(student, name, f"sha {student}", "seed", 4.2, rows=rows, **given)
    with gradebook.open_book(made) as book:
        marks.record(book, int(name[:2]), result, timestamp=timestamp)


def misconception(id: str, number: int = 0) -> dict:
    """What differs in the row of an answer that is one of the exercise's misconceptions."""
    one = exercise.find(id)
    sentence = one.misconceptions[number].sentence
    return {"result": "not yet", "cause": f"misconception {number}", "sentence": sentence}
