"""Where the boxes of a graph stand: in columns from left to right, with few crossings.

The layered way (Sugiyama, Tagawa and Toda, 1981): a column for each distance to the result, an
order within columns by the middle of the neighbours, then heights as near to the neighbours as the
order allows. An edge over several columns takes a lane in each; edges from one box share lanes.
"""

from __future__ import annotations

WIDTH, HEIGHT = 112, 58  # of a box, in pixels
ACROSS, DOWN = 64, 14  # between columns, and between boxes of one column
LANE = 8  # the height of an edge that passes through a column
PORT = 16  # between the ends of two edges on one box, at most
EDGE = 8  # around the whole picture, for the thick line of the box in focus

Item = tuple[int, int]  # (box, its own column), or (box, another column): a lane of its edges


def place(into: list[list[int]]) -> tuple[list[int], list[list[int]], list[list[list[int]]]]:
    """The size [width, height], the middle left point of each box, and of each edge its heights.

    into: the children of each box, children before parents, the result last. An edge's heights are
    those of its lanes and last the one where it meets the parent.
    """
    depth = [0] * len(into)
    for parent in range(len(into) - 1, -1, -1):
        for child in into[parent]:
            depth[child] = max(depth[child], depth[parent] + 1)
    deepest = max(depth)
    column = [deepest - d for d in depth]
    columns = _columns(into, column)
    links = _links(into, column)
    _uncross(columns, links)
    y = _heights(columns, links, column)
    top = min(y.values()) - HEIGHT / 2 - EDGE
    bottom = max(y.values()) + HEIGHT / 2 + EDGE
    boxes = [
        [EDGE + column[i] * (WIDTH + ACROSS), round(y[i, column[i]] - top)]
        for i in range(len(into))
    ]
    routes = []
    for parent, children in enumerate(into):
        lanes = [
            [round(y[c, k] - top) for k in range(column[c] + 1, column[parent])] for c in children
        ]
        routes.append(_ports(boxes, parent, children, lanes))
    width = 2 * EDGE + WIDTH + deepest * (WIDTH + ACROSS)
    return [width, round(bottom - top)], boxes, routes


def _columns(into: list[list[int]], column: list[int]) -> list[list[Item]]:
    """The items of each column, at first in the order in which one meets them from the result."""
    rank: dict[int, int] = {}
    stack = [len(into) - 1]
    while stack:
        i = stack.pop()
        if i not in rank:
            rank[i] = len(rank)
            stack.extend(reversed(into[i]))
    items = {(i, column[i]) for i in range(len(into))}
    for parent, children in enumerate(into):
        items |= {(c, k) for c in children for k in range(column[c] + 1, column[parent])}
    found: list[list[Item]] = [[] for _ in range(max(column) + 1)]
    for item in sorted(items, key=lambda item: (item[1], rank[item[0]])):
        found[item[1]].append(item)
    return found


def _links(into: list[list[int]], column: list[int]) -> tuple[dict, dict]:
    """For each item its neighbours in the column before it, and in the one after it."""
    before: dict[Item, list[Item]] = {}
    after: dict[Item, list[Item]] = {}
    pairs: dict[tuple[Item, Item], None] = {}  # in a fixed order, each once
    for parent, children in enumerate(into):
        for child in children:
            way = [(child, k) for k in range(column[child], column[parent])]
            pairs.update(dict.fromkeys(zip(way, [*way[1:], (parent, column[parent])])))
    for left, right in pairs:
        after.setdefault(left, []).append(right)
        before.setdefault(right, []).append(left)
    return before, after


def _uncross(columns: list[list[Item]], links: tuple[dict, dict], rounds: int = 8) -> None:
    """Sort each column by the middle of its neighbours, there and back; keep the best order."""
    best, fewest = [list(one) for one in columns], _crossings(columns, links[1])
    for turn in range(rounds):
        if fewest == 0:
            break
        ways = columns if turn % 2 else columns[::-1]
        for fixed, free in zip(ways, ways[1:]):
            at = {item: k for k, item in enumerate(fixed)}
            mine = {item: k for k, item in enumerate(free)}
            near = links[0 if turn % 2 else 1]
            free.sort(key=lambda item: _mean([at[n] for n in near.get(item, ())], mine[item]))
        if (now := _crossings(columns, links[1])) < fewest:
            best, fewest = [list(one) for one in columns], now
    columns[:] = best


def _crossings(columns: list[list[Item]], after: dict) -> int:
    count = 0
    for left, right in zip(columns, columns[1:]):
        at = {item: k for k, item in enumerate(right)}
        ends: list[int] = []  # of the edges so far, from top to bottom
        for item in left:
            mine = [at[other] for other in after.get(item, ())]
            count += sum(end > one for one in mine for end in ends)
            ends += mine
    return count


def _heights(columns: list[list[Item]], links: tuple[dict, dict], column: list[int]) -> dict:
    """The height of each item: as near to the mean of its neighbours as its column allows."""
    size = {item: HEIGHT if item[1] == column[item[0]] else LANE for one in columns for item in one}
    y: dict[Item, float] = {}
    for one in columns:
        y.update(zip(one, _settle([0.0] * len(one), [size[item] for item in one])))
    for turn in range(12):
        sides = [links[0], links[1]] if turn > 7 else [links[1] if turn % 2 == 0 else links[0]]
        for one in columns if turn % 2 else columns[::-1]:
            near = [[y[n] for side in sides for n in side.get(item, ())] for item in one]
            wanted = [_mean(heights, y[item]) for heights, item in zip(near, one)]
            y.update(zip(one, _settle(wanted, [size[item] for item in one])))
    return y


def _settle(wanted: list[float], sizes: list[float]) -> list[float]:
    """Heights nearest to the wanted ones, in squares, without overlap and in the same order.

    Neighbours that would overlap become one block at their mean (pool adjacent violators).
    """
    offsets, at = [], 0.0
    for before, size in zip([sizes[0], *sizes], sizes):
        at += (before + size) / 2 + DOWN if offsets else 0
        offsets.append(at)
    blocks: list[tuple[float, int]] = []  # (mean, how many)
    for one, offset in zip(wanted, offsets):
        mean, many = one - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean, many = (mean * many + other * more) / (many + more), many + more
        blocks.append((mean, many))
    starts = [mean for mean, many in blocks for _ in range(many)]
    return [start + offset for start, offset in zip(starts, offsets)]


def _ports(boxes, parent: int, children: list[int], lanes: list[list[int]]) -> list[list[int]]:
    """The lanes of each edge and where it meets the parent: spread out, in the order they come."""
    if not children:
        return []
    apart = min(PORT, (HEIGHT - 12) / len(children))
    comes = [lane[-1] if lane else boxes[child][1] for child, lane in zip(children, lanes)]
    order = sorted(range(len(children)), key=lambda k: (comes[k], k))
    found = [[*lane, boxes[parent][1]] for lane in lanes]
    for turn, k in enumerate(order):
        found[k][-1] = round(found[k][-1] + (turn - (len(order) - 1) / 2) * apart)
    return found


def _mean(numbers: list[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise
