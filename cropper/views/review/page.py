"""Write the page for checking the decisions of a batch: the work of ``cropper review``.

``review.html`` holds its style, its script and the ledger as data. Only the pictures lie beside it, in ``review_files``.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
import shlex
from collections import Counter, deque
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from itertools import groupby
from pathlib import Path, PurePath
from typing import Any

from cropper.choosing.decide import BY_HAND
from cropper.errors import CropperError, OutputError, UsageError, printable
from cropper.imaging.opencv import cv2
from cropper.ledger.shards import table_in
from cropper.ledger.source import photos_of
from cropper.ledger.table import FAILED, Row, read_rows
from cropper.ledger.taste import follows_taste
from cropper.model.saliency import BUNDLED_MODEL, Saliency
from cropper.settings import LIMITS, WHOLE_SHARE, Limits
from cropper.storage.naming import REVIEW_FOLDER, STATE_FOLDER
from cropper.storage.places import is_inside
from cropper.views import heatmap
from cropper.views.review.pictures import (
    CARD_SIDE,
    HOW_MADE,
    Heads,
    heads_of,
    make_pictures,
    name_of,
    pictures_of,
    remove_others,
    write_file,
)

PAGE = "review.html"
# A file in our folder that records how its pictures were made: another model would give another heat.
_MARK = ".cropper-review"
_GENERATOR = b'<meta name="generator" content="cropper review">'
_COLOURS = 5
# The parts of the page's script, in order. The page runs them as one script, so code that runs at once may only use constants and
# variables of its own part and of earlier ones.
_SCRIPTS = (
    *("boxes.js", "snap.js", "state.js", "undo.js", "export.js", "filters.js", "list.js"),
    *("tiles.js", "zoom.js", "editor.js", "pointer.js", "save.js", "page.js"),
)


@dataclass(frozen=True)
class Shown:
    """The outcome of one photo of the page.

    Attributes:
        path: relative to IN.
        error: why a photo with boxes has no picture on the page, or None.
    """

    path: str
    error: CropperError | None = None


@dataclass
class Contents:
    """What a page shows.

    Attributes:
        out: the output folder of the batch.
        source: the folder of its photos.
        folder: the folder of the page and its pictures.
        saliency: the bundled model.
        limits: which photos are accepted.
        full_paths: whether the page may name folders by their full paths.
        entries: for each photo by the name of its pictures: its key in the page's order, and its entry in the page's data.
        paths: the photos by these names.
        sizes: all sizes, in the order of the ledger.
        is_one: whether no photo has more than one size.
        candidates: the most boxes of one size that a photo has.
    """

    out: Path
    source: Path
    folder: Path
    saliency: Saliency
    limits: Limits = LIMITS
    full_paths: bool = False
    entries: dict[str, tuple[float, str]] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    sizes: tuple[str, ...] = ()
    is_one: bool = False
    candidates: int = 1

    def add(self, path: str, rows: tuple[Row, ...], error: CropperError | None) -> None:
        """Add a photo, or show it anew. The error says why it has no picture."""
        if not self.full_paths and PurePath(path).is_absolute():
            return  # it was listed from elsewhere, and its name would say where
        self.entries[name_of(path)] = _entry(path, rows, error, () if error else heads_of(self.folder, path))
        self.paths[name_of(path)] = path

    def draw_again(self, path: str, rows: tuple[Row, ...]) -> None:
        """Show a photo anew after a batch has made it again."""
        self.add(path, rows, make_pictures(self.source, self.folder, path, _image_size(rows), self.saliency, self.limits))

    def write(self) -> None:
        """Write the page as a file."""
        write_file(self.folder / PAGE, self.page())

    def page(self, saves: bool | None = None) -> bytes:
        """Return the page: the file, or one for a server, with full paths, that can save (True) or not (False)."""
        named = full_name if self.full_paths or saves is not None else name_from_here
        folders = named(self.source) or "IN", named(self.out) or "OUT"
        command = _command(*folders, self.sizes, self.is_one, self.candidates)
        ordered = sorted(self.entries.values(), key=lambda entry: entry[0])
        return _page(self.out, command, self.sizes, [text for _, text in ordered], self.source, saves)


def full_name(folder: Path) -> str:
    """The full path of a folder."""
    return os.path.abspath(folder)


def name_from_here(folder: Path) -> str:
    """The path of a folder from the working folder, or nothing if it lies elsewhere, which is nobody's business."""
    name = os.path.relpath(folder) if os.path.splitdrive(full_name(folder))[0] == os.path.splitdrive(os.getcwd())[0] else ".."
    return "" if name.split(os.sep)[0] == os.pardir else name


def write_page(
    out: Path,
    source: Path | None,
    jobs: int,
    limits: Limits = LIMITS,
    folder: Path | None = None,
    full_paths: bool = False,
) -> Generator[Shown, None, Contents]:
    """Write the page for the ledger of an output folder, and yield the outcome of each photo, in the ledger's order.

    The page is written last. If the run ends early, the next one uses the pictures made so far.

    Args:
        out: the output folder of a batch.
        source: the folder of the photos; None for the folder that the batch took them from.
        jobs: worker threads, at least 1.
        limits: which photos are accepted.
        folder: the folder of the page and its pictures, made if it is not there; None for ``out``.
        full_paths: whether the page may name folders by their full paths. A photo that was listed from outside of the folder
            of the photos has no other name, and is not on the page without.

    Returns:
        what the page shows.

    Raises:
        UsageError: if there is no ledger, or it does not say where the photos are.
        OutputError: if the page cannot be written, or other files are in its place.
        ModelError: if the model cannot be loaded.
    """
    table = table_in(out)
    photos_folder = photos_of(out, source)
    next(read_rows(table), None)  # raises on a foreign file before anything is written
    folder = folder or out
    _check_place(folder, out, photos_folder)
    _take_over(folder)
    contents = Contents(out, photos_folder, folder, Saliency(), limits, full_paths)
    pictures: set[str] = set()
    sizes: dict[str, None] = {}  # a set that keeps its order
    most_rows = most_candidates = 1  # of a photo, and of a size of a photo
    photos = groupby(read_rows(table), key=lambda row: row.path)
    cv2.setNumThreads(1)  # the threads work on different photos
    waiting: deque[tuple[str, tuple[Row, ...], Future[CropperError | None]]] = deque()

    def leave() -> Shown:
        nonlocal most_rows, most_candidates
        path, rows, future = waiting.popleft()
        error = future.result()
        contents.add(path, rows, error)
        sizes.update(dict.fromkeys(row.size for row in rows if row.size))
        most_rows = max(most_rows, len(rows))
        most_candidates = max(most_candidates, *Counter(row.size for row in rows).values())
        if error is None:
            pictures.update(pictures_of(path))
        has_box = any(_box(row) for row in rows)
        return Shown(path, error if has_box else None)  # the ledger explains photos that failed

    with ThreadPoolExecutor(jobs, thread_name_prefix="cropper") as workers:
        try:
            for path, group in photos:
                rows = tuple(group)
                size = _image_size(rows)
                future = workers.submit(make_pictures, photos_folder, folder, path, size, contents.saliency, limits)
                waiting.append((path, rows, future))
                if len(waiting) >= 4 * jobs:
                    yield leave()
            while waiting:
                yield leave()
        finally:
            workers.shutdown(cancel_futures=True)
    contents.sizes, contents.is_one, contents.candidates = tuple(sizes), most_rows == 1, most_candidates
    contents.write()
    with suppress(OSError):  # the page is written; old pictures do no harm
        remove_others(folder / REVIEW_FOLDER, pictures)
    return contents


def _check_place(folder: Path, out: Path, photos: Path) -> None:
    """Raise UsageError if a page would lie among the originals, or where OUT keeps what it remembers."""
    own = os.path.realpath(folder)
    if own == os.path.realpath(photos) != os.path.realpath(out):
        raise UsageError("your photos are in it", path=folder, remedy="write the page to a folder of its own")
    if is_inside(own, os.path.realpath(out / STATE_FOLDER)):
        raise UsageError("cropper keeps there what it knows of OUT", path=folder, remedy="write the page to another folder")


def _take_over(out: Path) -> None:
    """Check that the page and its folder are ours or missing, and remove pictures that were made in another way."""
    page, folder = out / PAGE, out / REVIEW_FOLDER
    try:
        out.mkdir(parents=True, exist_ok=True)
        if page.exists() and not (page.is_file() and _is_ours(page)):
            raise OutputError("it is not a page that cropper wrote", path=page, remedy="move it away")
        folder.mkdir(exist_ok=True)
        mark = folder / _MARK
        made_with = hashlib.sha256(HOW_MADE.encode())
        made_with.update(BUNDLED_MODEL.read_bytes())
        if mark.exists():
            if mark.read_text(encoding="utf-8") != made_with.hexdigest():
                remove_others(folder, set())
        elif any(folder.iterdir()):
            raise OutputError("it holds files that 'cropper review' did not make", path=folder, remedy="move them away")
        mark.write_text(made_with.hexdigest(), encoding="utf-8")
    except OSError as error:
        reason = f"the page cannot be written ({error.strerror})"
        raise OutputError(reason, path=error.filename or out, remedy="check its permissions") from error


def _is_ours(page: Path) -> bool:
    with page.open("rb") as file:
        return _GENERATOR in file.read(4096)


def _image_size(rows: Iterable[Row]) -> tuple[int, int] | None:
    """Read the width and height of a photo from its rows; None if no row has them."""
    for row in rows:
        numbers = _whole(row.image_width, row.image_height)
        if numbers and min(numbers) > 0:
            return numbers[0], numbers[1]
    return None


def _box(row: Row) -> tuple[int, ...] | None:
    return _whole(row.x, row.y, row.width, row.height)


def _whole(*texts: str) -> tuple[int, ...] | None:
    """Read texts as whole numbers; None if one is not a number, as after someone's edit in a spreadsheet."""
    try:
        return tuple(int(text) for text in texts)
    except ValueError:
        return None


def _entry(path: str, rows: tuple[Row, ...], error: CropperError | None, heads: Heads = ()) -> tuple[float, str]:
    """Return the sort key of a photo and its entry in the page's data, as JSON.

    Failed photos come first, then those whose boxes cut heads, then the rest by the least that a box keeps of the density or of
    the subject.

    Its keys are short because there may be many photos: ``p`` path, ``i`` name of the pictures, ``n`` the photo's size, ``e`` why
    it has no picture, ``d`` the edges of heads as shares of the photo's sides, ``r`` rows. In a row: ``s`` size, ``t`` status,
    ``b`` box, ``f`` focus, ``k`` kept, ``u`` the share of the subject kept, ``h`` heads cut, ``m`` message.
    """
    image_size = _image_size(rows)
    shown: list[dict[str, Any]] = []
    for row in best_of_each_size(rows):
        place = {"b": _box(row), "f": _whole(row.focus_x, row.focus_y)}
        shares = {"k": _share(row.kept), "u": _share(row.subject_kept)}
        cut = (_whole(row.heads_cut) or (None,))[0]
        shown.append(_without_empty({"s": row.size, "t": row.status, **place, **shares, "h": cut or None, "m": row.message}))
    about = {"p": path, "i": name_of(path), "n": image_size, "r": shown, "e": error.reason if error else "", "d": heads or None}
    is_failed = any(row.status == FAILED for row in rows)
    return _FAILED if is_failed else min(map(_certainty, shown), default=_UNKNOWN), _json(_without_empty(about))


def best_of_each_size(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of a photo without further candidates: what is given by hand for a size stands for all of these."""
    best: dict[str, Row] = {}
    for row in rows:
        best.setdefault(row.size, row)
    return list(best.values())


# Keys of photos without a certainty: failed ones come first, others last.
_FAILED, _UNKNOWN = -math.inf, 2.0


def _certainty(row: Mapping[str, Any]) -> float:
    """Return how good a box in the page's data looks: the least share that it keeps, less one for each head it cuts."""
    shares = [row[key] for key in ("k", "u") if key in row]
    return min(shares) - row.get("h", 0) if shares else _UNKNOWN


def _share(text: str) -> float | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


def _without_empty(values: Mapping[str, object]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value != ""}


def _json(value: Any) -> str:
    """Encode JSON that is safe inside an HTML page. Names that are not UTF-8 keep their bytes, as lone surrogates."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _page(out: Path, command: str, sizes: tuple[str, ...], entries: list[str], source: Path, saves: bool | None = None) -> bytes:
    """Fill the template of the page. ``saves`` says of one from a server whether that can save."""
    absolute = os.path.abspath(out)
    about = {
        # The browser's storage key for this page: pages opened from disk may all count as one site.
        "key": hashlib.sha256(os.fsencode(absolute)).hexdigest()[:16],
        "title": f"Review: {printable(os.path.basename(os.path.abspath(source)) or str(source))}",
        "card": CARD_SIDE,
        "folder": REVIEW_FOLDER,
        "sizes": sizes,
        "colours": ["#{2:02x}{1:02x}{0:02x}".format(*heatmap.colour_of(number)) for number in range(_COLOURS)],
        "byHand": BY_HAND,
        "whole": WHOLE_SHARE,
        "command": command,
        "saves": saves,
        "taste": follows_taste(out),
    }
    data = f'{_json(about)[:-1]},"photos":[\n' + ",\n".join(entries) + "\n]}"
    page, style, script = _text_of("page.html"), _text_of("page.css"), "".join(map(_text_of, _SCRIPTS))
    # A page from a server loads its pictures from there, and asks it to save.
    sources, asks = ("'self' file: data:", "") if saves is None else ("'self' data:", "connect-src 'self'; ")
    policy = (
        # Chromium takes 'self' for the files of a page opened from disk, Firefox takes file:.
        f"default-src 'none'; img-src {sources}; base-uri 'none'; form-action 'none'; "
        f"{asks}style-src {_hash_of(style)}; script-src {_hash_of(script)}"
    )
    parts = {
        "title": html.escape(f"{about['title']} \u2013 cropper"),
        "policy": html.escape(policy, quote=False),
        "style": style,
        "script": script,
        "data": data,
    }
    filled = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)
    return filled.encode("utf-8")


def _text_of(name: str) -> str:
    """The text of a file of the page."""
    return (resources.files("cropper.views.review") / name).read_text(encoding="utf-8")


def _hash_of(text: str) -> str:
    """Return the name of an inline style or script in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"


def _command(source: str, out: str, sizes: tuple[str, ...], is_one: bool, candidates: int) -> str:
    """Return the shell command that applies the exported file; ``is_one`` says that no photo has more than one size."""
    wanted = [f"--{'aspect' if ':' in size else 'size'} {shlex.quote(size)}" for size in sizes]
    wanted += ["--one"] if is_one and len(sizes) > 1 else []
    wanted += [f"--candidates {candidates}"] if candidates > 1 else []
    folders = [shlex.quote(printable(folder)) for folder in (source, out)]
    return " ".join(["cropper batch", *folders, *wanted, "--focus focus.csv"])
