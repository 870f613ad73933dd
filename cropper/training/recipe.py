"""The whole way from gaze sets and a photo pool to the file that ships, as a list of stages.

Each stage is one command of ``python -m cropper.training`` and leaves one file. A stage whose file exists is skipped, so a run
that was interrupted goes on from there. Within a stage, training goes on from its newest checkpoint.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

SEED = 1
# The name of the file that the recipe makes.
STUDENT = "student.onnx"


@dataclass(frozen=True)
class Effort:
    """How long the stages train.

    Attributes:
        epochs: times the epochs of the recipe, rounded up to whole ones.
        steps: the most batches of a stage that counts them.
        scale: times the input scales.
    """

    epochs: float = 1.0
    steps: int = 8000
    scale: float = 1.0


FULL = Effort()
# A dozen photos through every stage: whether they fit together, not what they reach.
TRIAL = Effort(epochs=0.1, steps=2, scale=0.5)


@dataclass(frozen=True)
class Stage:
    """One command of the recipe.

    Attributes:
        name: what it makes, and the name of its folder.
        arguments: the command line after ``python -m cropper.training``.
        result: the file that is there once it is done.
    """

    name: str
    arguments: tuple[str, ...]
    result: Path


def stages(sets: list[Path], pool: Path, out: Path, effort: Effort = FULL) -> Iterator[Stage]:
    """Yield the stages in order.

    Args:
        sets: gaze sets.
        pool: photos without gaze.
        out: the folder of everything that the stages make.
        effort: how long to train.
    """
    gaze = tuple(map(str, sets))
    of_sets = tuple(word for folder in gaze for word in ("--set", folder))
    pooled = ("--pool", str(pool))
    resumed = ("--resume", "--seed", str(SEED))

    def epochs(count: int) -> tuple[str, str]:
        return "--epochs", str(max(1, round(count * effort.epochs)))

    def steps(count: int) -> tuple[str, str]:
        return "--steps", str(min(count, effort.steps))

    def scale(share: float) -> tuple[str, str]:
        return "--scale", f"{share * effort.scale:g}"

    def trained(name: str, command: str, first: tuple[str, ...], count: int, *options: str, at: float = 1.0) -> Stage:
        last = epochs(count)
        arguments = (command, *first, *gaze, "--out", str(out / name), *last, *scale(at), *resumed, *options)
        return Stage(name, arguments, out / name / f"epoch-{int(last[1]) - 1}.pt")

    def made(name: str, file: str, command: str, *arguments: str) -> Stage:
        return Stage(name, (command, *arguments, "--out", str(out / name)), out / name / file)

    teacher = trained("lite2", "fit", (), 3, "--trunk", "lite2", "--width", "128")
    yield teacher
    fine = trained("fine", "fit", (), 1, "--start", str(teacher.result), "--rate", "0.5", at=4 / 3)
    yield fine
    second = trained("lite0", "fit", (), 2, at=0.75)
    yield second
    last_file = f"{pool.name}.npz"
    members = tuple(
        word
        for member, times in ((fine, 5 / 3), (second, 4 / 3))
        for word in ("--member", str(member.result), f"{times * effort.scale:g}")
    )
    yield made("labels", last_file, "label", *members, *of_sets, *pooled)
    labels = (*pooled, "--labels", str(out / "labels"))
    whole = trained("whole", "distil", (str(second.result),), 3, *labels, "--rate", "0.7", "--lean")
    yield whole
    imitated = (str(whole.result), *gaze, *pooled, *scale(1))
    dense = made("dense", "imitation.pt", "imitate", str(whole.result), *imitated, "--dense", *steps(8000), "--rate", "1.3333")
    yield dense
    like = made("like", "imitation.pt", "imitate", str(dense.result), *imitated, *steps(3000), "--rate", "0.5")
    yield like
    cost = ("--share", "0.5", "--rounds", "1", "--rate", "0", *steps(100), *scale(2 / 3), "--labels", str(out / "labels"))
    half = made("half", "pruned.pt", "prune", str(like.result), *gaze, *cost)
    yield half
    again = made("again", "imitation.pt", "imitate", str(half.result), *imitated, *steps(2400))
    yield again
    distilled = trained("distilled", "distil", (str(again.result),), 6, *labels, "--rate", "0.5", "--keep-statistics")
    yield distilled
    yield made("masks", f"{pool.name}.subject.npz", "label-masks", *of_sets, *pooled)
    joint = ("--rate", "0.4", "--keep-statistics", "--masks", str(out / "masks"), "--small", "0.3")
    last = trained("joint", "distil", (str(distilled.result),), 4, *labels, *joint)
    yield last
    quantised = tuple(word for folder in gaze for word in ("--int8", folder))
    yield Stage("export", ("export", str(last.result), str(out / STUDENT), *quantised), out / STUDENT)


def run(all_stages: list[Stage], command: Callable[[tuple[str, ...]], object]) -> None:
    """Run the stages that have not made their file yet, each by ``command``, which takes its arguments."""
    for number, stage in enumerate(all_stages, 1):
        place = f"stage {number} of {len(all_stages)}, {stage.name}"
        if stage.result.exists():
            log.info("%s: %s is there already", place, stage.result)
            continue
        log.info("%s: %s", place, " ".join(stage.arguments))
        start = time.monotonic()
        command(stage.arguments)
        log.info("%s: done in %.0f minutes", place, (time.monotonic() - start) / 60)
