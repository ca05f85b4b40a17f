"""The graph of an expression as plain lists, read from a `Value` without changing it."""

from __future__ import annotations

from dataclasses import dataclass, field

from course.errors import UserError

# Towards one child: its index, d parent / d child, and what the parent passes on to it in backward.
# The last two are None between boxes that stand for several values at once.
Edge = tuple[int, float | None, float | None]


@dataclass
class Graph:
    """Boxes, each after the ones it was made from; the last is the result.

    name, op, data, count: one entry per box; count is how many values the box stands for, and data
    is None where they have no single output. into: per box its edges. members: per box of several
    values their indices in the graph before it was folded. seed: d result / d result, 1.
    """

    name: list[str] = field(default_factory=list)
    op: list[str] = field(default_factory=list)
    data: list[float | None] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    into: list[list[Edge]] = field(default_factory=list)
    members: dict[int, list[int]] = field(default_factory=dict)
    seed: float = 1.0

    def add(self, name: str, op: str, data: float | None, count: int, into: list[Edge]) -> None:
        """One more box."""
        self.name.append(name)
        self.op.append(op)
        self.data.append(data)
        self.count.append(count)
        self.into.append(into)


def walk(result, names=()) -> tuple[Graph, set[int]]:
    """The graph that ends at `result`, and the indices of the values that have a name.

    result: an object with `data`, `_children`, `_local_grads` (one number per child) and, where it
    has them, `_op` and `_birth`. names: a dict from name to value, or a list of such pairs; values
    outside the graph are passed over. Nothing is written to any of the objects.
    Raises UserError for anything else.
    """
    given = _names(names)
    nodes = _ordered(result)
    place = {id(node): i for i, node in enumerate(nodes)}
    graph, named, made = Graph(), set(), 0
    for i, node in enumerate(nodes):
        if len(node._local_grads) != len(node._children):
            raise UserError(
                f"value_graph met a value with {len(node._children)} children and "
                f"{len(node._local_grads)} local derivatives; give one derivative for each child."
            )
        into = []
        for child, local in zip(node._children, node._local_grads):
            into.append((place[id(child)], _number(local), None))
            if place[id(child)] >= i:
                raise UserError("value_graph met a circle: a value was made from itself.")
        name, data = given.get(id(node), ""), _number(node.data)
        if name:
            named.add(i)
        made += bool(into)
        label = name or ("result" if node is result else f"v{made}" if into else "")
        graph.add(label, str(getattr(node, "_op", "") or ("·" if into else "")), data, 1, into)
    return graph, named


def pass_back(graph: Graph) -> Graph:
    """The same graph with what each edge passes on in backward: local derivative times gradient."""
    grads = [0.0] * len(graph.into)
    grads[-1] = graph.seed
    for i in range(len(grads) - 1, -1, -1):
        edges = [(child, local, local * grads[i]) for child, local, _ in graph.into[i]]
        for child, _, passed in edges:
            grads[child] += passed
        graph.into[i] = edges
    return graph


def steps(graph: Graph) -> list[list]:
    """What happens, one step after the other, as rows of numbers.

    [box]: its data is computed. [box, gradient]: backward begins here. [box, edge, passed, total]:
    `edge`, counted over all boxes in order, adds `passed` to its child, whose gradient is `total`
    then; None where several values change at once.
    """
    found: list[list] = [[i] for i, into in enumerate(graph.into) if into]
    first, edges = [], 0
    for into in graph.into:
        first.append(edges)
        edges += len(into)
    totals = [0.0] * len(graph.into)
    found.append([len(totals) - 1, graph.seed])
    for i in range(len(totals) - 1, -1, -1):
        for k, (child, _, passed) in enumerate(graph.into[i]):
            total = None
            if passed is not None and graph.data[child] is not None:
                total = totals[child] = totals[child] + passed
            found.append([i, first[i] + k, passed if total is not None else None, total])
    return found


def _names(names) -> dict[int, str]:
    pairs = names.items() if isinstance(names, dict) else names or ()
    given: dict[int, str] = {}
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise UserError("value_graph takes `names` as a dict: {'a': a, 'b': b}.")
        name, node = pair
        _check(node, f"the name {name!r} stands for")
        given[id(node)] = str(name)[:40]
    return given


def _ordered(result) -> list:
    """Every value that `result` was made from, and itself, children first.

    In order of creation where the values know it. A stack instead of recursion: graphs are deep.
    """
    _check(result, "`result` is")
    order, seen, stack = [], set(), [(result, False)]
    while stack:
        node, children_done = stack.pop()
        if children_done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            for child in reversed(node._children):
                if id(child) not in seen:
                    _check(child, "a child is")
                    stack.append((child, False))
    births = [getattr(node, "_birth", None) for node in order]
    if all(type(birth) is int for birth in births):
        by_birth = sorted(order, key=lambda node: node._birth)
        place = {id(node): i for i, node in enumerate(by_birth)}
        if all(place[id(c)] < i for i, node in enumerate(by_birth) for c in node._children):
            return by_birth
    return order


def _check(node, what: str) -> None:
    try:
        _ = node.data, node._children, node._local_grads
    except AttributeError:
        raise UserError(
            "value_graph draws a Value, with data, _children and _local_grads; "
            f"{what} {node!r:.60}."
        ) from None


def _number(number) -> float:
    try:
        return float(number)
    except (TypeError, ValueError):
        raise UserError(
            f"value_graph draws numbers; a value's data or derivative is {number!r:.60}."
        ) from None
