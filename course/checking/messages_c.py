"""What a check says of a C file that does not become a program, with the rules of `messages.py`.

Compilers speak to those who know C. These sentences name the line, show it, and say in plain words
what the most common errors mean; of all others they give the compiler's own words. Standard
library only.
"""

from __future__ import annotations

import re
import sys

from course.answer_file import STUB
from course.checking.messages import Fault
from course.checking.words import cut, named

INSTALL = {
    "darwin": "In a terminal: `xcode-select --install`",
    "win32": "Install WSL or MinGW-w64, so that the command `gcc` is found",
    "linux": "In a terminal of Debian or Ubuntu: `sudo apt-get install gcc libc6-dev`",
}

LIBRARY = {
    "stdio.h": {"printf", "fprintf", "puts"},
    "stdlib.h": {"malloc", "calloc", "free", "abs", "exit"},
    "string.h": {"memset", "memcpy"},
    "assert.h": {"assert"},
}

# What gcc or clang says -> (what that means, the next step). \1 is a group of the pattern, \h the
# file of the library that declares it.
MEANINGS = {
    r"expected '[^']*;'": (
        r"A semicolon is missing.",
        r"Every statement and declaration ends with `;`. Look at the end of this line, and of the "
        r"one above it.",
    ),
    r"expected .* at end of input|expected '\}'": (
        r"The file ends, and a `{` is still open.",
        r"Count the braces: every `{` needs its `}`. Is the one of a loop missing, or the one of "
        r"the function?",
    ),
    r"expected identifier or '\('|extraneous closing brace": (
        r"Something stands here outside of every function.",
        r"Often there is one `}` too many above it, or a `;` between the parentheses and the `{` "
        r"of the function.",
    ),
    r"(expected .+)": (
        r"The compiler cannot read this: \1.",
        r"Look at this line and at the one above it: is a sign missing, or one too many?",
    ),
    r"'(\w+)' undeclared|use of undeclared identifier '(\w+)'": (
        r"The name `\1` is not declared.",
        r"Is it spelled as where it was made? A new name needs its type in front, as in "
        r"`double sum = 0;`, and it ends with the `}` of its block.",
    ),
    r"implicit declaration of function '(\w+)'|undeclared (?:library )?function '(\w+)'": (
        r"The function `\1` is called, and nothing declares it.",
        r"Is it spelled right? A function of the library needs its line at the top, "
        r"`#include <\h>`; one of your own stands above where it is called.",
    ),
    r"assignment of read-only|(?:in|de)crement of read-only|read-only variable is not assignable"
    r"|cannot assign to .*const": (
        r"This changes something that is `const`.",
        r"A `const` array is an input: the function only reads it. Which array should this line "
        r"write to?",
    ),
    r"'(\w+)' was not declared in this scope": (
        r"The name `\1` is not declared.",
        r"Is it spelled as where it was made? A new name needs its type in front, as in "
        r"`float sum = 0;`, and it ends with the `}` of its block.",
    ),
    r"unknown type name '(\w+)'|'(\w+)' does not name a type": (
        r"`\1` is no type that C knows.",
        r"Is it spelled right? The declaration shows the types that the exercise needs.",
    ),
    r"too (few|many) arguments to function '(\w+)'": (
        r"The function `\2` gets too \1 arguments.",
        r"Compare this call with the declaration of `\2`: as many arguments, in the same order.",
    ),
    r"stray '(.+)' in program|extended character (\S+)|unexpected character (\S+)": (
        r"The sign \1 does not belong to C.",
        r"Was the line copied from a text? Quotation marks and minus signs there often are other "
        r"signs. Type the line anew.",
    ),
    r"(\S+): No such file|'(\S+)' file not found": (
        r"There is no file \1 to include.",
        r"The name has to be spelled as the library does, such as `#include <math.h>`.",
    ),
    r"subscripted value": (
        r"This puts `[ ]` behind something that is no array.",
        r"An array of this exercise has one index: row and column become one number, such as "
        r"`row * columns + column`.",
    ),
    r"redefinition of '(\w+)'|redeclaration of '(\w+)'": (
        r"The name `\1` is declared a second time.",
        r"Take out the type in front of the second one, or give it another name.",
    ),
}


def no_compiler(name: str, why: str = "") -> Fault:
    """why: what the system said, or ""."""
    return _not_here(f"this machine has no C compiler{f' ({cut(why, 60)})' if why else ''}", name)


def broken_compiler(name: str, printed: str) -> Fault:
    """Not even the course's own part can be compiled. printed: the compiler's words."""
    lines = [line for line in printed.splitlines() if line.strip()]
    first = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")
    return _not_here(f"the C compiler of this machine does not work ({cut(first, 90)})", name)


def no_start(name: str) -> Fault:
    """A program was made, and the system does not let it begin."""
    return _not_here("this machine does not let a program start that was compiled just now", name)


def _not_here(why: str, name: str) -> Fault:
    system = next((INSTALL[key] for key in INSTALL if sys.platform.startswith(key)), "")
    sentence = (
        f"`{name}` could not be graded here, and does not count as wrong: {why}. "
        f"{system or 'Install gcc or clang'}; then run this check again. Everything else in the "
        f"chapter works without it."
    )
    return Fault("not graded", "no compiler", sentence)


def still_stub(name: str) -> Fault:
    """The line that stands for the answer is still in the file."""
    return Fault(
        "not started",
        "stub",
        f"`{name}` is not started yet: it still holds the line `{STUB}`. Write your answer in the "
        f"place of that line, run its cell, then run this check again.",
    )


def endless_compiling(name: str, seconds: int) -> Fault:
    """The compiler had to be stopped."""
    sentence = (
        f"The compiler was stopped: it was not done with `{name}` after {seconds} seconds, or "
        f"printed or read without end. Does the file include itself, or something that is no file? "
        f"Take out the unusual `#include` or `#define` lines first."
    )
    return Fault("exception", "endless compiling", sentence)


# --- errors -----------------------------------------------------------------------------------


def compile_error(name: str, text: str, prototype, said) -> Fault:
    """said: the compiler's first error (`c_build.Said`)."""
    line = source_line(text, said.line)
    if re.search(rf"conflicting (types|declaration).*\b{prototype.name}\b", said.text):
        return _other_declaration(name, text, prototype, said.line)
    if re.search(rf"static declaration of '{prototype.name}'", said.text):
        sentence = (
            f"Line {said.line} of `{name}` begins with `static`, so `{prototype.name}` can be "
            f"called only from inside this file, and the check calls it from outside. Take out "
            f"the word `static` in front of this one function."
        )
        return Fault("signature", "static", sentence)
    told, step = _meaning(said.text, line)
    shown = f", `{cut(line, 70)}`" if line else ""
    sentence = f"`{name}` does not compile. Line {said.line}{shown}: {told} {step}"
    return Fault("exception", f"compile {said.text}", sentence)


def _meaning(text: str, line: str) -> tuple[str, str]:
    """What the compiler's words mean, and a next step. line: the learner's."""
    for pattern, (told, step) in MEANINGS.items():
        if found := re.search(pattern, text):
            words = [one.replace("'", "`") for one in found.groups() if one]
            if words and words[0].startswith("\\"):  # a byte of a sign: the sign itself
                words[0] = next((sign for sign in line if ord(sign) > 127), words[0])
            for number, word in enumerate(words, 1):
                told, step = (one.replace(f"\\{number}", word) for one in (told, step))
            home = next((h for h, known in LIBRARY.items() if {*words} & known), "math.h")
            return told, step.replace("\\h", home)
    return (
        f"The compiler says: {cut(text, 120).rstrip('.')}.",
        "It means this line or one above it. Mend this first error; those below it often come "
        "from it.",
    )


def source_line(text: str, number: int) -> str:
    """The learner's line, without the spaces around it."""
    lines = text.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


# --- another function than the exercise asks for -----------------------------------------------


def _other_declaration(name: str, text: str, prototype, line: int) -> Fault:
    start = "\n".join(text.splitlines()[line - 1 :])
    mine = " ".join(re.split(r"[{;]", bare(start), maxsplit=1)[0].split())
    both = f"your function is `{cut(mine, 300)}`, and the exercise asks for `{prototype.text}`"
    if len(both.split()) > 50:
        own, due = (
            [part.strip() for part in one.partition("(")[2].rpartition(")")[0].split(",")]
            for one in (mine, prototype.text)
        )
        pairs = [k for k in range(min(len(own), len(due))) if own[k].split() != due[k].split()]
        both = f"your function has {len(own)} parameters, and the exercise asks for {len(due)}"
        if len(own) == len(due):
            at = pairs[0] if pairs else 0
            both = f"parameter {at + 1} of your function is `{own[at]}`"
            both += f", and the exercise asks for `{due[at]}`"
    sentence = (
        f"Line {line} of `{name}`: {both}. The check calls it with exactly these arguments. Copy "
        f"the first lines of the function from the exercise, up to its `{{`."
    )
    return Fault("signature", "declaration", sentence)


def not_defined(name: str, text: str, prototype, missing: str) -> Fault:
    """The linker found no function `missing`: the one that is graded, or one that it calls."""
    if missing != prototype.name:
        sentence = (
            f"`{name}` calls the function `{missing}`, and no such function is there. It is "
            f"declared and has no body. Write it with its `{{ ... }}`, or is it spelled in "
            f"another way where it is written?"
        )
        return Fault("exception", f"undefined {missing}", sentence)
    there = [one for one in defined(text) if one != "main"]
    told = f"it defines {named(there[:3])}: was that meant?" if there else "it defines none."
    sentence = (
        f"`{name}` has no function called `{prototype.name}`; {told} The check calls the function "
        f"by this name. Begin it with `{prototype.gives} {prototype.name}(`, and write the rest as "
        f"the exercise shows it."
    )
    return Fault("signature", "name", sentence)


def bare(text: str) -> str:
    """C without comments and texts, its lines where they were."""

    def blank(found):
        return "\n" * found[0].count("\n") or " "

    pattern = r'/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, blank, text, flags=re.DOTALL)


def defined(text: str) -> list[str]:
    """The names of the functions that a C text defines, in order."""
    words = {"if", "for", "while", "switch"}
    names = re.findall(r"\b(\w+)\s*\([^;{}]*\)\s*\{", bare(text))
    return [one for one in dict.fromkeys(names) if one not in words]
