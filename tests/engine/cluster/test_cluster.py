"""The engine for clusters against the one of threads: the same trees and tables, whoever is killed meanwhile."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import killed
import pytest
import ray_faults
from fixtures import Command, MakePhoto, StartProcess
from running import run_batch

from cropper._version import __version__
from cropper.engine.batch import local_threads
from cropper.engine.cluster import coordinator as cluster
from cropper.engine.cluster import worker
from cropper.engine.cluster.coordinator import CHUNK, Cluster, chunk_sizes, ray_cluster
from cropper.engine.cluster.start import _reason, _unreachable
from cropper.engine.cluster.worker import TRIES, TRIES_ALONE, Answer, Task, Worker, _packed
from cropper.engine.job import Done, Finished, Job
from cropper.engine.pipeline import BATCH_SIZE
from cropper.errors import CropperError, OutputError, UsageError
from cropper.extras import install_command
from cropper.ledger.table import TABLE_NAME, read_rows
from cropper.model.saliency import BUNDLED_MODEL
from cropper.settings import Settings, Target
from cropper.storage import thumbnails
from cropper.storage.naming import STATE_FOLDER, marked, temporary_name
from cropper.storage.places import Place, Whose

SIZES = Target((96, 64), (96, 64)), Target((1, 1))
PATIENCE = 120.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of this machine for all tests here, and its address."""
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    ray.init(
        "local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        object_store_memory=100 << 20,
    )
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and windows so small that a few photos make several."""
    monkeypatch.setattr(cluster, "CHUNK", 4)
    monkeypatch.setattr(cluster, "WINDOW", 12)
    monkeypatch.setattr(cluster, "WINDOW_OF_ONE", 1)


@pytest.fixture
def photos(samples: Path, make_photo: MakePhoto, tmp_path: Path) -> Path:
    """Real photos in subfolders, small ones, a broken one, and a folder without any."""
    source = tmp_path / "in"
    shutil.copytree(samples, source)
    (source / "trips" / "broken.jpg").write_bytes(b"no photo")
    (source / "empty").mkdir()
    make_photo(source / "zoo" / "a.png", seed=1)
    make_photo(source / "zoo" / "b.webp", 64, 96, seed=2)
    return source


def process(source: Path, out: Path, engine: Any = local_threads, stop: Callable[[], bool] = lambda: False) -> list[Done]:
    return list(run_batch(source, out, Settings(SIZES), 2, stop=stop, engine=engine))


def many(folder: Path, samples: Path, count: int) -> Path:
    """Copies of real photos, which take a worker some time."""
    folder.mkdir()
    originals = sorted(samples.glob("*.jpg"))
    for number in range(count):
        shutil.copy(originals[number % len(originals)], folder / f"{number:03}.jpg")
    return folder


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_trees_and_tables_are_those_of_threads_and_a_second_run_goes_on(
    photos: Path, tmp_path: Path, address: str, small: None, make_photo: MakePhoto
) -> None:
    out, reference = tmp_path / "out", tmp_path / "reference"
    done = process(photos, out, ray_cluster)
    expected = process(photos, reference)
    assert [(one.path, one.rows, one.fits, str(one.error)) for one in done] == [
        (one.path, one.rows, one.fits, str(one.error)) for one in expected
    ]
    assert sum(one.error is not None for one in done) == 1
    assert all(one.seconds > 0 for one in done if one.rows)
    assert killed.tree(out) == killed.tree(reference)

    make_photo(photos / "zoo" / "a.png", seed=3)
    later = time.time() + 10
    os.utime(photos / "zoo" / "a.png", (later, later))
    (photos / "zoo" / "b.webp").unlink()
    make_photo(photos / "zoo" / "new.jpg", seed=4)
    done = process(photos, out, ray_cluster)
    process(photos, reference)
    made = [one.path for one in done if one.rows and not one.unchanged]
    assert made == ["trips/broken.jpg", "zoo/a.png", "zoo/new.jpg"]
    assert killed.tree(out) == killed.tree(reference)


@pytest.mark.parametrize("workers", [1, 2, 16, 300])
@pytest.mark.parametrize("photos", [0, 1, 5, 100, 10_000])
def test_chunks_become_small_so_that_all_workers_have_one_and_end_together(photos: int, workers: int) -> None:
    sizes = list(chunk_sizes(photos, workers))
    assert sum(sizes) == photos
    assert sizes == sorted(sizes, reverse=True)
    assert all(0 < size <= CHUNK for size in sizes)
    assert len(sizes) >= min(workers, photos // BATCH_SIZE)
    # Whoever takes the next one when the others have ended makes them wait for a small part of all, or a batch.
    assert all(size <= max(BATCH_SIZE, (photos - sum(sizes[:at])) / (4 * workers)) for at, size in enumerate(sizes))


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_worker_that_is_killed_loses_and_doubles_nothing(
    samples: Path, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CHUNK", 3)
    source, out, reference = many(tmp_path / "in", samples, 36), tmp_path / "out", tmp_path / "reference"
    process(source, reference)
    hit = []

    def kill_one() -> None:
        wait_for(lambda: any(out.rglob("*.jpg")))
        hit.append(ray_faults.workers_of(os.getpid())[0])
        os.kill(hit[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    done = process(source, out, ray_cluster)
    killer.join()
    assert hit
    assert max(Counter(one.path for one in done).values()) == 1
    assert killed.tree(out) == killed.tree(reference)
    assert not list(out.rglob("*.part"))


def recorded(out: Path) -> int:
    """How many photos a run has recorded so far, on the disk."""
    file = f"{(out / STATE_FOLDER / 'state.db').as_uri()}?mode=ro"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file, uri=True)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM photo").fetchone()[0])
    return 0


@pytest.mark.skipif(os.name == "nt", reason="has no such signals")
def test_an_interrupt_keeps_what_is_finished_and_the_next_run_goes_on(
    samples: Path, tmp_path: Path, address: str, cropper_program: StartProcess
) -> None:
    source, out = many(tmp_path / "in", samples, 150), tmp_path / "out"
    options = ("--size", "96x64", "--aspect", "1:1", "--engine", "ray", "--address", address)
    running = cropper_program("batch", source, out, *options)
    wait_for(lambda: running.poll() is not None or recorded(out) > 20)
    running.send_signal(signal.SIGTERM)
    stdout, stderr = running.communicate(timeout=PATIENCE)
    assert (running.returncode, stdout) == (130, b"")
    assert b"cropper: interrupted; finished photos are on disk" in stderr
    finished = sum(1 for _ in read_rows(out / TABLE_NAME)) // 2
    assert 0 < finished < 150
    done = process(source, out)
    assert sum(one.unchanged for one in done) == finished
    process(source, tmp_path / "reference")
    assert killed.tree(out) == killed.tree(tmp_path / "reference")


@pytest.fixture
def task(samples: Path, tmp_path: Path, address: str) -> Task:
    pytest.importorskip("pyarrow")
    (tmp_path / "out" / STATE_FOLDER).mkdir(parents=True)
    settings = Settings(SIZES[:1])
    return Task(samples / "trips", tmp_path / "out", settings, BUNDLED_MODEL.read_bytes(), __version__, os.getcwd(), "test")


def answer_of(one: Worker, jobs: list[Job]) -> Answer:
    import pyarrow

    (answer,) = one(pyarrow.table({"jobs": [[pickle.dumps(job) for job in jobs]]}))["answer"].to_pylist()
    return pickle.loads(answer)


def timeless(photo: Finished | Job) -> Finished | Job:
    """A finished photo without its own time and those of its thumbnails, and without what was there already.

    Whoever wrote a thumbnail last gave it its time, and found what the others had written.
    """
    assert isinstance(photo, Finished)
    written = tuple((output, replace(trace, modified_ns=0)) for output, trace in photo.written)
    return replace(photo, done=replace(photo.done, seconds=0.0, written=(), same=0), written=written)


def job_for(number: int, name: str, file: Path | Place | None = None) -> Job:
    return Job(number=number, path=name, file=file or Path(name), format="jpg", outputs=(name,), given=(None,))


@pytest.mark.parametrize("ours", [False, True])
def test_a_chunk_that_two_workers_have_at_once_is_made_as_by_one(task: Task, ours: bool) -> None:
    """One that was taken for lost, and the one in its place: whoever is last, the files are whole and the answers alike."""
    assert isinstance(task.source, Path)
    assert isinstance(task.out, Path)
    names = sorted(path.name for path in task.source.glob("*.jpg"))
    jobs = [
        replace(
            job_for(number, name, task.source / name),
            whose=(Whose.OURS if ours else Whose.UNKNOWN,),
            temporary=temporary_name(number),
        )
        for number, name in enumerate(names)
    ]
    answers = []
    workers = [Worker(task) for _ in range(3)]
    threads = [threading.Thread(target=lambda one=one: answers.append(answer_of(one, jobs))) for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = killed.tree(task.out)
    assert {name for name in first if not name.startswith(".")} == set(names)
    again = answer_of(workers[0], jobs)
    assert [one.error for one in answers] == [None] * 3
    assert all(list(map(timeless, one.photos)) == list(map(timeless, again.photos)) for one in answers)
    assert killed.tree(task.out) == first


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": Path("nowhere")}, "nowhere: the worker on .* does not see it; give folders of a file system that all"),
        ({"out": Path("nowhere")}, "nowhere: the worker on .* does not see it"),
        ({"version": "0"}, "has cropper .*, this machine has 0; install the same version"),
        ({"model": b"none"}, "onnxruntime cannot load it"),
    ],
)
def test_a_worker_that_cannot_work_says_why(task: Task, change: dict[str, Any], reason: str) -> None:
    answer = answer_of(Worker(replace(task, **change)), [job_for(0, "a.jpg")])
    assert answer.photos == []
    assert answer.error
    with pytest.raises(type(answer.error), match=reason):
        raise answer.error


def test_photos_that_brought_down_their_workers_are_given_up(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Worker(task)
    jobs = [job_for(n, name, task.source / name) for n, name in enumerate(("a.jpg", "b.jpg"))]
    monkeypatch.setattr(worker, "_counted", lambda key: nullcontext(TRIES + 1))
    answer = answer_of(one, jobs)
    assert answer.photos == []
    assert answer.error
    with pytest.raises(CropperError, match=r"died again and again at photos from a\.jpg to b\.jpg; move away the photo"):
        raise answer.error


class Died(BaseException):
    """In place of a worker's death: what was begun has not ended."""


class Fragile(Worker):
    """A worker that dies of a photo called so."""

    deadly = "b.jpg"

    def _answer(self, jobs: list[Job], alone: str = "") -> Answer:
        if any(job.path == self.deadly for job in jobs):
            raise Died
        return super()._answer(jobs, alone)


def answers_and_deaths(task: Task, jobs: list[Job]) -> tuple[Answer, int]:
    """What Ray does: another worker begins the chunk again."""
    deaths = 0
    while True:
        try:
            return answer_of(Fragile(task), jobs), deaths
        except Died:
            deaths += 1


@pytest.fixture
def three(task: Task) -> list[Job]:
    assert isinstance(task.source, Path)
    files = sorted(task.source.glob("*.jpg"))[:3]
    return [
        replace(job_for(n, name, file), temporary=temporary_name(n))
        for n, (name, file) in enumerate(zip(("a.jpg", "b.jpg", "c.jpg"), files, strict=True))
    ]


def test_a_photo_that_workers_die_of_fails_and_the_others_are_made(task: Task, three: list[Job]) -> None:
    answer, deaths = answers_and_deaths(task, three)
    assert (answer.error, deaths) == (None, 1 + TRIES_ALONE)
    photos = [photo for photo in answer.photos if isinstance(photo, Finished)]
    assert photos == answer.photos
    assert isinstance(task.out, Path)
    assert [[row.status for row in photo.done.rows] for photo in photos] == [["ok"], ["failed"], ["ok"]]
    assert photos[1].done.rows[0].message == "the decoder crashed on it; export it again"
    assert {path.name for path in task.out.iterdir()} == {STATE_FOLDER, "a.jpg", "c.jpg"}


def test_workers_that_die_of_any_photo_are_given_up(task: Task, three: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*arguments: object) -> None:
        raise Died

    monkeypatch.setattr(worker, "try_alone", die)
    answer, deaths = answers_and_deaths(replace(task, name="unsound"), three)
    assert deaths == TRIES
    assert answer.error
    with pytest.raises(CropperError, match=r"died again and again at photos from a\.jpg to c\.jpg"):
        raise answer.error


@pytest.mark.parametrize(("seconds", "code", "said"), [(0.3, 1, "late"), (60, 0, "")])
def test_a_worker_is_ended_when_a_photo_takes_longer_than_its_deadline(seconds: float, code: int, said: str) -> None:
    script = f"""
import time
from cropper.engine.cluster.worker import _watched
from cropper.process.journal import Journal
journal = Journal()
journal.begin(3, "a.jpg")
with _watched(journal, {seconds}, lambda: print("late", end="", flush=True)):
    time.sleep(0.5)  # is no photo's
    journal.clock(3, True)
    time.sleep(min(20, 1 / {seconds}))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (code, said)


class UnloadableError(Exception):
    """An error that can be packed, and not unpacked: its argument is not what it was made with."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def test_an_error_that_cannot_travel_loses_no_photo() -> None:
    photo = Finished(0, Done("a.jpg"))
    answer = pickle.loads(_packed(Answer([photo], UnloadableError("no ", "way"))))
    assert answer.photos == [photo]
    assert str(answer.error) == "unexpected UnloadableError: no way; please report it as a bug of cropper"


@pytest.mark.parametrize(
    ("tables", "reason"),
    [([[0, 1]], "too few answers"), ([[0], [2, 3]], "about other photos"), ([[0, 1], [3, 2]], "about other photos")],
)
def test_answers_that_are_not_those_that_were_asked_for_are_an_error(
    task: Task, monkeypatch: pytest.MonkeyPatch, tables: list[list[int]], reason: str
) -> None:
    class Tables:
        def iter_batches(self, **options: object) -> Iterator[Any]:
            import pyarrow

            for numbers in tables:
                answer = pickle.dumps(Answer([Finished(number, Done(f"{number}.jpg")) for number in numbers]))
                yield pyarrow.table({"answer": [answer]})

    monkeypatch.setattr(cluster, "_data_set", lambda engine, chunks: Tables())
    jobs = [job_for(n, f"{n}.jpg") for n in range(4)]
    recorded: list[Finished] = []
    with pytest.raises(CropperError, match=reason):
        list(Cluster(task, 1, 0).run(iter(jobs), recorded.append))
    assert [one.number for one in recorded] == list(range(len(recorded)))


def test_a_cluster_that_dies_with_no_error_of_the_usual_kind_is_not_waited_for(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*arguments: object) -> None:
        raise SystemExit("out")

    monkeypatch.setattr(cluster, "_data_set", end)
    with pytest.raises(CropperError, match=r"the cluster failed \(SystemExit: out\)"):
        list(Cluster(task, 1, 0).run(iter([job_for(0, "a.jpg")]), lambda one: None))


def test_the_reason_of_a_failed_connection_is_the_one_at_bottom() -> None:
    try:
        try:
            raise RuntimeError("no connection. Traceback (most recent):\n  ray.AuthenticationError: token missing. Note: x")
        except RuntimeError as error:
            raise ConnectionError("Failed to connect") from error
    except ConnectionError as error:
        reason = _reason(error)
    assert str(_unreachable("10.0.0.5:6379", reason)) == (
        "no Ray cluster can be reached at 10.0.0.5:6379 (token missing); "
        "set RAY_AUTH_MODE=token, with the cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN"
    )


def test_nothing_behind_an_error_is_recorded(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else rows of an earlier run, of photos between it and the next ones, would be lost."""
    jobs = [job_for(n, f"{n}.jpg") for n in range(6)]
    done = [Finished(job.number, Done(job.path)) for job in jobs]
    answers = [Answer([*done[:2]]), Answer([done[2], jobs[3]], OutputError("the disk is full")), Answer([*done[4:]])]

    def carry(engine: object, chunks: object, queue: Any, ended: object) -> None:
        for answer in answers:
            queue.put(answer)

    monkeypatch.setattr(cluster, "_carry", carry)
    engine = Cluster(task, 1, 0)
    recorded: list[Finished] = []
    with pytest.raises(OutputError, match="the disk is full"):
        list(engine.run(iter(jobs), recorded.append))
    assert [one.number for one in recorded] == [0, 1]
    assert [one.number for one in engine.left()] == [2, 3]


def test_names_that_workers_write_under_are_taken_away_after_a_kill(tmp_path: Path) -> None:
    for name in ("", "00001-of-00002"):
        (tmp_path / marked(temporary_name(7, name), "0a1b2c3d4e5f")).touch()
    thumbnails.remove_temporaries(tmp_path, STATE_FOLDER, "00001-of-00002")
    assert [path.name for path in tmp_path.iterdir()] == [".cropper-7.0a1b2c3d4e5f.part"]
    thumbnails.remove_temporaries(tmp_path, STATE_FOLDER)
    assert not list(tmp_path.iterdir())


def test_a_missing_ray_is_an_error_in_one_line(cropper: Command, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = cropper("batch", samples, "out", "--engine", "ray")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert install_command("ray") in err
    assert not Path("out").exists()


def test_a_cluster_that_is_not_there_is_an_error_in_one_line(
    cropper_program: StartProcess, samples: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    running = cropper_program("batch", samples, "out", "--engine", "ray", "--address", "127.0.0.1:1")
    out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, out, err.count(b"\n")) == (2, b"", 1)
    assert b"cropper: no Ray cluster can be reached at 127.0.0.1:1 (" in err
    assert not (tmp_path / "out").exists()


def test_an_address_without_the_engine_is_refused(cropper: Command, samples: Path) -> None:
    code, _, err = cropper("batch", samples, "out", "--address", "auto")
    assert (code, err) == (2, "cropper: --address names a Ray cluster, and this run uses none; add --engine ray\n")


def test_no_card_for_cuda_is_an_error(photos: Path, tmp_path: Path, address: str) -> None:
    engine = partial(ray_cluster, address=None)
    with pytest.raises(UsageError, match="no graphics card"):
        list(run_batch(photos, tmp_path / "out", Settings(SIZES, device="cuda"), 2, engine=engine))
