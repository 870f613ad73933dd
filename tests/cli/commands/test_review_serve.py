"""``cropper review``: where the page goes, what it gives away, and the command that serves it."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest
from fixtures import Command, MakePhoto, StartProcess

from cropper.cli.commands.review import _way_to


@pytest.fixture
def made(tmp_path: Path, make_photo: MakePhoto, cropper: Command) -> Path:
    make_photo(tmp_path / "in" / "a.jpg")
    assert cropper("batch", "in", "out", "--aspect", "1:1")[0] == 0
    return tmp_path


def test_the_page_goes_where_nobody_publishes_it(made: Path, cropper: Command) -> None:
    before = sorted(made.joinpath("out").rglob("*"))
    assert cropper("review", "out", "-o", "private/page") == (0, "private/page/review.html\n", "")
    assert sorted(made.joinpath("out").rglob("*")) == before
    assert len(list(made.glob("private/page/review_files/*.preview.jpg"))) == 1
    assert cropper("review", "out")[0] == 0
    _, _, err = cropper("review", "out", "-o", "private/page")
    assert err == "cropper: out: has an older review.html and review_files; remove them if nobody else may see them\n"


@pytest.mark.parametrize(("folder", "why"), [("in", "your photos are in it"), ("out/.cropper/page", "cropper keeps there")])
def test_the_page_goes_neither_among_originals_nor_into_the_state(made: Path, cropper: Command, folder: str, why: str) -> None:
    before = sorted(made.rglob("*"))
    code, out, err = cropper("review", "out", "-o", folder)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"cropper: {folder}: {why}")
    assert sorted(made.rglob("*")) == before


def test_nothing_on_the_page_says_where_folders_are_unless_asked(
    made: Path, cropper: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, make_photo: MakePhoto
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    listed = make_photo(elsewhere / "listed.jpg", seed=3)
    assert cropper("batch", listed, "in/a.jpg", "out", "--aspect", "1:1")[0] == 0

    def command_and_all(*arguments: object) -> tuple[str, bytes]:
        cropper("review", made / "out", *arguments)
        files = [made / "out" / "review.html", *(made / "out" / "review_files").iterdir()]
        found = re.search(r'"command":"(.*?)"', files[0].read_text())
        assert found
        return found[1], b"".join(file.read_bytes() for file in files)

    def paths(data: bytes) -> list[bytes]:
        return [path for path in map(bytes, (str(made).encode(), str(elsewhere).encode())) if path in data]

    command, data = command_and_all()
    assert command == "cropper batch in out --aspect 1:1 --focus focus.csv"
    assert paths(data) == []
    monkeypatch.chdir(elsewhere)
    command, data = command_and_all()
    assert command == "cropper batch IN OUT --aspect 1:1 --focus focus.csv"
    assert paths(data) == []
    command, data = command_and_all("--full-paths")
    assert command == f"cropper batch {made / 'in'} {made / 'out'} --aspect 1:1 --focus focus.csv"
    assert len(paths(data)) == 2


def test_it_is_served_until_a_signal_and_ends_with_0(made: Path, cropper_process: StartProcess) -> None:
    for end in (signal.SIGINT, signal.SIGTERM):
        process = cropper_process("review", "out", "--serve")
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/[\w-]{43}/", address)
        with urlopen(address) as page:
            assert b'"saves":true' in page.read()
        process.send_signal(end)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, b"")
        assert err == b"cropper: press Ctrl-C to end; the address is for you alone\n"


def test_an_older_output_folder_is_said_and_the_page_has_the_command(made: Path, cropper_process: StartProcess) -> None:
    with closing(sqlite3.connect(made / "out" / ".cropper" / "state.db")) as connection:
        connection.execute("DROP TABLE last_run")
    process = cropper_process("review", "out", "--serve")
    assert process.stdout is not None
    with urlopen(process.stdout.readline().decode().strip()) as page:
        data = page.read().decode()
    assert '"saves":false' in data
    assert f"cropper batch {made / 'in'} {made / 'out'} --aspect 1:1" in data
    process.terminate()
    assert b"so the page cannot save; run 'cropper batch IN OUT' once" in process.communicate(timeout=20)[1]


def test_a_port_that_is_taken_is_said_in_one_line(made: Path, cropper: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, out, err = cropper("review", "out", "--serve", "--port", port)
    assert (code, out) == (2, "")
    assert err.startswith(f"cropper: port {port} of 127.0.0.1 cannot be used")
    assert err.count("\n") == 1
    assert cropper("review", "out", "--port", "80")[2] == "cropper: --port needs --serve; give both or neither\n"


def test_a_browser_is_given_no_address_that_other_users_could_see() -> None:
    with _way_to("http://127.0.0.1:1/secret/") as way:
        assert "secret" not in str(way)
        assert 'url=http://127.0.0.1:1/secret/"' in way.read_text()
        assert way.parent.stat().st_mode & 0o077 == 0
    assert not way.exists()
