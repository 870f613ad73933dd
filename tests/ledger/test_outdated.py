"""In what settings differ, in the words of the command line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cropper.engine.batch import fingerprint
from cropper.ledger.outdated import changes_between
from cropper.settings import XMP, Choosing, Encoding, Fit, Limits, Settings, Target, Weights, Whole, Zoom

SMALL, LARGE, SQUARE = Target((1, 1), (400, 400)), Target((16, 9), (640, 360)), Target((1, 1))
BEFORE = Settings((SMALL,), quality=75)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (BEFORE, ""),
        (replace(BEFORE, targets=(LARGE,)), "--size 400x400 -> 640x360"),
        (replace(BEFORE, targets=(SQUARE,)), "--size 400x400 -> --aspect 1:1"),
        (replace(BEFORE, targets=(SMALL, LARGE)), "--size 400x400 -> --size 400x400 --size 640x360"),
        (replace(BEFORE, quality=None, enlarge=True), "--quality 75 -> default, --enlarge off -> on"),
        (replace(BEFORE, fill="#ffffff", sidecar=XMP), "--pad-with blur -> #ffffff, --sidecar default -> xmp"),
        (replace(BEFORE, encoding=Encoding(max_bytes=9)), "--max-bytes default -> 9"),
        (replace(BEFORE, limits=Limits(salvage=True)), "--salvage off -> on"),
        (
            replace(BEFORE, choosing=Choosing(Zoom(), 0.5, Fit.SKIP, 1, Whole.HEADS, Weights(head=3.0))),
            "the zoom, --min-kept default -> 0.5, --otherwise pad -> skip, --whole default -> heads, and 1 more",
        ),
    ],
)
def test_what_changed_is_said_as_options(now: Settings, said: str) -> None:
    before, after = fingerprint(BEFORE), fingerprint(now)
    assert changes_between(before, after) == said
    assert changes_between(f"dry {before}", after) == said


def test_another_cropper_or_model_is_said_and_what_nobody_knows_is_not() -> None:
    now = fingerprint(BEFORE).replace('"model": "', '"model": "0')
    other = now.replace('"version": "', '"version": "9.')
    assert changes_between(fingerprint(BEFORE), other).startswith("the model, cropper ")
    for unknown in ("", "no settings", "{}", '{"targets": 3}'):
        assert changes_between(unknown, now) == ""
