"""The benchmark of failing connections and kills, in small."""

from __future__ import annotations

import pytest

pytest.importorskip("s3fs")
pytest.importorskip("moto")
faults = pytest.importorskip("faults")


def test_a_bucket_behind_a_failing_connection_gets_what_a_disk_does() -> None:
    counts = faults.trial(photos=12, kills=1, share=0.03, seed=1, delay=0.1)
    assert counts["differences"] == 0
    assert all(counts[fault] for fault in ("dropped before", "refused"))
