"""Files out of folders and zip archives that nobody trusts, into a folder of ours.

Only plain files come out, under names that mean the same on every system, within limits on their
size and number. Whatever is refused gets a sentence and is left where it was; nothing is renamed,
followed, run or guessed. What fails in one submission harms no other: limits are each one's own.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from course.errors import UserError
from course.notebooks import shown

LARGEST = 10 * 2**20  # bytes of one file
WHOLE = 100 * 2**20  # bytes of one submission
MANY = 500  # files of one submission
NAMES = 200_000  # entries of one download, 500 learners with 400 each
LIST = 64 * 2**20  # bytes of an archive's list of names; zipfile reads all of it
DEEP = 12  # folders in each other

# What programs leave behind beside a learner's work, and what only nbgrader writes.
JUNK = {"__macosx", ".ds_store", "thumbs.db", "desktop.ini", ".ipynb_checkpoints", "__pycache__"}
JUNK |= {".git", ".venv", "venv", "node_modules", "timestamp.txt"}
_DEVICES = {"con", "prn", "aux", "nul", *(f"{one}{k}" for one in ("com", "lpt") for k in range(10))}
_ODD = re.compile(r'[<>:"|?*\\]')


def wrong_with(name: str) -> str:
    """Why a path such as "a/b.ipynb" is no safe name of a file, in a few words; or ""."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        return "its name leads out of the folder"
    if any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for sign in name):
        return "its name has signs that cannot be seen"
    if "" in parts or "." in parts or _ODD.search(name):
        return "its name has signs that not every system allows"
    if any(part != part.strip() or part.endswith(".") for part in parts):
        return "its name begins or ends with a space or a full stop"
    if any(part.casefold().partition(".")[0] in _DEVICES for part in parts):
        return "its name means a device on Windows"
    if len(parts) > DEEP:
        return f"it lies in more than {DEEP} folders"
    if len(name.encode()) > 400 or any(len(part.encode()) > 150 for part in parts):
        return "its name is too long"
    return ""


def is_junk(name: str) -> bool:
    """Whether a path is nothing that a learner wrote: a system's or a tool's own file."""
    return any(part.casefold() in JUNK or part.startswith("._") for part in name.split("/"))


def same(name: str) -> str:
    """What two names have in common that some system takes for one: small letters, one form."""
    return unicodedata.normalize("NFKC", name).casefold()


@dataclass
class Box:
    """A submission's files, as they come in: `folder` is ours. `refused`: a sentence for each."""

    folder: Path
    refused: list[str] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # path in the folder -> bytes
    _seen: dict[str, str] = field(default_factory=dict)  # same(path of file or folder) -> "file"...

    def refuse(self, name: str, why: str) -> None:
        """Notes a file that was left out; the name is shown so that it can harm no terminal."""
        if len(self.refused) < 20:
            self.refused.append(f"{printable(name)} was left out: {why}.")

    def take(self, name: str, size: int, opened) -> None:
        """Copies one file in. size: what its source says. opened: a function that opens it."""
        if is_junk(name):
            return None
        why = wrong_with(name) or self._taken(name)
        if not why and size > LARGEST:
            why = f"it has {size / 2**20:,.0f} MB, and {LARGEST // 2**20} MB is the most"
        elif not why and len(self.files) >= MANY:
            why = f"there are more than {MANY} files"
        elif not why and sum(self.files.values()) + size > WHOLE:
            why = f"with it there would be more than {WHOLE // 2**20} MB"
        if why:
            return self.refuse(name, why)
        place = self.folder / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with opened() as source, open(place, "xb") as out:
                copied = _copy(source, out, LARGEST)
        except _Refused as refused:
            place.unlink(missing_ok=True)
            return self.refuse(name, str(refused))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            place.unlink(missing_ok=True)
            return self.refuse(name, "it is damaged or encrypted")
        except OSError as error:
            place.unlink(missing_ok=True)
            return self.refuse(name, f"it cannot be read ({error.strerror or error})")
        parts = name.split("/")
        for k in range(1, len(parts)):
            self._seen.setdefault(same("/".join(parts[:k])), "folder")
        self._seen[same(name)] = "file"
        self.files[name] = copied
        return None

    def _taken(self, name: str) -> str:
        parts = name.split("/")
        above = ["/".join(parts[:k]) for k in range(1, len(parts))]
        if same(name) in self._seen:
            return "another file or folder has that name, in large or small letters"
        if any(self._seen.get(same(one)) == "file" for one in above):
            return "its folder has the name of a file"
        # On a system that tells large from small letters, `A/x` and `a/y` are two folders.
        for one in above:
            if same(one) in self._seen and not (self.folder / one).is_dir():
                return "its folder has the name of another, in large or small letters"
        return ""


class _Refused(Exception):
    pass


def _copy(source: IO[bytes], out: IO[bytes], most: int) -> int:
    """Copies at most so many bytes; what a header says about the size is not believed."""
    copied = 0
    while chunk := source.read(2**16):
        copied += len(chunk)
        if copied > most:
            raise _Refused(f"it grows beyond {most // 2**20} MB")
        out.write(chunk)
    return copied


def printable(name: str) -> str:
    """A foreign name for a terminal: signs that cannot be seen are escaped, its length bounded."""
    text = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in name[:200])
    return text + ("..." if len(name) > 200 else "")


# ----------------------------------------------------------------------------------- archives


@dataclass(frozen=True)
class Entry:
    """One file of a download: its path there, its bytes as it says, how to open it.

    `why` is not "" for what is no plain file.
    """

    name: str
    size: int
    open: object
    why: str = ""


def zipped(path: Path, most: int = LIST) -> Iterator[Entry]:
    """The entries of a zip archive, folders left out. most: bytes of its list of names.

    Raises UserError for what is no zip archive, or has too many entries.
    """
    try:
        if _list_size(path) > most:
            raise UserError(f"{shown(path)} has too many entries to be a download of submissions.")
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > NAMES:
                raise UserError(f"{shown(path)} has more than {NAMES:,} entries.")
            for info in infos:
                if not info.is_dir():
                    # orig_filename: zipfile cuts a name at its first NUL.
                    yield Entry(
                        info.orig_filename.removeprefix("./"),
                        info.file_size,
                        lambda info=info: archive.open(info),
                        _kind_in_zip(info),
                    )
    except (zipfile.BadZipFile, EOFError, struct.error, ValueError, NotImplementedError) as why:
        raise UserError(f"{shown(path)} is no zip archive that can be read ({why}).") from None
    except OSError as why:
        raise UserError(f"{shown(path)} cannot be read: {why.strerror or why}.") from None


def _kind_in_zip(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    return "" if kind in (0, stat.S_IFREG) else "it is a link or a device, not a file"


def _list_size(path: Path) -> int:
    """How large the archive says its list of names is, from the record at its end."""
    with open(path, "rb") as archive:
        size = archive.seek(0, os.SEEK_END)
        archive.seek(max(0, size - 2**16 - 22))
        end = archive.read()
        at = len(end) - 22 if end[-22:-18] == b"PK\5\6" else end.rfind(b"PK\5\6")
        if at < 0 or len(end) - at < 22:
            raise zipfile.BadZipFile("it has no list of names at its end")
        listed = struct.unpack("<I", end[at + 12 : at + 16])[0]
        # Large archives, and those written in one go, say it in a second record.
        if at >= 20 and end[at - 20 : at - 16] == b"PK\6\7":
            archive.seek(struct.unpack("<Q", end[at - 12 : at - 4])[0] + 40)
            listed = max(listed % 0xFFFFFFFF, struct.unpack("<Q", archive.read(8))[0])
    return listed


# ------------------------------------------------------------------------------------ folders


def inside(folder: Path) -> Iterator[Entry]:
    """The entries of a folder and the folders in it; no link is followed, even one made meanwhile.

    An entry has to be opened before the next one is asked for. Raises UserError.
    """
    walk = os.fwalk if hasattr(os, "fwalk") else _walk
    number = 0

    def failed(why: OSError):
        raise UserError(f"{shown(folder)} cannot be read: {why.strerror or why}.") from None

    for root, folders, files, at in walk(folder, onerror=failed, follow_symlinks=False):
        base = Path(root).relative_to(folder).as_posix()
        folders.sort()
        for name in sorted(files + folders):
            number += 1
            if number > NAMES:
                raise UserError(f"{shown(folder)} holds more than {NAMES:,} files.")
            found = os.stat(name, dir_fd=at, follow_symlinks=False) if at else _status(root, name)
            path = name if base == "." else f"{base}/{name}"
            if stat.S_ISDIR(found.st_mode):
                continue
            why = "" if stat.S_ISREG(found.st_mode) else "it is a link or a device, not a file"
            yield Entry(path, found.st_size, lambda n=name, r=root, a=at: open_plain(n, r, a), why)
        folders[:] = [
            one for one in folders if not is_junk(one) and (base == "." or base.count("/") < DEEP)
        ]


def _walk(folder: Path, onerror, follow_symlinks: bool):
    for root, folders, files in os.walk(folder, onerror=onerror, followlinks=follow_symlinks):
        yield root, folders, files, None


def _status(root: str, name: str) -> os.stat_result:
    return os.stat(os.path.join(root, name), follow_symlinks=False)


def open_plain(name: str, root: str | os.PathLike = "", at: int | None = None) -> IO[bytes]:
    """Opens a plain file for reading, and nothing else: a link or a pipe is an OSError."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    path = name if at is not None else os.path.join(root, name)
    handle = os.open(path, flags, dir_fd=at) if at is not None else os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("it is no plain file")
    return os.fdopen(handle, "rb")
