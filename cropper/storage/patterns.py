"""Which files a walk takes: patterns as in git's ``.gitignore``, and the folders that systems fill with pictures of their own.

The matcher is our own, and not a library's: ``.cropperignore`` may come from a stranger with the photos, and libraries turn
``*a*a*a*a*a*b`` into an expression that takes minutes for one long name. Here a name takes time in proportion to its length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cropper.errors import PhotoError, UsageError
from cropper.settings import IGNORE_FILE
from cropper.storage.opening import open_below
from cropper.storage.places import Place

# The largest file of patterns that is read, in bytes, and the most lines: each photo is held against each.
MOST_BYTES, MOST_LINES = 100_000, 1000

# Folders of thumbnails, deleted files and resource forks, which network storages and systems put beside people's photos.
SYSTEM_FOLDERS = ("@eaDir", "#recycle", "$RECYCLE.BIN", ".thumbnails", "__MACOSX", "lost+found")
_SYSTEM = {name.casefold(): name for name in SYSTEM_FOLDERS}  # Windows itself writes $Recycle.Bin too

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \t",
    "cntrl": "\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
# A class has one item at least, so a ] that comes first is one.
_CLASS = re.compile(
    r"\[(?:(?P<negated>[!^])|(?![!^]))(?P<items>(?:\]|\[:[a-z]+:\]|\\.|[^\]\\])(?:\[:[a-z]+:\]|\\.|[^\]\\])*)\]", re.DOTALL
)
_ITEM = re.compile(r"\[:(?P<posix>[a-z]+):\]|(?P<first>\\.|.)(?:-(?P<last>\\.|[^\]\\]))?", re.DOTALL)
_NOTHING = "(?!)"


@dataclass(frozen=True)
class _Rule:
    """One pattern: what it says of a path that it matches."""

    negated: bool
    only_folders: bool
    anchored: bool  # whether it is for the whole path, rather than for the last name
    parts: tuple[re.Pattern[str] | None, ...]  # one for each name of the path; None stands for any number of names

    def matches(self, names: list[str], is_folder: bool) -> bool:
        """Whether the pattern matches a path, given as its names."""
        if self.only_folders and not is_folder:
            return False
        if not self.anchored:
            (part,) = self.parts
            return part is None or part.match(names[-1]) is not None
        at = part_at = 0
        again: tuple[int, int] | None = None  # where the last None may take one more name
        while at < len(names):
            part = self.parts[part_at] if part_at < len(self.parts) else None
            if part_at < len(self.parts) and part is None:
                again = at, part_at
                part_at += 1
            elif part is not None and part.match(names[at]):
                at, part_at = at + 1, part_at + 1
            elif again is not None:
                again = again[0] + 1, again[1]
                at, part_at = again[0], again[1] + 1
            else:
                return False
        return all(part is None for part in self.parts[part_at:])


@dataclass(frozen=True)
class Patterns:
    """Patterns in the order in which they were written. The last one that matches a path decides.

    Attributes:
        rules: what they say of a path.
        lines: as they were written.
    """

    rules: tuple[_Rule, ...] = ()
    lines: tuple[str, ...] = ()

    @staticmethod
    def of(lines: Iterable[str], file: Path | None = None) -> Patterns:
        """Read patterns, one a line, with comments and empty lines.

        Args:
            lines: the lines, without their ends.
            file: the file that they are from, for errors.

        Raises:
            UsageError: if one can match no path.
        """
        rules, lines = [], tuple(lines)
        for number, line in enumerate(lines, 1):
            try:
                rule = _rule_of(line)
            except ValueError as error:
                where = f"line {number}: " if file is not None else ""
                remedy = "write it as in a .gitignore, with a backslash before a character that stands for itself"
                raise UsageError(f"{where}the pattern {line!r} matches nothing: it {error}", path=file, remedy=remedy) from None
            if rule is not None:
                rules.append(rule)
        return Patterns(tuple(rules), lines)

    def decide(self, path: str, is_folder: bool) -> bool | None:
        """Say whether a path is matched (True), matched by a pattern after ``!`` (False), or not at all (None)."""
        if not self.rules:
            return None
        names = _names_of(path)
        return next((not rule.negated for rule in reversed(self.rules) if rule.matches(names, is_folder)), None)

    def decide_below(self, path: str) -> bool | None:
        """Say the same of a file, where a pattern that matches a folder above it counts as well."""
        names = _names_of(path)
        levels = [(names[:depth], depth < len(names)) for depth in range(len(names), 0, -1)]
        matching = (rule for rule in reversed(self.rules) if any(rule.matches(*level) for level in levels))
        return next((not rule.negated for rule in matching), None)


@dataclass(frozen=True)
class Selection:
    """Which files of a folder a walk takes.

    Attributes:
        include: a file is taken only if these match it or a folder above it; without any, each is.
        exclude: files and folders that these match are left out, whatever ``include`` says. A pattern after ``!`` takes them
            in again, and a folder of ``SYSTEM_FOLDERS`` too; but nothing in a folder that is left out.
        ignored: the patterns in a folder's ``.cropperignore``, which count where those of ``exclude`` say nothing.
    """

    include: Patterns = Patterns()
    exclude: Patterns = Patterns()
    ignored: Patterns = Patterns()

    @property
    def is_narrow(self) -> bool:
        """Whether the user asked for anything to be left out."""
        return bool(self.include.rules or self.exclude.rules or self.ignored.rules)

    def takes_folder(self, path: str) -> bool:
        """Whether a folder that ``system_folder`` does not name is walked."""
        return not self._excludes(path, is_folder=True)

    def system_folder(self, path: str) -> str:
        """Return which of ``SYSTEM_FOLDERS`` a folder is and is left out as; an empty text for others."""
        name = _SYSTEM.get(path.rpartition("/")[2].casefold(), "")
        return name if name and self._excludes(path, is_folder=True) is None else ""

    def takes_file(self, path: str) -> bool:
        """Whether a file is taken, if the folders above it are walked."""
        if not self.is_narrow:
            return True
        return not self._excludes(path, is_folder=False) and self._includes(path)

    def in_folder(self, root: Place) -> Selection:
        """Return which files of a folder to take, by its ``.cropperignore`` as well.

        Args:
            root: the folder. In a bucket, nobody looks for the file.

        Raises:
            UsageError: if the file cannot be read, or a pattern in it can match nothing. To go on would publish what it is to
                leave out.
        """
        folder = root.local_path
        if folder is None:
            return self
        return replace(self, ignored=Patterns.of(_lines_of(folder), folder / IGNORE_FILE))

    def takes_listed(self, path: str) -> bool:
        """Whether a file is taken that the user named: ``ignored`` and systems have no say then."""
        names = path.strip("/").split("/")
        above = ("/".join(names[:depth]) for depth in range(1, len(names)))
        excluded = any(self.exclude.decide(folder, is_folder=True) for folder in above)
        return not excluded and not self.exclude.decide(path, is_folder=False) and self._includes(path)

    def _excludes(self, path: str, is_folder: bool) -> bool | None:
        found = self.exclude.decide(path, is_folder)
        return found if found is not None else self.ignored.decide(path, is_folder)

    def _includes(self, path: str) -> bool:
        if all(rule.negated for rule in self.include.rules):
            return self.include.decide_below(path) is None
        return self.include.decide_below(path) is True


EVERYTHING = Selection()


def selection_of(include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Selection:
    """Return which files to take by what the user gives.

    Args:
        include: patterns of files to take, and of nothing else.
        exclude: patterns of files and folders to leave out.

    Raises:
        UsageError: if a pattern can match nothing.
    """
    return Selection(Patterns.of(include), Patterns.of(exclude))


def _lines_of(folder: Path) -> list[str]:
    file = folder / IGNORE_FILE
    remedy = f"put it right, or remove it; {IGNORE_FILE} is a text file in IN"
    try:
        with open_below(folder, (IGNORE_FILE,)) as opened:
            data = opened.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return []
    except PhotoError as error:
        raise UsageError(error.what, path=file, remedy=remedy) from error
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", path=file, remedy=remedy) from error
    if len(data) > MOST_BYTES:
        raise UsageError(f"it is larger than {MOST_BYTES // 1000} KB", path=file, remedy=remedy)
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if len(lines) > MOST_LINES:
        raise UsageError(f"it has more than {MOST_LINES:,} lines", path=file, remedy=remedy)
    return lines


def _names_of(path: str) -> list[str]:
    """The names in a path, as patterns have them: the same letter is one character, however a system composes it."""
    return unicodedata.normalize("NFC", path).strip("/").split("/")


def _rule_of(line: str) -> _Rule | None:
    """Read one pattern; None for an empty line or a comment. Raises ValueError if it can match no path."""
    text = re.sub(r"(?<!\\)((?:\\\\)*) +\Z", r"\1", line)
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = unicodedata.normalize("NFC", text.removeprefix("!") if negated else text)
    only_folders = text.endswith("/")
    text = text.removesuffix("/")
    if not text:
        return None
    anchored = "/" in text
    parts = [None if part == "**" and anchored else _one_name(part) for part in _split(text.removeprefix("/"))]
    if parts[-1] is None:  # all that lies in it, but not the folder itself
        parts.append(_one_name("*"))
    return _Rule(negated, only_folders, anchored, tuple(parts))


def _split(text: str) -> Iterator[str]:
    """Split a pattern at its slashes. One in a class, such as ``[a/b]``, is a character that no name has."""
    start = at = 0
    while at < len(text):
        found = _CLASS.match(text, at) if text[at] == "[" else None
        if text[at] == "/":
            yield text[start:at]
            start = at + 1
        is_escape = text[at] == "\\" and text[at + 1 : at + 2] != "/"
        at = found.end() if found is not None else at + 1 + is_escape
    yield text[start:]


def _one_name(glob: str) -> re.Pattern[str]:
    """Compile the pattern of one name. Raises ValueError if it can match none.

    Each text between two stars is looked for once, at the first place where it can be: a group in a look-ahead is never tried
    again. That is enough for such patterns, and keeps the time down.
    """
    if not glob:
        raise ValueError("has an empty name between slashes")
    first, *others = ("".join(piece) for piece in _pieces(glob))
    if not others:
        return re.compile(rf"{first}\Z", re.DOTALL)
    *middle, last = others
    found = "".join(f"(?=(?P<g{number}>.*?{piece}))(?P=g{number})" for number, piece in enumerate(middle) if piece)
    return re.compile(rf"{first}{found}.*{last}\Z", re.DOTALL)


def _pieces(glob: str) -> Iterator[list[str]]:
    """Split a pattern at its stars, and yield expressions of what lies between them, one for each character of a name."""
    piece: list[str] = []
    at = 0
    while at < len(glob):
        character = glob[at]
        at += 1
        if character == "*":
            yield piece
            piece = []
        elif character == "?":
            piece.append(".")
        elif character == "[":
            found = _CLASS.match(glob, at - 1)
            if found is None:
                raise ValueError("has a [ without a ]")
            at = found.end()
            piece.append(_class_of(found["items"], bool(found["negated"])))
        elif character == "\\":
            if at == len(glob):
                raise ValueError("ends a name with a backslash")
            piece.append(re.escape(glob[at]))
            at += 1
        else:
            piece.append(re.escape(character))
    yield piece


def _class_of(items: str, negated: bool) -> str:
    """Return the expression of a class such as ``[a-z]``. A range that runs backwards holds nothing."""
    inside = ""
    for item in _ITEM.finditer(items):
        if item["posix"]:
            if item["posix"] not in _POSIX:
                raise ValueError(f"has an unknown class [:{item['posix']}:]")
            inside += _POSIX[item["posix"]]
            continue
        first, last = item["first"][-1], (item["last"] or item["first"])[-1]
        if first <= last:
            inside += f"{re.escape(first)}-{re.escape(last)}"
    if not inside:
        return "." if negated else _NOTHING
    return f"[{'^' if negated else ''}{inside}]"
