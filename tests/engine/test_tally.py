"""The counts of a run: what its last line says, and how they outlive a killed process."""

from __future__ import annotations

from cropper.engine.job import Done
from cropper.engine.tally import Counts
from cropper.extras import install_command
from cropper.ledger.table import OK, Row
from cropper.storage.places import LeftOut

INSTALL = install_command("formats")


def test_what_was_left_out_is_counted_across_a_killed_process() -> None:
    counts = Counts()
    left_out = LeftOut(files=2, folders=1, links=1, of_systems=("@eaDir",))
    done = Done("x", passed_over=4, kinds=(("RAW", 1), ("SVG", 2)), developed=1, left_out=left_out)
    counts.add(done)
    later, place = Counts.after(counts.until(done))
    assert (later, place) == (counts, [(True, "x")])
    later.add(Done("y", left_out=LeftOut(of_systems=("#recycle", "@eaDir"))))
    assert later.summary(1.0, "done") == (
        "0 photos: 0 done, 0 unchanged, 0 failed; 1 RAW beside a JPEG or HEIC ignored (--raw all takes them); "
        f"1 RAW photo needs {INSTALL}; 2 SVG files ignored, which cropper does not read; 1 other file ignored; "
        "2 files and 1 folder excluded; "
        "3 system folders left out (#recycle, @eaDir); 1 link out of the folder not followed; 1.0 s"
    )


def test_thumbnails_that_are_too_large_are_counted_by_what_was_tried_across_a_killed_process() -> None:
    counts = Counts()
    messages = (
        "larger than 100 kB, even at quality 30",
        "focus given; larger than 100 kB, even at quality 30, since its colour profile and metadata take 90 kB",
        "larger than 100 kB, even with 16 colours",
        "focus given",
    )
    done = Done("x", tuple(Row("x", f"{number}", OK, message=message) for number, message in enumerate(messages)))
    counts.add(done)
    later, _ = Counts.after(counts.until(done))
    assert later == counts
    assert later.by_hand == 2
    assert later.totals()["too_large"] == 3
    assert later.summary(1.0, "done").startswith(
        "1 photo: 1 done, 0 unchanged, 0 failed; 2 crops by hand; 2 thumbnails are larger than 100 kB, even at quality 30; "
        "1 thumbnail is larger than 100 kB, even with 16 colours; "
    )
