"""The fingerprint of a run's settings: another text makes every user's thumbnails again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from cropper._version import __version__
from cropper.engine import batch
from cropper.model.saliency import BUNDLED_MODEL
from cropper.settings import Choosing, Encoding, Fit, Limits, Settings, Target, Whole, Zoom

WEIGHTS = """"weights": {
   "subject": 0.25,
   "whole": 0.1,
   "top": 0.3,
   "head": 2.0,
   "missed": 0.5,
   "least_head": 0.06,
   "room": 0.08,
   "middle": 0.06,
   "edge": 0.75,
   "edge_subject": 0.5,
   "centre": 0.0,
   "place": 0.0,
   "across": 0.5,
   "down": 0.5,
   "gaze": 0.5,
   "faces": 0.5,
   "headroom": 0.0,
   "above": 0.1
  }"""
DEFAULT = """\
{
 "targets": [
  {
   "aspect": [
    640,
    360
   ],
   "size": [
    640,
    360
   ]
  }
 ],
 "format": "keep",
 "quality": null,
 "enlarge": false,
 "model": "MODEL",
 "device": "cpu",
 "choosing": {
  "zoom": null,
  "min_kept": null,
  "otherwise": "pad",
  "candidates": 1,
  "whole": null,
  WEIGHTS
 },
 "fill": "blur",
 "limits": {
  "salvage": false
 },
 "srgb": false,
 "keep": "none",
 "version": "VERSION"
}
"""
EVERYTHING = """\
{
 "targets": [
  {
   "aspect": [
    16,
    9
   ],
   "size": null
  },
  {
   "aspect": [
    4,
    5
   ],
   "size": [
    400,
    500
   ]
  }
 ],
 "format": "webp",
 "quality": 75,
 "enlarge": true,
 "model": "MODEL",
 "device": "cuda",
 "choosing": {
  "zoom": {
   "at_least": 0.5,
   "share": 0.8,
   "margin": 0.2
  },
  "min_kept": 0.6,
  "otherwise": "center",
  "candidates": 3,
  "whole": "heads",
  WEIGHTS
 },
 "fill": "#ffffff",
 "limits": {
  "salvage": true
 },
 "srgb": true,
 "keep": "all",
 "version": "VERSION"
}
"""


@pytest.mark.parametrize("case", ["default", "everything"])
def test_the_fingerprint_stays_as_it_is_to_a_byte(tmp_path: Path, case: str) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"a model")
    settings, text = {
        "default": (Settings((Target((640, 360), (640, 360)),), model=model), DEFAULT),
        "everything": (
            Settings(
                (Target((16, 9)), Target((4, 5), (400, 500))),
                "webp",
                75,
                True,
                True,
                model,
                "cuda",
                Choosing(Zoom(0.5, 0.8, 0.2), 0.6, Fit.CENTRE, 3, Whole.HEADS),
                "#ffffff",
                Limits(5, True),
                True,
                "all",
            ),
            EVERYTHING,
        ),
    }[case]
    expected = (
        text.replace("WEIGHTS", WEIGHTS).replace("MODEL", hashlib.sha256(b"a model").hexdigest()).replace("VERSION", __version__)
    )
    assert batch.fingerprint(settings) == expected


def test_of_the_encoding_only_what_is_given_counts() -> None:
    plain = batch.fingerprint(Settings((Target((1, 1)),)))
    assert batch.fingerprint(Settings((Target((1, 1)),), encoding=Encoding(sharpen=0))) == plain
    given = json.loads(batch.fingerprint(Settings((Target((1, 1)),), encoding=Encoding(100_000, sharpen=0.5))))
    assert given == {**json.loads(plain), "encoding": {"max_bytes": 100_000, "sharpen": 0.5}}


def test_the_model_is_the_bundled_one_unless_another_is_given(tmp_path: Path) -> None:
    bundled = batch.fingerprint(Settings((Target((1, 1)),)))
    assert hashlib.sha256(BUNDLED_MODEL.read_bytes()).hexdigest() in bundled


def test_one_of_several_targets_is_another_run() -> None:
    targets = Target((1, 1)), Target((4, 3))
    assert '"one": true' in batch.fingerprint(Settings(targets, one=True))
    assert '"one":' not in batch.fingerprint(Settings(targets))
