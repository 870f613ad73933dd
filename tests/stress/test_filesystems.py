"""The runs on odd file systems and without power, in small."""

from __future__ import annotations

from pathlib import Path

import pytest
from filesystems import batch, on_odd, prepared, results, why_not, without_power

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.mark.parametrize("name", ["utime EPERM", "2 s late", "2038 late", "no fsync at all", "locks ENOLCK", "one case"])
def test_a_file_system_that_lacks_something_gets_what_a_disk_does(tmp_path: Path, name: str) -> None:
    photos, _, twins = prepared(tmp_path, 6, 1)
    source = twins if name == "one case" else photos
    batch(source, tmp_path / "plain")
    (tmp_path / "odd").mkdir()
    assert on_odd(tmp_path / "odd", name, source, results(tmp_path / "plain")) == []


def test_after_a_power_failure_the_next_run_ends_as_one_that_nobody_disturbed(tmp_path: Path) -> None:
    photos, later, _ = prepared(tmp_path, 6, 1)
    counts, wrong = without_power(tmp_path, photos, later, points=4, seed=1)
    assert wrong == []
    assert counts["mixed"] >= 1  # a slow machine has fewer moments to end at
