"""The table of all attacks: what each does, what became of it here, and what stopped it.

    python tests/attacks [WORD ...]

grades all attacks, or those with one of the words in their name, and prints a row for each.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[n]) for n in (1, 2)]

from attacks import load  # noqa: E402
from attacks.world import World, grade  # noqa: E402


def main(words: list[str]) -> int:
    """Prints the table; 1 where an attack has got through."""
    chosen = [one for one in load() if not words or any(word in one.name for word in words)]
    failed = 0
    print("| attack | what it does | what became of it | what stopped it |\n|:---|:---|:---|:---|")
    for chapter in sorted({one.chapter for one in chosen}):
        with World([one for one in chosen if one.chapter == chapter]) as world:
            rows = {row.id: row for row in grade(world, seed=world.secret).rows}
            for number, one in enumerate(world.attacks):
                row = rows[f"ch97-attack{number}"]
                harm = world.harm(row)
                honest = rows[f"ch97-honest{number}"].result == "passed"
                harm += [] if honest else ["the honest answer beside it lost its marks"]
                failed += bool(harm)
                told = f"**{'; '.join(harm)}**" if harm else row.result
                print(f"| {one.name} | {one.does} | {told} | {one.stopped} |", flush=True)
            for reached in world.reached():
                failed += 1
                print(f"**reached: {reached}**")
    return min(failed, 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
