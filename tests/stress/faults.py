"""Runs `cropper batch s3://... s3://...` through a connection that fails, kills it as well, and compares with a run on the disk.

    python tests/stress/faults.py [--photos 300] [--kills 8] [--share 0.02] [--seed 1]

Between s3fs and moto's server stands a proxy. A share of all requests it drops (a third before the server hears of them, a third
after it has done them, a third in the middle of the reply), as many it answers with 503, and as many wait for a second. What it
does to the n-th request is the seed's choice. It carries out what it holds though whoever asked has been killed since. The
library tries again by itself; AWS_MAX_ATTEMPTS=1 and a larger share leave more of it to us.

Two scenes take turns: an empty OUT, and one of an earlier run, where photos have changed, gone, come and broken since. In each,
one run goes undisturbed but for the proxy, then runs are killed at random moments, each followed by one to the end. Every
thumbnail, the table and the exit code have to be those of the run on the disk, no photo may be in the table twice, nothing may
be left over, and a further run has to find nothing to do. Parts of the table are sent every 25 rows, so that kills meet some.
"""

from __future__ import annotations

import http.client
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2
import fsspec

sys.path.insert(0, str(Path(__file__).parents[1]))
import s3
from fixtures import imread
from forked import Forked

from cropper.ledger import upload

SAMPLES = Path(__file__).parents[2] / "sample_images"
BUCKET = "bucket"
SCENES = "first", "later"
STATE = {".cropper/state.db"}
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
FAULTS = ("dropped before", "dropped after", "dropped within", "refused", "delayed")


@contextmanager
def proxy(server: str, share: float, seed: int, delay: float) -> Iterator[tuple[str, Counter[str]]]:
    """Stand in front of a server, and give the address and the counts of what was done to requests."""
    counts: Counter[str] = Counter()
    numbers = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            shares = [share / 3] * 3 + [share] * 2
            fault = random.Random(f"{seed}/{next(numbers)}").choices([*FAULTS, "passed"], [*shares, 1 - 3 * share])[0]
            counts.update(requests=1, **{fault: 1})
            if fault == "dropped before":
                return self.drop()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if fault == "refused":
                return self.reply(503, [("Content-Type", "application/xml")], BUSY)
            if fault == "delayed":
                time.sleep(delay)
            there = http.client.HTTPConnection(server.removeprefix("http://"))
            there.request(self.command, self.path, body, dict(self.headers.items()))
            answered = there.getresponse()
            data = answered.read()
            there.close()
            if fault == "dropped after":
                return self.drop()
            self.reply(answered.status, answered.getheaders(), data, cut=fault == "dropped within")

        def reply(self, status: int, headers: list[tuple[str, str]], data: bytes, cut: bool = False) -> None:
            self.send_response_only(status)
            kept = {name.lower(): value for name, value in headers if name.lower() not in ("connection", "transfer-encoding")}
            for name, value in {"content-length": str(len(data)), **kept}.items():  # a HEAD's is of what it does not send
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                self.drop()

        def drop(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815

    standing = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    standing.handle_error = lambda *_: None  # type: ignore[method-assign]  # whoever asked is gone
    threading.Thread(target=standing.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{standing.server_port}", counts
    standing.shutdown()


def make_photos(first: Path, later: Path, count: int, seed: int) -> None:
    """Pieces of the sample photos in three folders; and the same later: some others, one gone, one new, one broken."""
    chance = random.Random(seed)
    samples = [imread(str(path)) for path in sorted(SAMPLES.iterdir()) if path.suffix in (".jpg", ".png")]
    for number in range(count):
        picture = samples[number % len(samples)]
        top, left = (chance.randrange(side // 3) for side in picture.shape[:2])
        path = first / ("", "b", "b/c")[number % 3] / f"{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(picture[top:, left:], (240, 160), interpolation=cv2.INTER_AREA))
    shutil.copytree(first, later)
    files = sorted(later.rglob("*.jpg"))
    for file in files[::5]:
        cv2.imwrite(str(file), cv2.flip(imread(str(file)), 1))
    shutil.copy(files[0], later / "b/new.jpg")
    files[1].unlink()
    files[2].write_bytes(b"no photo")


def _arrange() -> None:
    upload.PHOTOS = 25


def run(source: object, out: object, address: str = "", kill_after: float | None = None) -> tuple[int, str]:
    """Exit code of a run to its end, or to a kill so many seconds after its beginning, and what it said."""
    command = ["batch", str(source), str(out), "--size", "96x64", "--moved"]
    environment = {**os.environ, **s3.environment(address)}
    process = Forked(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=_arrange)
    try:
        said = process.communicate(timeout=kill_after)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()[1]
    return process.returncode, said


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".cropper" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def differences(fs: Any, expected: dict[str, bytes]) -> list[str]:
    """What in OUT is not as on the disk, a line each."""
    found = {path.removeprefix(f"{BUCKET}/out/"): fs.cat_file(path) for path in fs.find(f"{BUCKET}/out")}
    lines = [f"left over: {name}" for name in sorted(found.keys() - expected.keys() - STATE)]
    lines += [f"missing: {name}" for name in sorted((expected.keys() | STATE) - found.keys())]
    lines += [f"other: {name}" for name in sorted(found.keys() & expected.keys()) if found[name] != expected[name]]
    return lines


def trial(photos: int, kills: int, share: float, seed: int, delay: float = 1) -> Counter[str]:
    """All of it, with so many seconds of delay; the counts, and under ``differences`` how much was wrong, each said on stderr."""
    chance = random.Random(seed)
    with TemporaryDirectory() as scratch, s3.server() as server, proxy(server, share, seed, delay) as (address, counts):
        folder, fs = Path(scratch), fsspec.filesystem("s3", endpoint_url=server, key="-", secret="-", use_listings_cache=False)
        make_photos(folder / "first", folder / "later", photos, seed)
        fs.mkdir(BUCKET)
        codes, trees = {}, {}
        seconds: dict[str, float] = {}
        for name in SCENES:
            fs.put(str(folder / name), f"{BUCKET}/{name}", recursive=True)
            codes[name] = run(folder / name, folder / "out")[0]
            trees[name] = tree(folder / "out")
        assert list(codes.values()) == [0, 1], codes

        def to_the_end(name: str, expected: str = "") -> None:
            begun = time.monotonic()
            code, said = run(f"s3://{BUCKET}/{name}", f"s3://{BUCKET}/out", address)
            seconds.setdefault(name, time.monotonic() - begun)
            wrong = differences(fs, trees[name]) + [f"exit code {code}: {said}"] * (code != codes[name] or expected not in said)
            counts.update(runs=1, differences=len(wrong))
            for line in wrong or ["as on the disk"]:
                click.echo(f"{name}: {line}", err=True)

        for name in SCENES:
            to_the_end(name)
            to_the_end(name, expected=": 0 done")
        for number in range(kills):
            name = SCENES[number % 2]
            if name == SCENES[0]:
                fs.rm(f"{BUCKET}/out", recursive=True)
            when = chance.uniform(0.3, seconds[name])
            counts["kills"] += run(f"s3://{BUCKET}/{name}", f"s3://{BUCKET}/out", address, when)[0] == -signal.SIGKILL
            to_the_end(name)
    return counts


@click.command(help=__doc__)
@click.option("--photos", type=click.IntRange(12), default=300)
@click.option("--kills", type=click.IntRange(0), default=8)
@click.option("--share", type=click.FloatRange(0, 0.3), default=0.02)
@click.option("--seed", default=1)
def faults(photos: int, kills: int, share: float, seed: int) -> None:
    counts = trial(photos, kills, share, seed)
    click.echo(", ".join(f"{counts[name]} {name}" for name in ("requests", *FAULTS, "runs", "kills", "differences")))
    sys.exit(1 if counts["differences"] else 0)


if __name__ == "__main__":
    faults()
