"""Programs as sets of fingerprints, by copydetect.

copydetect writes a program as its structure: every variable is V, a function's name F, a text S;
comments and white space are gone. A fingerprint is a run of RUN letters of that, and all of them
are kept: answers are short, and a choice among them would change from run to run.
"""

from __future__ import annotations

import io
from functools import lru_cache

from copydetect.detector import CodeFingerprint
from copydetect.utils import get_token_coverage
from pygments import lexers, token

RUN = 25  # letters in a fingerprint: about two short statements


def structure_of(text: str, language: str) -> CodeFingerprint:
    """Of the structure alone, so that other names change nothing. language: as pygments says."""
    return CodeFingerprint("", RUN, 1, language=language, fp=io.StringIO(text))


def words_of(text: str, language: str) -> CodeFingerprint:
    """Of the program with its names, without comments, texts and white space."""
    left_out = (token.Comment, token.Text, token.Literal.String)
    return _plain(
        "".join(
            words
            for kind, words in _lexed(text, language)
            if not any(kind in one for one in left_out)
        )
    )


def comments_of(text: str, language: str) -> CodeFingerprint:
    """Of the comments alone, in small letters, without the signs that make them comments."""
    said = (
        words.strip("#/* \t\n") for kind, words in _lexed(text, language) if kind in token.Comment
    )
    return _plain(" ".join(" ".join(said).lower().split()))


def marks_of(make, texts, language: str) -> set:
    """All fingerprints of several sources; make: one of the three above.

    A source is read once for all exercises.
    """
    return {mark for text in texts for mark in _of_source(make, text, language)}


@lru_cache(maxsize=64)
def _of_source(make, text: str, language: str) -> frozenset:
    return frozenset(make(text, language).hashes)


def covered(one: CodeFingerprint, marks: set) -> int:
    """How many letters of a text these of its fingerprints cover."""
    places = {mark: one.hash_idx[mark] for mark in marks}
    return int(get_token_coverage(places, one.k, len(one.filtered_code)))


def keep(one: CodeFingerprint, marks: set) -> None:
    """Leaves only these fingerprints.

    copydetect's own `boilerplate` would drop one of those that stand in a text twice, too.
    """
    one.token_coverage = covered(one, marks)
    one.hash_idx = {mark: one.hash_idx[mark] for mark in marks}
    one.hashes = marks


def _lexed(text: str, language: str):
    return lexers.get_lexer_by_name(language).get_tokens(text)


def _plain(text: str) -> CodeFingerprint:
    return CodeFingerprint("", RUN, 1, filter=False, fp=io.StringIO(text))
