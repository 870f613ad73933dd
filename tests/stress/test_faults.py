"""The benchmark of failing connections and kills, in small."""

from __future__ import annotations

import importlib.util

import pytest

# Looked for, not loaded: moto alone takes a second, in every process that collects the tests.
missing = [name for name in ("s3fs", "moto") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"no {' and no '.join(missing)} here")


def test_a_bucket_behind_a_failing_connection_gets_what_a_disk_does() -> None:
    import faults

    counts = faults.trial(photos=12, kills=1, share=0.03, seed=1, delay=0.1)
    assert counts["differences"] == 0
    assert all(counts[fault] for fault in ("dropped before", "refused"))
