"""The pages that users read, and the examples on them. A page is a README.md that GitHub shows beside its room."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
# An sdist may be without the folders of those who change cropper, but not without a page of its rooms.
PAGES = tuple(
    page
    for page in (README, *sorted((ROOT / "cropper").rglob("*.md")), *sorted((ROOT / ".github").glob("*.md")))
    if page.exists()
)
# On the line above a block that no test can run, with the reason.
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*$")


@dataclass(frozen=True)
class Example:
    """A command behind a prompt; the lines that it prints, where a page shows them."""

    command: str
    output: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """The lines between two fences, where they begin, and why they are not run, if they are not."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None

    @property
    def name(self) -> str:
        """The block's place, as an editor takes it."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def blocks(language: str, *pages: Path) -> list[Block]:
    """All fenced blocks of one language, in the order of the pages; of all pages if none is named."""
    found = []
    for page in pages or PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            before = text[: match.start()]
            reason = NOT_RUN.search(before)
            found.append(Block(page, before.count("\n") + 1, language, match[1], reason[1] if reason else None))
    return found


def examples(block: Block) -> list[Example]:
    """The commands of a console block, each with its output. A command goes on after ``\\``, ``|`` or in a quote."""
    found: list[tuple[list[str], list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif not found:
            raise ValueError(f"{block.name}: output without a command")
        elif found[-1][0][-1].endswith(("\\", "|")) or is_open("\n".join(found[-1][0])):
            found[-1][0].append(line)
        else:
            found[-1][1].append(line)
    return [Example("\n".join(command), tuple(output)) for command, output in found]


def is_open(command: str) -> bool:
    """Whether a quote has no end yet; one in a comment is none."""
    return re.sub(r"\s# .*", "", command).count("'") % 2 == 1


def prose(page: Path) -> str:
    """A page without its blocks and comments."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def anchor_of(heading: str) -> str:
    """The name that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """The names of all headings of a page."""
    return set(map(anchor_of, re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)))
