"""Fold a large graph: values that only serve one other value go into its box.

A box with one output is as good as a single operation: its local derivatives are the chain rule's
sums over all paths inside. So the folded graph passes back the very gradients of the full one.
"""

from __future__ import annotations

import math

from course.widgets.graph.walk import Edge, Graph, pass_back

LIMIT = 60  # boxes in one picture
FEW, SOME = 12, 24  # fewer boxes than FEW say little; then large boxes are cut, into about SOME


def fold(graph: Graph, named: set[int]) -> Graph:
    """A graph of at most LIMIT boxes, with what each edge passes back; itself where it is small.

    First every value that is used once goes into the box of its user, unless it has a name. Where
    that leaves too many boxes, those of one level are put together, the fullest level first.
    """
    if len(graph.into) <= LIMIT:
        return pass_back(graph)
    most = len(graph.into)
    users = _users(graph)
    heads = _heads(graph, users, named, most)
    if _boxes(heads) < FEW:
        most = math.ceil(len(graph.into) / SOME)
        while _boxes(heads := _heads(graph, users, named, most)) > LIMIT:
            most *= 2
    folded, kept = _gather(graph, heads, named)
    return _levels(pass_back(folded), kept) if len(folded.into) > LIMIT else pass_back(folded)


def inside(graph: Graph, members: list[int], seed: float) -> Graph | None:
    """What one folded box holds, and what goes into it, as a graph; None if it is too large.

    members: indices in `graph`, the box's output last. seed: that output's gradient.
    """
    mine = set(members)
    outside = sorted({c for i in members for c, _, _ in graph.into[i] if c not in mine})
    if len(mine) + len(outside) > LIMIT:
        return None
    place = {old: new for new, old in enumerate(outside + members)}
    part = Graph(seed=seed)
    for i in outside + members:
        into = [(place[c], local, None) for c, local, _ in graph.into[i]] if i in mine else []
        op = graph.op[i] if into else ""
        part.add(graph.name[i], op, graph.data[i], 1, into)
    return pass_back(part)


def _boxes(heads: list[int]) -> int:
    return len(set(heads))


def _users(graph: Graph) -> list[int | None]:
    """For each value the only one that was made from it; -1 where there are several."""
    users: list[int | None] = [None] * len(graph.into)
    for i, into in enumerate(graph.into):
        for child, _, _ in into:
            users[child] = i if users[child] in (None, i) else -1
    return users


def _heads(graph: Graph, users: list[int | None], named: set[int], most: int) -> list[int]:
    """For each value the output of its box: its only user's, as long as that has room.

    No box can be part of a circle: whatever leaves a value here goes to its only user.
    """
    head, size = list(range(len(users))), [1] * len(users)
    for i, into in enumerate(graph.into):
        alone = {c for c, _, _ in into if users[c] == i and c not in named}
        for child in sorted(alone, key=lambda c: (size[c], c)) if len(alone) > 1 else alone:
            if size[i] + size[child] <= most:
                head[child] = i
                size[i] += size[child]
    for i in range(len(head) - 1, -1, -1):
        head[i] = head[head[i]]
    return head


def _gather(graph: Graph, heads: list[int], named: set[int]) -> tuple[Graph, set[int]]:
    """One box per head, with the chain rule carried out inside; and the boxes that have a name."""
    members: dict[int, list[int]] = {}
    for i, head in enumerate(heads):
        members.setdefault(head, []).append(i)
    order = sorted(members)  # a head comes after all that is in its box, and after what goes in
    place = {head: k for k, head in enumerate(order)}
    folded = Graph()
    for k, head in enumerate(order):
        mine = members[head]
        if len(mine) > 1:
            folded.members[k] = mine
            inputs = _through(graph, mine, heads)
        else:
            inputs = [(child, local) for child, local, _ in graph.into[head]]
        into = [(place[child], local, None) for child, local in inputs]
        folded.add(graph.name[head], graph.op[head], graph.data[head], len(mine), into)
    return folded, {place[i] for i in named}


def _through(graph: Graph, mine: list[int], heads: list[int]) -> list[tuple[int, float]]:
    """d output / d input for each input of the box `mine`, whose output is its last member."""
    slope = dict.fromkeys(mine, 0.0)
    slope[mine[-1]] = 1.0
    outer: dict[int, float] = {}
    for i in reversed(mine):
        for child, local, _ in graph.into[i]:
            found = slope if heads[child] == mine[-1] else outer
            found[child] = found.get(child, 0.0) + local * slope[i]
    return sorted(outer.items())


def _levels(graph: Graph, named: set[int]) -> Graph:
    """Boxes of one level put together until LIMIT are left; or else neighbouring levels as well.

    A box's level is the longest way to it from a leaf, so edges always go up and no circle arises.
    """
    level: list[int] = []
    for into in graph.into:
        level.append(1 + max((level[c] for c, _, _ in into), default=-1))
    last = len(level) - 1  # the result stays a box of its own: nothing else is on its level
    free: dict[int, list[int]] = {}
    for i in range(last):
        if i not in named:
            free.setdefault(level[i], []).append(i)
    group: list[tuple[int, int]] = [(level[i], i) for i in range(last + 1)]
    left = len(group)
    for one in sorted(free, key=lambda one: (-len(free[one]), one)):
        if left > LIMIT and len(free[one]) > 1:
            left -= len(free[one]) - 1
            for i in free[one]:
                group[i] = (one, free[one][0])
    if left > LIMIT:
        leaves = {i for i in named if not graph.into[i]}  # nothing goes in: no circle through them
        kept = leaves if len(leaves) <= FEW else set()
        group = [
            (-1, i) if i in kept else (one * SOME // level[last], -1) for i, one in enumerate(level)
        ]
        group[last] = (LIMIT, last)
    return _merge(graph, group)


def _merge(graph: Graph, group: list[tuple[int, int]]) -> Graph:
    """One box per value of `group`, in its order; edges between the same two boxes become one."""
    members: dict[tuple[int, int], list[int]] = {}
    for i, one in enumerate(group):
        members.setdefault(one, []).append(i)
    place = {one: k for k, one in enumerate(sorted(members))}
    merged = Graph(seed=graph.seed)
    for one, k in place.items():
        first, several = members[one][0], len(members[one]) > 1
        edges: dict[int, Edge] = {}
        for i in members[one]:
            for child, local, passed in graph.into[i]:
                to = place[group[child]]
                if to != k:
                    before = edges[to][2] if to in edges else 0.0
                    alone = not several and len(members[group[child]]) == 1
                    edges[to] = (to, local if alone else None, before + passed)
        count = sum(graph.count[i] for i in members[one])
        data = None if several else graph.data[first]
        name, op = ("", "") if several else (graph.name[first], graph.op[first])
        merged.add(name, op, data, count, sorted(edges.values(), key=lambda edge: edge[0]))
        if not several and first in graph.members:
            merged.members[k] = graph.members[first]
    return merged
