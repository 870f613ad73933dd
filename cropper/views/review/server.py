"""Serve the review page to the browsers of this machine's user, and take what they save: the work of ``cropper review --serve``.

Whoever can open a web page in the user's browser, or log in on the machine, can reach a port of the loopback. So each request has
to name a secret that is part of the address, the address itself as its host, and no other page as its origin. A request names no
file: it names a photo of the page, by a digest of its path, and which of its pictures it is for.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from threading import Lock
from typing import Any

from cropper.errors import CropperError, PhotoError, unexpected
from cropper.image_formats import MIME_OF
from cropper.ledger.focus_file import FocusRow
from cropper.ledger.given import Given
from cropper.ledger.handover import HandedOverError
from cropper.ledger.table import Row
from cropper.storage.naming import REVIEW_FOLDER
from cropper.storage.opening import open_below
from cropper.views.review.page import Contents, best_of_each_size
from cropper.views.review.pictures import MIME_OF_PICTURE

HOST = "127.0.0.1"
# The most bytes of a request to save. The page sends a few photos at a time.
MOST_BYTES = 1 << 20
# Seconds that a client may take for its request.
_PATIENCE = 20.0
# No photo has a side this long.
_MOST_SIDE = 1 << 31
_PICTURE = re.compile(rf"{REVIEW_FOLDER}/([0-9a-f]{{24}})\.([a-z]+\.[a-z]+)")
_THUMBNAIL = re.compile(r"thumbnails/([0-9a-f]{24})/([0-9]{1,4})")
_SAVE = "save"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NOTHING_RUNS = "default-src 'none'; frame-ancestors 'none'; sandbox"
# The page has a policy of its own, which names its script by a digest. This one adds what only a header can say.
_NOT_IN_A_FRAME = "frame-ancestors 'none'"


@dataclass(frozen=True)
class Saved:
    """What became of a photo that was saved.

    Attributes:
        rows: of the table.
        error: why it failed, or empty.
    """

    rows: tuple[Row, ...]
    error: str = ""


# Makes photos again. It takes their paths and what is given for them by hand, and gives what became of each.
Save = Callable[[Sequence[str], Sequence[FocusRow]], Mapping[str, Saved]]


@dataclass
class Site:
    """What a server shows, and what it does.

    Attributes:
        contents: of the page.
        save: makes photos again; raises CropperError if nothing could be made. None where the page cannot save.
        token: the secret in the address.
        saving: held while photos are made again.
        outputs: the thumbnails of photos that were saved, by the names of their pictures.
    """

    contents: Contents
    save: Save | None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    saving: Lock = field(default_factory=Lock)
    outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)


class RefusedError(Exception):
    """A request is refused with a status and one line."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Server(ThreadingHTTPServer):
    """The server, bound to the loopback alone. ``serve_forever`` runs it.

    Args:
        site: what it shows.
        port: the port; 0 for one that is free.

    Raises:
        OSError: if the port is taken or not allowed.
    """

    daemon_threads = True
    # On Windows it would let another program take the same port.
    allow_reuse_address = not hasattr(socket, "SO_EXCLUSIVEADDRUSE")

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site = site
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        """Bind to the port, without a search for the name of this machine, which would ask a network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    @property
    def origin(self) -> str:
        """What a browser names as the origin of the page."""
        return f"http://{HOST}:{self.server_port}"

    @property
    def address(self) -> str:
        """Where the page is; it holds the secret."""
        return f"{self.origin}/{self.site.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away: a traceback would be no message for a user."""


class _Handler(BaseHTTPRequestHandler):
    """One request. HTTP/1.0: each has a connection of its own."""

    server: Server
    timeout = _PATIENCE

    def do_GET(self) -> None:
        """Answer with the page or a picture."""
        self._answer(self._shown)

    def do_POST(self) -> None:
        """Save."""
        self._answer(self._saved)

    def version_string(self) -> str:
        """Name the server, and no versions."""
        return "cropper"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: each line would hold the secret."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request of HTTP, or one with another method."""
        self._send(HTTPStatus(code), "text/plain; charset=utf-8", b"refused\n", _NOTHING_RUNS)

    def _answer(self, make: Callable[[str], tuple[str, bytes, str]]) -> None:
        try:
            kind, body, policy = make(self._asked_for())
            self._send(HTTPStatus.OK, kind, body, policy)
        except RefusedError as refused:
            self._send(refused.status, "text/plain; charset=utf-8", f"{refused.why}\n".encode(), _NOTHING_RUNS)

    def _asked_for(self) -> str:
        """Return what is asked for, behind the secret. Raises RefusedError if the request may not ask."""
        if self.headers.get_all("Host") != [f"{HOST}:{self.server.server_port}"]:
            raise RefusedError(HTTPStatus.FORBIDDEN, "open the address that cropper printed")
        origins = self.headers.get_all("Origin", [])
        if origins not in ([], [self.server.origin]) or (self.command != "GET" and not origins):
            raise RefusedError(HTTPStatus.FORBIDDEN, "another page may not ask")
        _, _, path = self.path.partition("?")[0].partition("/")
        token, slash, name = path.partition("/")
        is_known = hmac.compare_digest(token.encode("utf-8", "replace"), self.server.site.token.encode())
        if not is_known or not slash:
            raise RefusedError(HTTPStatus.FORBIDDEN, "open the address that cropper printed")
        return name

    def _shown(self, name: str) -> tuple[str, bytes, str]:
        """Return the media type, the bytes and the policy of what has a name."""
        site = self.server.site
        if not name:
            return "text/html; charset=utf-8", site.contents.page(saves=site.save is not None), _NOT_IN_A_FRAME
        if (found := _PICTURE.fullmatch(name)) and found[1] in site.contents.paths and found[2] in MIME_OF_PICTURE:
            return MIME_OF_PICTURE[found[2]], _read(site.contents.folder, name), _NOTHING_RUNS
        if found := _THUMBNAIL.fullmatch(name):
            outputs = site.outputs.get(found[1], ())
            output = outputs[int(found[2])] if int(found[2]) < len(outputs) else ""
            kind = MIME_OF.get(Path(output).suffix.lower())
            if output and kind is not None:
                return kind, _read(site.contents.out, output), _NOTHING_RUNS
        raise RefusedError(HTTPStatus.NOT_FOUND, "there is nothing of that name")

    def _saved(self, name: str) -> tuple[str, bytes, str]:
        """Save what a page sends, and return what became of it."""
        site = self.server.site
        if name != _SAVE or site.save is None:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is nothing of that name")
        given = _given_in(self._body(), site.contents.paths)
        with site.saving:
            try:
                answer = save(site, given)
            except HandedOverError as error:
                answer = {"kept": str(error)}
            except CropperError as error:
                answer = {"error": str(error)}
            except Exception as error:
                answer = {"error": unexpected(error)}
        return "application/json", json.dumps(answer).encode(), _NOTHING_RUNS

    def _body(self) -> bytes:
        if self.headers.get_content_type() != "application/json":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "only JSON is taken")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,15}", length) or "Transfer-Encoding" in self.headers:
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "the request does not say how long it is")
        if int(length) > MOST_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the request is too long")
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the request is cut off")
        return data

    def _send(self, status: HTTPStatus, kind: str, body: bytes, policy: str) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": policy, **_HEADERS}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def save(site: Site, given: Mapping[str, Sequence[FocusRow]]) -> dict[str, Any]:
    """Make photos again, and return what the page shows of them.

    Args:
        site: the server's; its lock is held.
        given: what is given for each photo, by the names of their pictures.

    Returns:
        ``photos``: for each photo ``i``, the name of its pictures; if it was made ``photo``, its entry in the page's data, and
        ``thumbnails``, the size and the address of each; else ``error``, the reason.

    Raises:
        CropperError: if nothing could be made.
    """
    assert site.save is not None
    contents = site.contents
    paths = {name: contents.paths[name] for name in given}
    made = site.save(list(paths.values()), [row for rows in given.values() for row in rows])
    photos: list[dict[str, Any]] = []
    for name, path in paths.items():
        saved = made.get(path)
        if saved is None:
            reason = "it was left out: IN does not have it any more, or a pattern excludes it"
            photos.append({"i": name, "error": reason})
            continue
        if saved.rows:
            contents.draw_again(path, saved.rows)
        site.outputs[name] = tuple(row.output for row in saved.rows)
        new = secrets.token_hex(4)  # so that no browser shows an old one
        best = best_of_each_size(saved.rows)
        thumbnails = [
            {"size": row.size, "at": f"thumbnails/{name}/{number}?{new}", "n": [row.output_width, row.output_height]}
            for number, row in enumerate(saved.rows)
            if row.output and not saved.error and row in best
        ]
        entry = json.loads(contents.entries[name][1])
        photos.append({"i": name, "photo": entry, "thumbnails": thumbnails, "error": saved.error})
    contents.write()
    return {"photos": photos}


def _given_in(data: bytes, paths: Mapping[str, str]) -> dict[str, list[FocusRow]]:
    """Read what a page sends: ``[[name of the pictures, size, x, y, width, height]]``. Raises RefusedError if it is not that.

    A point has null for width and height. A row that takes back what you gave has null for all four.
    """
    given: dict[str, list[FocusRow]] = {}
    try:
        rows = json.loads(data)
        if not isinstance(rows, list) or not rows:
            raise ValueError
        for name, size, *numbers in rows:
            x, y, width, height = numbers
            if not isinstance(name, str) or not isinstance(size, str) or any(not _is_side(one) for one in numbers):
                raise ValueError
            if (x is None) != (y is None) or (width is None) != (height is None) or (x is None and width is not None):
                raise ValueError
            box = Given(x, y, width, height) if x is not None else None
            if 0 in (width, height):
                raise ValueError
            given.setdefault(name, []).append((paths[name], size, box))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "that is nothing the page would send") from None
    return given


def _is_side(number: Any) -> bool:
    return number is None or (type(number) is int and 0 <= number < _MOST_SIDE)


def _read(folder: Path, name: str) -> bytes:
    """Read a file below a folder, out of which no link leads. Raises RefusedError if it cannot be read."""
    try:
        with open_below(folder, name.split("/")) as file:
            return file.read()
    except (OSError, PhotoError):
        raise RefusedError(HTTPStatus.NOT_FOUND, "the file is not there") from None
