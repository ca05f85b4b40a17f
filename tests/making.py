"""Small notebooks for tests, cell by cell, with nbgrader's metadata as the course writes it."""

import copy


def text(id, words):
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": words}


def code(id, lines, graded=None):
    metadata = {"nbgrader": graded} if graded else {}
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": id,
        "metadata": metadata,
        "outputs": [],
        "source": lines,
    }


def answer(name, lines, id=None):
    kind = {"grade": False, "solution": True, "locked": False, "task": False}
    return code(id or f"{name}-id", lines, {**kind, "grade_id": name, "schema_version": 3})


def check(name, points=2, id=None):
    kind = {"grade": True, "solution": False, "locked": True, "task": False, "points": points}
    graded = {**kind, "grade_id": f"{name}-check", "schema_version": 3}
    return code(id or f"{name}-check-id", f'check("{name}")', graded)


def notebook(*cells):
    cells = copy.deepcopy(list(cells))
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
