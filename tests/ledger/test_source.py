"""What an output folder was made from."""

from __future__ import annotations

import os
from pathlib import Path

from fixtures import MakePhoto
from running import run_batch

from cropper.ledger.shards import Shard
from cropper.ledger.source import OLD_SOURCE, made_from, source_of
from cropper.settings import Settings, Target, Upkeep
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


def test_shards_know_better_than_a_run_before_them_where_the_photos_are(make_photo: MakePhoto, tmp_path: Path) -> None:
    out, before, now = tmp_path / "out", tmp_path / "before", tmp_path / "now"
    make_photo(before / "a.jpg")
    settings = Settings((Target((1, 1)),), dry_run=True)
    list(run_batch(before, out, settings, 1))
    before.rename(now)
    list(run_batch(now, out, settings, 1, shard=Shard(1, 1), upkeep=Upkeep(moved=True)))
    assert made_from(place(out)) == str(now)
    assert source_of(out) == place(now)
