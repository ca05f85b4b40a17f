"""Mistakes in the tokens: which id a character has, and where BOS stands."""

from .mistake import mistake

_SHUFFLE = "    rng.shuffle(docs)\n"
_CHARS = '    chars = sorted(set("".join(docs)))\n'
_IDS = "bos, ids = len(chars), {char: i for i, char in enumerate(chars)}"
_TOKENS = "[[bos, *(ids[char] for char in doc), bos] for doc in docs]"
_NEW = "    state_dict = init_state_dict(len(chars) + 1, rng)\n"
_LONG = "n, cache = min(block_size, len(tokens) - 1)"
_STAGE = "tokens"

MISTAKES = [
    mistake(
        "first_seen",
        _STAGE,
        "characters get their ids in the order in which they first appear",
        "The ids follow the sorted characters, so that they do not hang on the order of the "
        "documents. Sort the distinct characters before you number them.",
        (_CHARS, '    chars = list(dict.fromkeys("".join(docs)))\n'),
    ),
    mistake(
        "first_seen_in_file",
        _STAGE,
        "characters get their ids in the order of the file",
        "The ids follow the sorted characters: the smallest code point has id 0. Sort the "
        "distinct characters before you number them.",
        (_SHUFFLE, '    chars = list(dict.fromkeys("".join(docs)))\n' + _SHUFFLE),
        (_CHARS, ""),
    ),
    mistake(
        "sorted_without_case",
        _STAGE,
        "characters are sorted without regard to upper and lower case",
        "Sorting by code point puts all of A to Z before a. Sort the characters as they are, "
        "without a key.",
        (_CHARS, '    chars = sorted(set("".join(docs)), key=lambda c: (c.lower(), c))\n'),
    ),
    mistake(
        "bos_first",
        _STAGE,
        "BOS has id 0 and the characters follow",
        "Rows of the embedding are drawn in the order of the ids, so each character has another "
        "row than it should. BOS gets the last id, after all characters.",
        (_IDS, "bos, ids = 0, {char: i + 1 for i, char in enumerate(chars)}"),
    ),
    mistake(
        "no_bos_at_end",
        _STAGE,
        "the BOS after the last character is missing",
        "The end of a name is predicted like a character, and its loss counts. A name with c "
        "characters has c + 1 predictions; count yours for a short name.",
        (_TOKENS, "[[bos, *(ids[char] for char in doc)] for doc in docs]"),
    ),
    mistake(
        "no_bos_at_start",
        _STAGE,
        "the BOS before the first character is missing",
        "The first character is predicted too, from BOS at position 0. A name with c characters "
        "has c + 1 predictions; count yours for a short name.",
        (_TOKENS, "[[*(ids[char] for char in doc), bos] for doc in docs]"),
    ),
    mistake(
        "two_special_tokens",
        _STAGE,
        "a name ends with another token than it starts with",
        "One token, BOS, means both start and end. So there is one token more than there are "
        "characters, not two; count the rows of your embedding.",
        (_TOKENS, "[[bos, *(ids[char] for char in doc), bos + 1] for doc in docs]"),
        (_NEW, _NEW.replace("+ 1", "+ 2")),
    ),
    mistake(
        "cut_to_15",
        _STAGE,
        "names are cut to 15 characters so that both BOS fit into the block",
        "The block limits what goes into the model, and the last token only has to be predicted. "
        "A long name has 16 predictions, of its first 16 characters, and its end is not among "
        "them.",
        (_TOKENS, "[[bos, *(ids[char] for char in doc[:15]), bos] for doc in docs]"),
    ),
    mistake(
        "cut_to_16_tokens",
        _STAGE,
        "a document is cut to 16 tokens, which leaves 15 predictions",
        "The block size counts predictions: 16 tokens go into the model, and a seventeenth is the "
        "last target. Look at where a long document is cut off.",
        (_LONG, "n, cache = min(block_size - 1, len(tokens) - 1)"),
    ),
    mistake(
        "last_16",
        _STAGE,
        "of a long name the last 16 predictions count",
        "The first 16 predictions count, starting with BOS at position 0; the end of a long name "
        "is never reached. Look at which side you cut.",
        (_TOKENS, "[[bos, *(ids[char] for char in doc), bos][-17:] for doc in docs]"),
    ),
]
