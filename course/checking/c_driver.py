"""The `main` that calls a learner's C function: its text, the job it reads, the record it writes.

The job comes over standard input: where to write, a word that nobody can guess, the arguments. The
record is a file of lines that begin with that word, so nothing that the learner's code prints is
taken for a result. Numbers go both ways as hexadecimal floats, so that no digit is lost.

An array lies in memory of exactly its size, where AddressSanitizer sees the first step beyond it.
Without AddressSanitizer 64 numbers of a pattern stand on each side, and are looked at afterwards.
Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

UNWRITTEN, TOUCHED = "?", "~"  # a number that was never written; one computed from such a number

# C type -> (bits of a number not yet written, the same once computed with, reader, format).
# For floats a signalling nan, which every operation turns into the quiet one of the same bits.
TYPES = {
    "double": ("0x7FF4C0DEC0DEC0DEull", "0x7FFCC0DEC0DEC0DEull", "strtod(s, 0)", "%a"),
    "float": ("0x7FA4C0DEu", "0x7FE4C0DEu", "strtod(s, 0)", "%a"),
    "int": ("0xC0DEC0DEu", "0xC0DEC0DEu", "strtol(s, 0, 10)", "%d"),
}

HEAD = r"""
#undef main
#define __USE_MINGW_ANSI_STDIO 1 /* %a, on Windows */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef _WIN32
#include <sys/resource.h>
#include <unistd.h>
/* What is graded starts no other programs; the system's own limit does not hold for root. */
pid_t fork(void) { return -1; }
pid_t vfork(void) { return -1; }
int system(const char *command) { return command ? -1 : 0; }
#endif

#if defined(__SANITIZE_ADDRESS__)
#define GUARD 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARD 0
#endif
#endif
#ifndef GUARD
#define GUARD 64
#endif
#ifdef DEVICE_MEMORY /* of cuda_code.py, whose machine watches its own memory */
void *DEVICE_MEMORY(size_t bytes, const char *name, long many);
#define MEMORY(bytes, name, many) DEVICE_MEMORY(bytes, name, many)
#else
#define MEMORY(bytes, name, many) malloc(bytes)
#endif

static char word[200], nonce[200];
static FILE *out;

static const char *next(void) {
    if (scanf("%199s", word) != 1) exit(90);
    return word;
}

static void limits(int seconds, long bytes) {
#ifndef _WIN32
    struct rlimit most;
    most.rlim_cur = seconds, most.rlim_max = seconds + 1, setrlimit(RLIMIT_CPU, &most);
    most.rlim_cur = most.rlim_max = bytes, setrlimit(RLIMIT_FSIZE, &most);
    most.rlim_cur = most.rlim_max = 0, setrlimit(RLIMIT_CORE, &most);
#if defined(RLIMIT_NPROC) && !defined(__clang__) /* clang starts a program that finds lines */
    setrlimit(RLIMIT_NPROC, &most);
#endif
#if GUARD
    most.rlim_cur = most.rlim_max = 1L << 30, setrlimit(RLIMIT_AS, &most);
#endif
#endif
}
"""

OF_TYPE = r"""
static void get_TYPE(TYPE *at) {
    const char *s = next();
    BITS_TYPE empty = EMPTY;
    if (*s == '?') memcpy(at, &empty, sizeof empty);
    else *at = (TYPE)READ;
}

static BITS_TYPE bits_TYPE(const TYPE *at) {
    BITS_TYPE bits;
    memcpy(&bits, at, sizeof bits);
    return bits;
}

static void put_TYPE(const TYPE *at) {
    if (bits_TYPE(at) == EMPTY) fputs(" ?", out);
    else if (bits_TYPE(at) == QUIET) fputs(" ~", out);
    else fprintf(out, " FORMAT", *at);
}

static TYPE *array_TYPE(const char *name, long *n) {
    *n = strtol(next(), 0, 10);
    TYPE *all = (TYPE *)MEMORY((*n + 2 * GUARD) * sizeof(TYPE), name, *n), *at = all + GUARD;
    BITS_TYPE empty = EMPTY;
    if (!all) exit(90);
    for (long i = -GUARD; i < *n + GUARD; i++) memcpy(at + i, &empty, sizeof empty);
    for (long i = 0; i < *n; i++) get_TYPE(at + i);
    fprintf(out, "%s at %s %llu %ld %d\n", nonce, name, (unsigned long long)(size_t)at, *n,
            (int)sizeof(TYPE));
    return at;
}

static void show_TYPE(const char *name, const TYPE *at, long n) {
    for (long i = -GUARD; i < n + GUARD; i++)
        if ((i < 0 || i >= n) && bits_TYPE(at + i) != EMPTY)
            fprintf(out, "%s beyond %s %ld\n", nonce, name, i);
    fprintf(out, "%s array %s", nonce, name);
    for (long i = 0; i < n; i++) put_TYPE(at + i);
    fputs("\n", out);
}
"""

MAIN = r"""
int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    out = fopen(next(), "w");
    strcpy(nonce, next());
    if (!out) return 90;
    fprintf(out, "%s began\n", nonce);
ARGUMENTS    fflush(out);
    limits(SECONDS, BYTESL);
    CALL;
RESULTS    fprintf(out, "%s ended\n", nonce);
    fclose(out);
    fflush(stdout);
    return 0;
}
"""


def header(declaration: str) -> str:
    """What is put in front of the learner's file, so that the compiler compares the two."""
    return f"""#ifdef __cplusplus
extern "C"
#endif
{declaration};
"""


def program(prototype, seconds: int, output: int) -> str:
    """The driver for a `Prototype`. seconds: of the processor; output: bytes of any file."""
    bits = {"double": "unsigned long long", "float": "unsigned", "int": "unsigned"}
    used = dict.fromkeys([one.type for one in prototype.parameters])
    used |= {} if prototype.gives == "void" else {prototype.gives: None}
    parts = [HEAD]
    for name in used:
        empty, quiet, reader, form = TYPES[name]
        text = OF_TYPE.replace("BITS_TYPE", bits[name]).replace("bits_TYPE", f"bits_{name}")
        for word, value in (("EMPTY", empty), ("QUIET", quiet), ("READ", reader)):
            text = text.replace(word, value)
        parts.append(text.replace("FORMAT", form).replace("TYPE", name))
    return "".join([*parts, _main(prototype, seconds, output)])


def _main(prototype, seconds: int, output: int) -> str:
    arguments, results = "", ""
    for one in prototype.parameters:
        name, kind = one.name, one.type
        if one.array:
            arguments += f"    long n_of_{name};\n    {kind} *{name}_ = "
            arguments += f'array_{kind}("{name}", &n_of_{name});\n'
            results += f'    show_{kind}("{name}", {name}_, n_of_{name});\n'
        else:
            arguments += f"    {kind} {name}_;\n    get_{kind}(&{name}_);\n"
    names = ", ".join(f"{one.name}_" for one in prototype.parameters)
    call = f"{prototype.name}({names})"
    if prototype.gives != "void":
        call = f"{prototype.gives} given = {call}"
        given = f'    fprintf(out, "%s return", nonce);\n    put_{prototype.gives}(&given);\n'
        results = f'{given}    fputs("\\n", out);\n{results}'
    text = MAIN.replace("ARGUMENTS", arguments).replace("RESULTS", results).replace("CALL", call)
    return text.replace("SECONDS", str(seconds)).replace("BYTES", str(output))


# --- what goes in and what comes out ---------------------------------------------------------


def flat(nested) -> list:
    """The numbers of a list, or of lists in lists, one after the other."""
    if isinstance(nested, (list, tuple)):
        return [one for part in nested for one in flat(part)]
    return [nested]


def nested_like(shape, numbers) -> list:
    """The numbers in lists as `shape` has them. numbers: an iterator."""
    if isinstance(shape, (list, tuple)):
        return [nested_like(part, numbers) for part in shape]
    return next(numbers)


def _word(number, kind: str) -> str:
    if number is None:
        return UNWRITTEN
    return str(int(number)) if kind == "int" else float(number).hex()


def job(prototype, arguments, record: str, nonce: str) -> bytes:
    """What the driver reads. arguments: in the order of the parameters."""
    words = [record, nonce]
    for one, value in zip(prototype.parameters, arguments, strict=True):
        numbers = flat(value) if one.array else [value]
        words += [str(len(numbers))] if one.array else []
        words += [_word(number, one.type) for number in numbers]
    return "\n".join([*words, ""]).encode()


@dataclass
class Record:
    """What the driver wrote. ended: whether the learner's function came back.

    arrays: name -> numbers, UNWRITTEN and TOUCHED among them; at: name -> (address, count, bytes
    of one number); beyond: (name, index) of numbers written beside an array.
    """

    began: bool = False
    ended: bool = False
    given: object = None
    arrays: dict[str, list] = field(default_factory=dict)
    at: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    beyond: list[tuple[str, int]] = field(default_factory=list)


def read(text: str, nonce: str, prototype) -> Record:
    """The record in a text. Lines without the word in front, or of another form, do not count."""
    found, types = Record(), {one.name: one.type for one in prototype.parameters}
    for line in text.splitlines():
        mark, *words = line.split(" ")
        if mark != nonce:
            continue
        match words:
            case ["began"]:
                found.began = True
            case ["ended"]:
                found.ended = True
            case ["at", name, *numbers]:
                found.at[name] = tuple(map(int, numbers))
            case ["beyond", name, index]:
                found.beyond.append((name, int(index)))
            case ["return", number]:
                found.given = _number(number, prototype.gives)
            case ["array", name, *numbers]:
                found.arrays[name] = [_number(one, types[name]) for one in numbers]
    return found


def _number(word: str, kind: str):
    if word in (UNWRITTEN, TOUCHED):
        return word
    return int(word) if kind == "int" else float.fromhex(word)
