"""Whether the crops of an output folder follow what ``cropper tune`` learned."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cropper.ledger.database import connect, files_of
from cropper.ledger.last_run import LastRun, keep_last_run
from cropper.ledger.taste import follows_taste
from cropper.settings import WEIGHTS, Choosing, Settings, Target


@pytest.mark.parametrize("is_learned", [False, True])
def test_the_last_run_says_whether_it_followed_a_taste(tmp_path: Path, is_learned: bool) -> None:
    assert not follows_taste(tmp_path)  # nothing is known of it
    weights = replace(WEIGHTS, place=0.5) if is_learned else WEIGHTS
    files = files_of(tmp_path)
    files.database.parent.mkdir(parents=True)
    with closing(connect(files.database)) as connection:
        keep_last_run(connection, LastRun(Settings((Target((1, 1)),), choosing=Choosing(weights=weights))))
        connection.commit()
    assert follows_taste(tmp_path) == is_learned
