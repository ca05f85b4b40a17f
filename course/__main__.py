"""`python3 -m course`: the one way in, on a fresh machine too.

Every Python can read this file, 2.7 included, so that the wrong one is told so in a sentence
instead of a SyntaxError. Everything newer is imported after the question has been asked.
"""

import sys

OLDEST = (3, 11)


def main():
    """Runs the command line and returns its exit code: 2 when this Python is too old."""
    if sys.version_info[:2] < OLDEST:
        sys.stderr.write(
            "This is Python %d.%d, and the course needs Python %d.%d or newer: install one from "
            "python.org (or your system's packages) and start it by its name, such as "
            "`python3.12 -m course lab`.\n" % (tuple(sys.version_info[:2]) + OLDEST)
        )
        return 2
    from course.machine import bootstrap

    return bootstrap.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
