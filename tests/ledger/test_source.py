"""What an output folder was made from."""

from __future__ import annotations

import os
from pathlib import Path

from cropper.ledger.source import OLD_SOURCE, made_from
from cropper.storage.access import place


def test_an_out_from_before_the_state_says_what_it_was_made_from(tmp_path: Path) -> None:
    out, photos = tmp_path / "out", tmp_path / "in"
    (out / ".cropper").mkdir(parents=True)
    assert made_from(place(out)) is None
    (out / ".cropper" / OLD_SOURCE).write_bytes(os.fsencode(photos))
    assert made_from(place(out)) is None  # it is gone
    photos.mkdir()
    assert made_from(place(out)) == str(photos)
    assert made_from(place("memory://out")) is None
