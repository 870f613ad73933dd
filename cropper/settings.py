"""What users ask for, as plain frozen dataclasses. Loads no numpy: a run forks before numpy may be there."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from cropper.image_formats import KEEP_FORMAT


@dataclass(frozen=True)
class Target:
    """One shape asked for: an aspect, and the pixels it is scaled to, or None to keep the crop's own.

    Attributes:
        aspect: width and height, at least 1 each.
        size: width and height in pixels, or None.
    """

    aspect: tuple[int, int]
    size: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """What the user wrote: ``640x360`` or ``16:9``."""
        return f"{self.size[0]}x{self.size[1]}" if self.size else f"{self.aspect[0]}:{self.aspect[1]}"


class Fit(str, Enum):
    """How a photo comes into the shape asked for."""

    CROP = "crop"
    CENTRE = "center"  # as users write it
    PAD = "pad"
    KEEP = "keep"
    SKIP = "skip"


# What was done, in words: for the ledger and the summary.
DONE = {Fit.CENTRE: "cropped in the centre", Fit.PAD: "padded", Fit.KEEP: "kept whole", Fit.SKIP: "skipped"}


@dataclass(frozen=True)
class Choosing:
    """How boxes are chosen.

    Attributes:
        zoom: how far they are tightened, or None for the largest.
        min_kept: a crop that keeps less of the density is not good, and none of a density that says nothing; or None.
        otherwise: what is done where no crop is good.
        candidates: how many boxes that differ, at most.
    """

    zoom: Zoom | None = None
    min_kept: float | None = None
    otherwise: Fit = Fit.PAD
    candidates: int = 1


CPU, CUDA = "cpu", "cuda"

KEEP_NOTHING, KEEP_COPYRIGHT, KEEP_ALL = "none", "copyright", "all"
KEEP_CHOICES = (KEEP_NOTHING, KEEP_COPYRIGHT, KEEP_ALL)

BLUR, EDGE = "blur", "edge"


@dataclass(frozen=True)
class Limits:
    """Which photos are accepted.

    Attributes:
        max_pixels: a photo whose header says it has more is refused before it is decoded.
        salvage: whether of photos that are truncated or damaged what can be decoded is taken.
    """

    max_pixels: int = 150_000_000
    salvage: bool = False


LIMITS = Limits()


@dataclass(frozen=True)
class Settings:
    """What decides a batch's outputs, beside the photos.

    Attributes:
        targets: the shapes asked for, at least one, no two alike.
        format: one of ``image_formats.FORMAT_CHOICES``.
        quality: 1..100, or None for the format's default.
        enlarge: whether photos smaller than a size are enlarged to it.
        dry_run: whether only the ledger is written.
        model: an ONNX file, or None for the bundled student.
        device: where the model runs, ``cpu`` or ``cuda``, whose numbers differ a little.
        choosing: how the boxes are chosen.
        fill: what photos are padded with: ``blur``, ``edge`` or a colour as ``#rrggbb``.
        limits: which photos are accepted.
        srgb: whether colours are converted to sRGB, rather than their profile kept.
        keep: what goes along of the photos' metadata, one of ``metadata.CHOICES``.
    """

    targets: tuple[Target, ...]
    format: str = KEEP_FORMAT
    quality: int | None = None
    enlarge: bool = False
    dry_run: bool = False
    model: Path | None = None
    device: str = CPU
    choosing: Choosing = field(default_factory=Choosing)
    fill: str = BLUR
    limits: Limits = LIMITS
    srgb: bool = False
    keep: str = KEEP_NOTHING


@dataclass(frozen=True)
class Zoom:
    """How far boxes may be tightened.

    Attributes:
        at_least: of the sides of the largest box, 0..1.
        share: of the density that a tightened box keeps, 0..1.
    """

    at_least: float = 0.0
    share: float = 0.9
