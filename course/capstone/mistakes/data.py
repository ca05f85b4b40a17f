"""Mistakes in the data: which lines are documents, and in which order they are learned."""

from .mistake import mistake

_LINES = "docs = [line.strip() for line in file if line.strip()]"
_SHUFFLE = "    rng.shuffle(docs)\n"
_TOKENS = "[[bos, *(ids[char] for char in doc), bos] for doc in docs]"
_SEED = "    rng = random.Random(42)\n"
_NEW = "    state_dict = init_state_dict(len(chars) + 1, rng)\n"
_PICK = "token_docs[i % len(token_docs)]"
_LOSS = "            loss = document_loss("
_ORDER, _READING = "data order", "reading the file"
_RANDOM = "random numbers"


def _seed(seed: int | str):
    return mistake(
        f"seed_{seed}",
        _RANDOM,
        f"the generator is seeded with {seed}",
        "The order of the documents and all parameters hang on the seed. The specification says "
        "which number it is, and that it is given once, before the first draw.",
        (_SEED, f"    rng = random.Random({seed!r})\n"),
    )


ORDER = [
    mistake(
        "no_shuffle",
        _ORDER,
        "the documents are not shuffled",
        "Training takes them in the file's order, and the parameters get the numbers that the "
        "shuffle should have used. Look where the list of documents is complete: one draw from the "
        "generator comes right after that, before any parameter.",
        (_SHUFFLE, ""),
    ),
    mistake(
        "shuffled_late",
        _ORDER,
        "the documents are shuffled after the parameters were drawn",
        "All draws come from one generator, so their order decides what each of them gives. "
        "Read the third ground rule again, and put your draws in its order.",
        (_SHUFFLE, ""),
        (_NEW, _NEW + "    rng.shuffle(token_docs)\n"),
    ),
    mistake(
        "sorted_first",
        _ORDER,
        "the documents are sorted before they are shuffled",
        "A shuffle moves places, so what stood where before it matters. The documents should "
        "go into it in the order of the file; look for a sort that comes too early.",
        (_SHUFFLE, "    docs.sort()\n" + _SHUFFLE),
    ),
    mistake(
        "sorted_instead",
        _ORDER,
        "the documents are sorted and never shuffled",
        "The specification sorts the characters, not the documents. The documents stay in the "
        "order of the file and are then shuffled once, before any other draw.",
        (_SHUFFLE, "    docs.sort()\n"),
    ),
    mistake(
        "shuffled_before_dropping",
        _ORDER,
        "the lines are shuffled before empty ones are dropped",
        "A shuffle of a longer list draws other numbers, and more of them. First make the "
        "documents: strip, drop what is empty. Then shuffle what is left.",
        (_LINES, "docs = list(file)"),
        (_SHUFFLE, _SHUFFLE + "    docs = [line.strip() for line in docs if line.strip()]\n"),
    ),
    mistake(
        "reshuffled",
        _ORDER,
        "the documents are shuffled again each time all were used",
        "That is a good habit elsewhere, but here there is one shuffle only: after the last "
        "document comes the first again, in the same order as before.",
        (_SEED, "    global rng\n" + _SEED),
        (
            _LOSS,
            "            if i and i % len(token_docs) == 0:\n"
            "                rng.shuffle(token_docs)\n" + _LOSS,
        ),
    ),
    mistake(
        "drawn_each_step",
        _ORDER,
        "each step draws its document at random",
        "Steps take the documents one after the other, from the first of the shuffled list on. "
        "Training draws nothing from the generator; look for a draw inside the loop.",
        (_SEED, "    global rng\n" + _SEED),
        (_PICK, "rng.choice(token_docs)"),
    ),
    mistake(
        "drawn_instead_of_shuffled",
        _ORDER,
        "nothing is shuffled and each step draws its document at random",
        "The specification shuffles the list once, before the parameters are drawn. Training "
        "then goes through it from the first document on, and draws nothing.",
        (_SHUFFLE, ""),
        (_SEED, "    global rng\n" + _SEED),
        (_PICK, "rng.choice(token_docs)"),
    ),
    mistake(
        "second_document_first",
        _ORDER,
        "step s trains on document s + 1",
        "The first step should take the first document of the shuffled list. Look at the number "
        "with which your loop begins, and at where it is used as an index.",
        (_PICK, "token_docs[(i + 1) % len(token_docs)]"),
    ),
    mistake(
        "held_out",
        _ORDER,
        "one document in ten is kept away from training",
        "There is no validation set here: all documents of the shuffled list are trained on, and "
        "only after the very last one comes the first again. Look where the list is cut.",
        (_TOKENS, "[[bos, *(ids[c] for c in doc), bos] for doc in docs[: int(0.9 * len(docs))]]"),
    ),
    *map(_seed, (0, 1, 41, 43, 1337, "42")),
    mistake(
        "seeded_again",
        _RANDOM,
        "the parameters come from a generator that is seeded anew",
        "The shuffle has used some numbers of the generator already, and the parameters get those "
        "that follow. Seed once, and hand the same generator on.",
        (_NEW, _NEW.replace("rng", "random.Random(42)")),
    ),
]

LINES = [
    mistake(
        "deduplicated",
        _READING,
        "a name that stands twice in the file is one document",
        "Each line is a document of its own, however often the same name comes. Only lines that "
        "are empty are dropped; look for a set or a dict between the file and the shuffle.",
        (_SHUFFLE, "    docs = list(dict.fromkeys(docs))\n" + _SHUFFLE),
    ),
    mistake(
        "sorted_set",
        _READING,
        "the documents are a sorted set before they are shuffled",
        "A set forgets which names stood twice, and sorting forgets the file's order. Keep every "
        "line that is not empty, in the order of the file, and shuffle that list.",
        (_SHUFFLE, "    docs = sorted(set(docs))\n" + _SHUFFLE),
    ),
    mistake(
        "not_stripped",
        _READING,
        "white space around a name stays and becomes tokens",
        "A line may begin or end with spaces, tabs or other white space, which belong to no name. "
        "Only what stands inside a name stays. Print a few documents of a list with such lines.",
        (_LINES, 'docs = [line.rstrip("\\n") for line in file if line.strip()]'),
    ),
    mistake(
        "never_stripped",
        _READING,
        "lines stay as they are, and only empty ones are dropped",
        "A line may begin or end with white space, which belongs to no name, and a line of nothing "
        "else is no document. Strip each line first, then look whether something is left.",
        (_LINES, 'docs = [line.rstrip("\\n") for line in file if line.rstrip("\\n")]'),
    ),
    mistake(
        "empty_kept",
        _READING,
        "lines with nothing in them are documents too",
        "Such a document is BOS, BOS, and it moves all others in the shuffle. Drop every line "
        "that has nothing left after stripping, before you shuffle.",
        (_LINES, "docs = [line.strip() for line in file]"),
    ),
    mistake(
        "blank_kept",
        _READING,
        "lines of nothing but white space are documents",
        "You drop lines that are empty from the start, but a line of spaces is empty only once it "
        "is stripped. Strip first, then look whether something is left.",
        (_LINES, 'docs = [line.strip() for line in file if line.rstrip("\\n")]'),
    ),
    mistake(
        "lowercased",
        _READING,
        "all letters are made lower case",
        "Upper and lower case are different characters with ids of their own, and nothing of a "
        "document is changed but the white space at its ends.",
        (_LINES, "docs = [line.strip().lower() for line in file if line.strip()]"),
    ),
    mistake(
        "split_at_spaces",
        _READING,
        "the file is split at every white space",
        "A line is a document. A space inside it is a character like any other, so two words on "
        "one line are one document. Split the text where lines end and nowhere else.",
        (_LINES, "docs = file.read().split()"),
    ),
    mistake(
        "long_dropped",
        _READING,
        "names of more than 16 characters are left out",
        "Long names stay in the list. Only their loss is cut: the first 16 predictions count, "
        "and the rest is never computed. Look for a condition on the length.",
        (_LINES, "docs = [line.strip() for line in file if 0 < len(line.strip()) <= 16]"),
    ),
]

MISTAKES = [*ORDER, *LINES]
