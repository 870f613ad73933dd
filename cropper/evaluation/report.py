"""Format scores as a table for people or as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cropper.evaluation.bootstrap import Interval
from cropper.evaluation.crops import Aspect, CropScore
from cropper.evaluation.heads import HeadScore

# Decimals in JSON: finer than the noise of any set of photos.
DECIMALS = 5
NOTHING = "-"


@dataclass(frozen=True)
class Scored:
    """The data behind the scores, shown in the heading of a report.

    Attributes:
        gaze_set: the name of its folder.
        every: N if every Nth photo was scored.
        off_centre: whether the off-centre twin was scored.
        first_fixations: whether each viewer's first fixation counted.
        model: the model's file name, or ``bundled``.
        photos, fixations: number of each.
        left_out: names of photos without a fixation to score.
    """

    gaze_set: str
    every: int
    off_centre: bool
    first_fixations: bool
    model: str
    photos: int
    fixations: int
    left_out: tuple[str, ...]

    def heading(self) -> str:
        """Return the heading, one line."""
        twin = "off-centre twin of " if self.off_centre else ""
        part = f" (1 photo in {self.every})" if self.every > 1 else ""
        fixations = f"{self.fixations} fixations" + ("" if self.first_fixations else " without each viewer's first")
        return f"{twin}{self.gaze_set}{part}: {self.photos} photos, {fixations}; model: {self.model}"


def maps_table(scored: Scored, scores: Mapping[str, Interval]) -> str:
    """Return a text table with one line for each measure."""
    lines = [scored.heading(), "", f"{'':6}{'mean':>8}{'95 % interval':>20}"]
    lines += [f"{measure:6}{_figure(score)}" for measure, score in scores.items()]
    return "\n".join(lines)


def maps_json(scored: Scored, scores: Mapping[str, Interval]) -> str:
    """Return ``{..., "scores": {"AUC": {"value": , "low": , "high": }, ...}}``."""
    return _json({**asdict(scored), "scores": {measure: _plain(score) for measure, score in scores.items()}})


def boxes_table(scored: Scored, aspects: Sequence[Aspect], scores: Mapping[str, CropScore]) -> str:
    """Return a block for each aspect and one for their mean, with one line for each cropper."""
    width = max(map(len, scores)) + 2
    lines = [scored.heading()]
    blocks = [
        (f"{w}:{h}", {name: (score.kept[i], score.gap[i]) for name, score in scores.items()}) for i, (w, h) in enumerate(aspects)
    ]
    blocks.append((f"mean of {len(aspects)}", {name: (score.mean_kept, score.mean_gap) for name, score in scores.items()}))
    for title, rows in blocks:
        lines += ["", f"{title:{width}}{'kept':>8}{'95 % interval':>20}{'gap':>8}{'95 % interval':>20}"]
        lines += [f"{name:{width}}{_figure(share)}{_figure(gap)}" for name, (share, gap) in rows.items()]
    return "\n".join(lines)


def boxes_json(scored: Scored, aspects: Sequence[Aspect], scores: Mapping[str, CropScore]) -> str:
    """Return ``{..., "croppers": {NAME: {"aspects": {"16:9": {"kept": , "gap": , "missing": [...]}}, "mean": {...}}}}``."""
    croppers = {
        name: {
            "aspects": {
                f"{w}:{h}": {"kept": _plain(score.kept[i]), "gap": _plain(score.gap[i]), "missing": score.missing[i]}
                for i, (w, h) in enumerate(aspects)
            },
            "mean": {"kept": _plain(score.mean_kept), "gap": _plain(score.mean_gap)},
        }
        for name, score in scores.items()
    }
    return _json({**asdict(scored), "croppers": croppers})


def heads_table(photos: int, aspects: Sequence[Aspect], scores: Mapping[str, Sequence[HeadScore]]) -> str:
    """Return a block for each aspect and one for all, with one line for each cropper."""
    width = max(map(len, scores)) + 2
    lines = [f"{photos} {'photo' if photos == 1 else 'photos'} with heads"]
    for number, title in enumerate([*(f"{w}:{h}" for w, h in aspects), "all"]):
        lines += [
            "",
            f"{title:{width}}{'cut':>8}{'95 % interval':>20}{'touched':>9}{'not whole':>10}{'95 % interval':>20}{'fit':>7}",
        ]
        for name, of_aspects in scores.items():
            one = of_aspects[number]
            lines.append(f"{name:{width}}{_figure(one.cut)}{one.touched:9}  {_figure(one.not_whole)}{one.fitting:7}")
    return "\n".join(lines)


def heads_json(photos: int, aspects: Sequence[Aspect], scores: Mapping[str, Sequence[HeadScore]]) -> str:
    """Return ``{"photos": , "croppers": {NAME: {"16:9": {"cut": , "not_whole": , "touched": , "fitting": }, "all": {...}}}}``."""
    titles = [*(f"{w}:{h}" for w, h in aspects), "all"]
    croppers = {
        name: {
            title: {
                "cut": _plain(one.cut),
                "not_whole": _plain(one.not_whole),
                "touched": one.touched,
                "fitting": one.fitting,
            }
            for title, one in zip(titles, of_aspects, strict=True)
        }
        for name, of_aspects in scores.items()
    }
    return _json({"photos": photos, "croppers": croppers})


def _figure(figure: Interval) -> str:
    """Format a figure and its interval in 28 characters."""
    if math.isnan(figure.value):
        return f"{NOTHING:>8}{NOTHING:>20}"
    return f"{figure.value:8.4f}{f'{figure.low:.4f} .. {figure.high:.4f}':>20}"


def _plain(figure: Interval) -> dict[str, float | None]:
    return {key: None if math.isnan(value) else round(value, DECIMALS) for key, value in asdict(figure).items()}


def _json(report: dict[str, Any]) -> str:
    return json.dumps(report, indent=2, allow_nan=False)
