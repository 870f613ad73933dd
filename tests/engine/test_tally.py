"""The counts of a run: what its last line says, and how they outlive a killed process."""

from __future__ import annotations

from cropper.engine.job import Done
from cropper.engine.tally import Counts
from cropper.storage.places import LeftOut


def test_what_was_left_out_is_counted_across_a_killed_process() -> None:
    counts = Counts()
    done = Done("x", left_out=LeftOut(files=2, folders=1, links=1, of_systems=("@eaDir",)))
    counts.add(done)
    later, place = Counts.after(counts.until(done))
    assert (later, place) == (counts, [(True, "x")])
    later.add(Done("y", left_out=LeftOut(of_systems=("#recycle", "@eaDir"))))
    assert later.summary(1.0, "done") == (
        "0 photos: 0 done, 0 unchanged, 0 failed; 2 files and 1 folder excluded; "
        "3 system folders left out (#recycle, @eaDir); 1 link out of the folder not followed; 1.0 s"
    )
