"""The server of the review page: who may ask, for what, and what a save does."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures import MakePhoto
from running import run_batch

from cropper.engine.again import Again
from cropper.ledger import lock
from cropper.ledger.database import files_of
from cropper.ledger.focus_file import FocusRow
from cropper.ledger.given import Given
from cropper.ledger.table import TABLE_NAME, Row, read_rows
from cropper.settings import Settings, Target
from cropper.views.review.page import PAGE, Contents, write_page
from cropper.views.review.pictures import name_of, pictures_of
from cropper.views.review.server import MOST_BYTES, Saved, Server, Site

SETTINGS = Settings((Target((64, 36), (64, 36)), Target((1, 1))), format="png")
A, B = name_of("a.jpg"), name_of("trip/b.jpg")
Answer = tuple[int, dict[str, str], bytes]


class Asks:
    """Asks a server as anything on the machine can: any path, any headers."""

    def __init__(self, server: Server, folder: Path, again: Again) -> None:
        self.server, self.folder, self.out, self.again = server, folder, folder / "out", again
        self.token = server.site.token

    def __call__(self, path: str, method: str = "GET", body: bytes | None = None, **headers: Any) -> Answer:
        sent = {"Host": f"127.0.0.1:{self.server.server_port}", **{name.replace("_", "-"): one for name, one in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None and "Content-Length" not in sent:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def page(self, name: str, **headers: Any) -> Answer:
        return self(f"/{self.token}/{name}", **headers)

    def post(self, rows: Any, name: str = "save", **headers: Any) -> Answer:
        data = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        headers = {"Origin": self.server.origin, "Content_Type": "application/json", **headers}
        return self(f"/{self.token}/{name}", method="POST", body=data, **headers)

    def save(self, *rows: list[Any]) -> Any:
        status, headers, data = self.post(list(rows))
        assert (status, headers["Content-Type"]) == (200, "application/json")
        return json.loads(data)

    def rows(self, path: str) -> list[Row]:
        return [row for row in read_rows(self.out / TABLE_NAME) if row.path == path]


def contents_of(out: Path, **others: Any) -> Contents:
    photos = write_page(out, None, 2, **others)
    while True:
        try:
            next(photos)
        except StopIteration as end:
            return end.value


@contextmanager
def served(folder: Path) -> Iterator[Asks]:
    contents = contents_of(folder / "out")
    again = Again(contents.source, contents.out, 1, contents.saliency)

    def make(paths: Any, given: Any) -> dict[str, Saved]:
        made = again.make(paths, given)
        return {path: Saved(done.rows, done.error.reason if done.error else "") for path, done in made.items()}

    with Server(Site(contents, make)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Asks(server, folder, again)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def made(tmp_path: Path, make_photo: MakePhoto) -> Path:
    for seed, name in enumerate(("a.jpg", "trip/b.jpg", "c.jpg")):
        make_photo(tmp_path / "in" / name, seed=seed)
    list(run_batch(tmp_path / "in", tmp_path / "out", SETTINGS, 2))
    return tmp_path


@pytest.fixture
def ask(made: Path) -> Iterator[Asks]:
    with served(made) as asks:
        yield asks


# Who may ask ---------------------------------------------------------------------------------------------------------------


def test_whoever_has_the_address_gets_the_page_and_its_pictures(ask: Asks) -> None:
    status, headers, page = ask.page("")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'"saves":true' in page
    assert b"connect-src 'self'" in page
    kinds = {"jpg": "image/jpeg", "png": "image/png", "svg": "image/svg+xml"}
    for name in pictures_of("trip/b.jpg"):
        status, headers, data = ask.page(f"review_files/{name}")
        assert (status, headers["Content-Type"]) == (200, kinds[name[-3:]])
        assert data == (ask.out / "review_files" / name).read_bytes()


@pytest.mark.parametrize("path", ["/", "", "//", "/{wrong}/", "/{wrong}/save", "/{short}/", "/{token}", "/{token}x/", "/%00/"])
def test_a_wrong_or_missing_secret_is_refused(ask: Asks, path: str) -> None:
    filled = path.format(token=ask.token, wrong="x" * len(ask.token), short=ask.token[:-1])
    assert ask(filled or "*")[0] == 403
    assert ask(filled or "*", "POST", b"[]", Origin=ask.server.origin, Content_Type="application/json")[0] == 403


def test_the_secret_is_new_each_time_and_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch, ask: Asks) -> None:
    contents = ask.server.site.contents
    tokens = {Site(contents, None).token for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 43 for token in tokens)  # 32 bytes
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert ask("/guess/")[0] == 403
    assert compared == [(b"guess", ask.token.encode())]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:1", "evil.example:{port}", "[::1]:{port}", None]
)
def test_another_host_is_refused_as_a_name_may_be_made_to_lead_here(ask: Asks, host: str | None) -> None:
    named = host.format(port=ask.server.server_port) if host is not None else None
    status, _, data = ask.page("", Host=named)
    assert status == 403
    assert b"photos" not in data
    assert ask.post([[A, "", 1, 1, None, None]], Host=named)[0] == 403


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "http://localhost:{port}"]
)
def test_another_origin_is_refused(ask: Asks, origin: str) -> None:
    named = origin.format(port=ask.server.server_port)
    assert ask.page("", Origin=named)[0] == 403
    assert ask.post([[A, "", 1, 1, None, None]], Origin=named)[0] == 403


def test_a_save_needs_an_origin_and_json_which_no_form_of_another_page_sends(ask: Asks) -> None:
    row = [[A, "", 1, 1, None, None]]
    assert ask.post(row, Origin=None)[0] == 403
    for kind in (None, "text/plain", "application/x-www-form-urlencoded"):
        assert ask.post(row, Content_Type=kind)[0] == 415
    assert {one.message for one in ask.rows("a.jpg")} == {""}


def test_it_is_bound_to_the_loopback_alone(ask: Asks) -> None:
    assert ask.server.socket.getsockname()[0] == "127.0.0.1"
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", ask.server.server_port))  # the same machine by another address


# For what -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"])
def test_other_methods_are_refused(ask: Asks, method: str) -> None:
    assert ask(f"/{ask.token}/", method)[0] == 501


@pytest.mark.parametrize(
    "name",
    [
        "../in/a.jpg",
        "review_files/../boxes.csv",
        "review_files/%2e%2e/boxes.csv",
        "review_files/.cropper-review",
        "review_files/{a}.preview.jpg/../../boxes.csv",
        "review_files/{unknown}.preview.jpg",
        "review_files/{a}.other.jpg",
        "review_files//{a}.card.jpg",
        "review_files",
        "boxes.csv",
        ".cropper/state.db",
        "review.html",
        "64x36/a.png",
        "/etc/passwd",
        "thumbnails/{a}/0",
        "thumbnails/{a}/9999",
        "thumbnails/../../in/a.jpg/0",
        "save",
        "\\..\\in\\a.jpg",
    ],
)
def test_nothing_but_the_pictures_of_the_page_can_be_got(ask: Asks, name: str) -> None:
    (ask.out / "review_files" / f"{'0' * 24}.preview.jpg").write_bytes(b"somebody's")
    assert ask.page(name.format(a=A, unknown="0" * 24))[0] == 404


def test_no_link_leads_out_of_the_folders(ask: Asks, tmp_path: Path) -> None:
    ask.save([A, "", 1, 1, None, None])
    (tmp_path / "secret").write_text("secret")
    for name, file in (
        (f"review_files/{A}.card.jpg", ask.out / "review_files" / f"{A}.card.jpg"),
        (f"thumbnails/{A}/0", ask.out / ask.rows("a.jpg")[0].output),
    ):
        assert ask.page(name)[0] == 200
        file.unlink()
        file.symlink_to(tmp_path / "secret")
        assert ask.page(name)[0] == 404


@pytest.mark.parametrize("name", ["", "../save", "save/", "save/x", "page", "review_files/save"])
def test_only_one_address_takes_anything(ask: Asks, name: str) -> None:
    assert ask.post([[A, "", 1, 1, None, None]], name)[0] == 404


def test_what_is_sent_is_limited(ask: Asks) -> None:
    assert ask.post(b"", Content_Length=str(MOST_BYTES + 1))[0] == 413  # at once, unread
    for length in ("-1", "1e3", "", "+1"):
        assert ask.post(b"", Content_Length=length)[0] == 411
    assert ask.post(b"[]", Transfer_Encoding="chunked")[0] == 411


@pytest.mark.parametrize(
    "rows",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        {},
        [],
        [1],
        [[A]],
        [[A, "", 1, 1, None]],
        [[A, "", 1, None, None, None]],
        [[A, "", 1, 1, 5, None]],
        [[A, "", None, None, 5, 5]],
        [[A, "", 1, 1, 0, 5]],
        [[A, "", -1, 1, None, None]],
        [[A, "", 1.5, 1, None, None]],
        [[A, "", True, 1, None, None]],
        [[A, "", "1", 1, None, None]],
        [[A, "", 1 << 40, 1, None, None]],
        [[A, 5, 1, 1, None, None]],
        [["a.jpg", "", 1, 1, None, None]],
        [["../in/a.jpg", "", 1, 1, None, None]],
        [[{}, "", 1, 1, None, None]],
    ],
)
def test_what_the_page_would_not_send_is_refused_and_changes_nothing(ask: Asks, rows: Any) -> None:
    before = (ask.out / TABLE_NAME).read_bytes()
    assert ask.post(rows)[0] == 400
    assert (ask.out / TABLE_NAME).read_bytes() == before


def test_every_answer_says_that_nothing_of_it_is_for_others(ask: Asks, capfd: pytest.CaptureFixture[str]) -> None:
    answers = [ask.page(""), ask.page(f"review_files/{A}.card.jpg"), ask.page("no"), ask("/"), ask("/", "PUT")]
    answers.append(ask.post([[A, "", 1, 1, None, None]]))
    for _, headers, _ in answers:
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Server"] == "cropper"
        assert not [name for name in headers if name.startswith("Access-Control")]
    for _, headers, _ in answers[1:]:
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    with socket.create_connection(("127.0.0.1", ask.server.server_port)) as broken:
        broken.sendall(b"no HTTP\r\n\r\n")
        assert broken.recv(1000)
    assert "".join(capfd.readouterr()) == ""  # above all not the address


# What a save does -----------------------------------------------------------------------------------------------------------


def test_a_save_makes_the_thumbnails_of_these_photos_alone_and_shows_them(ask: Asks, make_photo: MakePhoto) -> None:
    make_photo(ask.folder / "in" / "new.jpg", seed=9)
    before = {file: file.stat().st_mtime_ns for file in ask.out.rglob("*.png") if "review_files" not in file.parts}
    answer = ask.save([A, "1:1", 2, 3, 40, 40])
    assert list(answer) == ["photos"]
    (photo,) = answer["photos"]
    assert (photo["i"], photo["error"]) == (A, "")
    assert [row["b"] for row in photo["photo"]["r"] if row["s"] == "1:1"] == [[2, 3, 40, 40]]
    assert [(one["size"], one["n"]) for one in photo["thumbnails"]] == [("64x36", ["64", "36"]), ("1:1", ["40", "40"])]
    shown = ask.page(photo["thumbnails"][1]["at"])
    row = next(row for row in ask.rows("a.jpg") if row.size == "1:1")
    assert (shown[0], shown[1]["Content-Type"], shown[2]) == (200, "image/png", (ask.out / row.output).read_bytes())
    assert (row.x, row.y, row.width, row.message) == ("2", "3", "40", "focus given")
    changed = {file.relative_to(ask.out).as_posix() for file, time in before.items() if file.stat().st_mtime_ns != time}
    assert {Path(name).name for name in changed} == {"a.png"}
    assert not ask.rows("new.jpg")
    assert b'"b":[2,3,40,40]' in ask.page("")[2]  # as after a reload
    assert b'"b":[2,3,40,40]' in (ask.out / PAGE).read_bytes()
    again = ask.save([A, "1:1", 4, 3, 40, 40])["photos"][0]["thumbnails"][1]["at"]
    assert again != photo["thumbnails"][1]["at"]  # no browser takes the old one for it


def test_a_save_is_what_a_batch_with_the_focus_file_does(ask: Asks, tmp_path: Path) -> None:
    rows: list[FocusRow] = [("a.jpg", "", Given(10, 20)), ("trip/b.jpg", "64x36", Given(0, 0, 64, 36))]
    other = tmp_path / "other"
    list(run_batch(tmp_path / "in", other, SETTINGS, 1, rows))
    ask.save([A, "", 10, 20, None, None], [B, "64x36", 0, 0, 64, 36])
    assert (ask.out / TABLE_NAME).read_bytes() == (other / TABLE_NAME).read_bytes()
    for row in read_rows(other / TABLE_NAME):
        assert (ask.out / row.output).read_bytes() == (other / row.output).read_bytes()
    # And it counts in later runs, which have nothing to do.
    done = [done for done in run_batch(tmp_path / "in", ask.out, SETTINGS, 1) if done.rows]
    assert [one.unchanged for one in done] == [True] * 3


def test_what_was_given_is_taken_back(ask: Asks) -> None:
    before = (ask.out / TABLE_NAME).read_bytes()
    ask.save([A, "", 10, 20, None, None])
    assert (ask.out / TABLE_NAME).read_bytes() != before
    ask.save([A, "", None, None, None, None])
    assert (ask.out / TABLE_NAME).read_bytes() == before


def test_a_photo_that_fails_says_why_and_costs_no_other(ask: Asks) -> None:
    (ask.folder / "in" / "a.jpg").write_bytes(b"no photo")
    (ask.folder / "in" / ".cropperignore").write_text("c.jpg\n")
    answer = ask.save([A, "", 1, 1, None, None], [B, "", 1, 1, None, None], [name_of("c.jpg"), "", 1, 1, None, None])
    first, second, third = answer["photos"]
    assert "not an image that cropper can read" in first["error"]
    assert first["thumbnails"] == []
    assert (second["error"], len(second["thumbnails"])) == ("", 2)
    assert "a pattern excludes it" in third["error"]
    assert "photo" not in third


def test_a_link_that_leads_out_of_the_photos_is_not_followed(ask: Asks, make_photo: MakePhoto, tmp_path: Path) -> None:
    make_photo(tmp_path / "secret.jpg")
    (ask.folder / "in" / "a.jpg").unlink()
    (ask.folder / "in" / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    (photo,) = ask.save([A, "", 1, 1, None, None])["photos"]
    assert "link that leads out of the folder" in photo["error"]


def test_a_batch_that_is_at_work_is_said_and_the_lock_is_held_for_a_save_only(ask: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask.again, "_patience", 0.0)
    taken = lock.take(files_of(ask.out).lock, ask.out)  # nobody else has it
    answer = ask.save([A, "", 1, 1, None, None])
    assert list(answer) == ["kept"]
    assert "another run" in answer["kept"]
    assert "is at work there; what you gave is kept" in answer["kept"]
    lock.release(taken, tidy=True)
    assert ask.save([A, "", 1, 1, None, None])["photos"][0]["error"] == ""
    lock.release(lock.take(files_of(ask.out).lock, ask.out), tidy=True)


def test_saves_wait_for_each_other(ask: Asks) -> None:
    answers: list[Any] = []
    both = [threading.Thread(target=lambda name=name: answers.append(ask.save([name, "", 1, 1, None, None]))) for name in (A, B)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(answer["photos"][0]["i"] for answer in answers) == sorted((A, B))


def test_a_page_that_cannot_save_says_so_and_takes_nothing(made: Path) -> None:
    with served(made) as ask:
        ask.server.site.save = None
        assert b'"saves":false' in ask.page("")[2]
        assert ask.post([[A, "", 1, 1, None, None]])[0] == 404


def test_the_file_can_not_save_and_may_not_ask_a_server(made: Path) -> None:
    contents_of(made / "out")
    page = (made / "out" / PAGE).read_bytes()
    assert b'"saves":null' in page
    assert b"connect-src 'self'" not in page
