"""Reports say each figure where it belongs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cropper.evaluation.bootstrap import Interval
from cropper.evaluation.crops import CropScore
from cropper.evaluation.report import Scored, boxes_json, boxes_table, maps_json, maps_table

SCORED = Scored("osie", 4, True, False, "other.onnx", 175, 24350, ("x.jpg",))
NAN = float("nan")


def around(value: float) -> Interval:
    return Interval(value, value - 0.1, value + 0.1)


CROPPERS = {
    "cropper": CropScore((around(0.7), around(0.9)), (around(0.3), around(0.5)), around(0.8), around(0.4), ((), ())),
    "a peer": CropScore(
        (around(0.6), Interval(NAN, NAN, NAN)),
        (around(-2), Interval(NAN, NAN, NAN)),
        Interval(NAN, NAN, NAN),
        Interval(NAN, NAN, NAN),
        (("x.jpg",), ()),
    ),
}


def test_heading_says_what_was_scored() -> None:
    assert SCORED.heading() == (
        "off-centre twin of osie (1 photo in 4): 175 photos, 24350 fixations without each viewer's first; model: other.onnx"
    )
    plain = replace(SCORED, every=1, off_centre=False, first_fixations=True, model="bundled")
    assert plain.heading() == "osie: 175 photos, 24350 fixations; model: bundled"


def test_maps_table() -> None:
    assert maps_table(SCORED, {"AUC": around(0.9), "KL": Interval(NAN, NAN, NAN)}).splitlines()[1:] == [
        "",
        "          mean       95 % interval",
        "AUC     0.9000    0.8000 .. 1.0000",
        "KL           -                   -",
    ]


def test_boxes_table() -> None:
    assert boxes_table(SCORED, [(1, 1), (16, 9)], CROPPERS).splitlines()[1:] == [
        "",
        "1:1          kept       95 % interval     gap       95 % interval",
        "cropper    0.7000    0.6000 .. 0.8000  0.3000    0.2000 .. 0.4000",
        "a peer     0.6000    0.5000 .. 0.7000 -2.0000  -2.1000 .. -1.9000",
        "",
        "16:9         kept       95 % interval     gap       95 % interval",
        "cropper    0.9000    0.8000 .. 1.0000  0.5000    0.4000 .. 0.6000",
        "a peer          -                   -       -                   -",
        "",
        "mean of 2    kept       95 % interval     gap       95 % interval",
        "cropper    0.8000    0.7000 .. 0.9000  0.4000    0.3000 .. 0.5000",
        "a peer          -                   -       -                   -",
    ]


def test_json_has_what_was_scored_and_every_figure() -> None:
    report = json.loads(maps_json(SCORED, {"AUC": around(0.9)}))
    assert report.pop("scores") == {"AUC": pytest.approx({"value": 0.9, "low": 0.8, "high": 1.0})}
    assert report == {
        "gaze_set": "osie",
        "every": 4,
        "off_centre": True,
        "first_fixations": False,
        "model": "other.onnx",
        "photos": 175,
        "fixations": 24350,
        "left_out": ["x.jpg"],
    }


def test_boxes_json() -> None:
    croppers = json.loads(boxes_json(SCORED, [(1, 1), (16, 9)], CROPPERS))["croppers"]
    ours, peer = croppers["cropper"], croppers["a peer"]
    assert [ours["aspects"][aspect][figure]["value"] for aspect in ("1:1", "16:9") for figure in ("kept", "gap")] == [
        0.7,
        0.3,
        0.9,
        0.5,
    ]
    assert (ours["mean"]["kept"]["value"], ours["mean"]["gap"]["value"]) == (0.8, 0.4)
    assert peer["aspects"]["1:1"]["missing"] == ["x.jpg"]
    assert peer["aspects"]["16:9"]["gap"] == {"value": None, "low": None, "high": None}
