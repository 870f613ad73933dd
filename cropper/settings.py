"""What users ask for: plain frozen dataclasses, and each choice once. Loads no numpy: a run forks before numpy may load.

The field names, their order and their values as JSON are part of a run's fingerprint. Change one, and the next run makes every
user's thumbnails again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from cropper.image_formats import ANIMATED, KEEP_FORMAT, KEEP_FRAMES

# Devices that the model runs on. The command line turns ``auto`` into one of the other two.
CPU, CUDA, AUTO = "cpu", "cuda", "auto"
DEVICES = (CPU, CUDA, AUTO)

# In IN: patterns of what to leave out, one a line.
IGNORE_FILE = ".cropperignore"

# Engines that a batch runs on: threads and processes of this machine, or a Ray cluster.
LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)

# What thumbnails keep of a photo's metadata.
KEEP_NOTHING, KEEP_COPYRIGHT, KEEP_ALL = "none", "copyright", "all"
KEEP_CHOICES = (KEEP_NOTHING, KEEP_COPYRIGHT, KEEP_ALL)

# What padding is filled with, unless it is a colour: a blurred copy of the photo, or the mean colour of its edges.
BLUR, EDGE = "blur", "edge"
FILLS = (BLUR, EDGE)

# What is made of an animation: its first frame, or all of them.
FIRST_FRAME, ALL_FRAMES = "first", "all"
FRAME_CHOICES = (FIRST_FRAME, ALL_FRAMES)


class Fit(str, Enum):
    """How a photo fills the shape asked for."""

    CROP = "crop"
    CENTRE = "center"  # as users write it
    PAD = "pad"
    KEEP = "keep"
    SKIP = "skip"


# What users may ask for where no crop is good.
OTHERWISE = (Fit.PAD, Fit.CENTRE, Fit.KEEP, Fit.SKIP)
# What was done, in the words of the ledger and the summary.
DONE = {Fit.CENTRE: "cropped in the centre", Fit.PAD: "padded", Fit.KEEP: "kept whole", Fit.SKIP: "skipped"}
# The share of the density that a good crop keeps, if a user asks for ``otherwise`` and gives no share.
DEFAULT_MIN_KEPT = 0.6


@dataclass(frozen=True)
class Target:
    """One shape asked for: an aspect, and the size in pixels that the crop is scaled to.

    Attributes:
        aspect: width and height, at least 1 each.
        size: width and height in pixels, or None to keep the crop's own pixels.
        chosen_for: the size that the box is chosen for, where several widths share one box; None if that is ``size``.
        candidate: which of the boxes that differ has this output, from 1, the best; None if one output stands for all of them.
    """

    aspect: tuple[int, int]
    size: tuple[int, int] | None = None
    chosen_for: tuple[int, int] | None = None
    candidate: int | None = None

    @property
    def label(self) -> str:
        """The shape as a user writes it: ``640x360`` or ``16:9``."""
        return f"{self.size[0]}x{self.size[1]}" if self.size else f"{self.aspect[0]}:{self.aspect[1]}"

    @property
    def shape(self) -> Target:
        """What the box is chosen for. Targets of equal shapes have one box."""
        return Target(self.aspect, self.chosen_for or self.size)


DEFAULT_TARGET = Target((640, 360), (640, 360))


class Whole(str, Enum):
    """What a good crop may not cut. A crop that cuts nothing of the photo is the photo."""

    HEADS = "heads"
    SUBJECT = "subject"
    PHOTO = "photo"


class Order(str, Enum):
    """The orders of the photos on a sheet."""

    LEDGER = "ledger"
    KEPT = "kept"
    CUT = "cut"


# The least share of the subject inside a crop that shows it whole. The rest is a tail, a foot, or the error of a cell.
WHOLE_SHARE = 0.95


@dataclass(frozen=True)
class Zoom:
    """How far boxes may be tightened.

    Attributes:
        at_least: the smallest tightened box, as a share of the largest box's sides, 0..1.
        share: the share of the density that a tightened box keeps, 0..1. None leaves it to the subject, and asks for
            ``DENSE_SHARE`` where the photo shows none.
        margin: the room between the subject and the nearest border, as a share of the box's side, 0..0.45.
    """

    at_least: float = 0.0
    share: float | None = None
    margin: float = 0.1


DENSE_SHARE = 0.9
MOST_MARGIN = 0.45


@dataclass(frozen=True)
class Weights:
    """How places of a box are weighed, against 1 for the share of the density kept. ``cropper tune`` learns it from corrections.

    A weight is at least 0, and a share of the density: 0.5 is worth as much as half of what people look at. The targets are
    shares of the box's side, 0..1. They, ``gaze`` and ``faces`` matter only if their weight is above 0, and by default it is not.

    Attributes:
        subject: weight of the share of the subject's mask kept.
        whole: weight of a subject that fits and is cut, times its density and its area.
        top: weight of the top cut from a subject that does not fit, times its density.
        head: weight of a head that is touched and not whole, times its density.
        missed: weight of the share of a head that is left out, times its density.
        least_head: the least density that a head counts with, if it is cut.
        room: weight of too little room around a whole subject or head, times its density.
        middle: weight of the distance of what is kept from the middle of the box, in sides of the box.
        edge: weight of the share of the density that lies at a border of the box.
        edge_subject: weight of the share of the subject's mask that lies there.
        centre: weight of the distance of the box from the middle of the photo: 0 there, 1 at either end of its way.
        place: weight of the distance of the main point from ``across`` and ``down``, in sides of the box.
        across: target of the main point, from the left of a box that may move across.
        down: target of the main point, from the top of a box that may move down.
        gaze: how far the main point lies from the middle of the subject towards that of what people look at, 0..1.
        faces: how far it lies from there towards the middle of the heads, where heads are, 0..1.
        headroom: weight of the distance of the top of the heads, or of the subject where no head is, from ``above``, in sides of
            the box.
        above: target of that top, from the top of a box that may move down.
    """

    subject: float = 0.25
    whole: float = 0.1
    top: float = 0.3
    head: float = 2.0
    missed: float = 0.5
    least_head: float = 0.06
    room: float = 0.08
    middle: float = 0.06
    edge: float = 0.75
    edge_subject: float = 0.5
    centre: float = 0.0
    place: float = 0.0
    across: float = 0.5
    down: float = 0.5
    gaze: float = 0.5
    faces: float = 0.5
    headroom: float = 0.0
    above: float = 0.1


WEIGHTS = Weights()
# The most that a weight may be, and a target.
MOST_WEIGHT, MOST_TARGET = 10.0, 1.0
TARGETS = ("least_head", "across", "down", "gaze", "faces", "above")


@dataclass(frozen=True)
class Choosing:
    """How boxes are chosen.

    Attributes:
        zoom: how far boxes are tightened, or None for the largest.
        min_kept: the share of the density, 0..1, that a good crop keeps; None if every crop is good. With a share, a photo where
            nothing stands out has no good crop.
        otherwise: what to do where no crop is good, one of ``OTHERWISE``.
        candidates: the most boxes to choose that differ, at least 1.
        whole: what a good crop may not cut, or None.
        weights: how places of a box are weighed.
        faces_from_metadata: whether the faces that are marked in a photo's XMP count as heads.
    """

    zoom: Zoom | None = None
    min_kept: float | None = None
    otherwise: Fit = Fit.PAD
    candidates: int = 1
    whole: Whole | None = None
    weights: Weights = WEIGHTS
    faces_from_metadata: bool = False


MEGAPIXEL = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Which photos are accepted.

    Attributes:
        max_pixels: a photo with more pixels in its header is refused before it is decoded.
        salvage: whether to use the decodable part of truncated or damaged photos.
    """

    max_pixels: int = 150 * MEGAPIXEL
    salvage: bool = False


LIMITS = Limits()


@dataclass(frozen=True)
class Encoding:
    """How thumbnails are written, beside their format and quality. A run's fingerprint has only what differs from the default.

    Attributes:
        max_bytes: the most bytes of a thumbnail's file, at least 1: quality or colours are given up for it, down to a floor.
            None for any size.
        progressive: whether JPEGs are progressive, which takes longer and saves about a twentieth.
        colours: the most colours of a PNG, 2..256, or None for all.
        sharpen: how much to sharpen thumbnails that are scaled down, 0..``MOST_SHARPEN``; 0 for not at all.
    """

    max_bytes: int | None = None
    progressive: bool = False
    colours: int | None = None
    sharpen: float = 0.0


ENCODING = Encoding()
MOST_COLOURS = 256
MOST_SHARPEN = 3.0
# What ``max_bytes`` never goes below, as thumbnails would be of no use there: a quality, and a number of colours of a PNG.
LOWEST_QUALITY = 30
FEWEST_COLOURS = 16


NO_SIDECAR, XMP = "none", "xmp"
SIDECAR_CHOICES = (NO_SIDECAR, XMP)


@dataclass(frozen=True)
class Settings:
    """Everything besides the photos that decides a batch's outputs.

    Attributes:
        targets: the shapes asked for, at least one, all different.
        format: one of ``image_formats.FORMAT_CHOICES``.
        quality: 1..100, or None for the format's default.
        enlarge: whether to enlarge photos that are smaller than a size.
        dry_run: whether to write the ledger only.
        model: an ONNX file, or None for the bundled student.
        device: ``cpu`` or ``cuda``. Their numbers differ a little.
        choosing: how boxes are chosen.
        fill: what padding is filled with: one of ``FILLS``, or a colour as ``#rrggbb``.
        limits: which photos are accepted.
        srgb: whether to convert colours to sRGB rather than keep their profile.
        keep: what thumbnails keep of the photos' metadata, one of ``KEEP_CHOICES``.
        one: whether a photo gets one of the targets alone, the one whose box keeps most, and so one output and one row.
        name: the template of where thumbnails go in OUT, as ``storage.templates`` takes it; empty for the default layout.
        encoding: how thumbnails are written, beside format and quality.
        animated: what is made of an animation, one of ``FRAME_CHOICES``.
        sidecar: what is written of a photo beside its thumbnails, one of ``SIDECAR_CHOICES``.
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
    one: bool = False
    name: str = ""
    encoding: Encoding = ENCODING

    @property
    def rows(self) -> int:
        """How many outputs, and rows without further candidates, a photo has."""
        return 1 if self.one else len(self.targets)

    animated: str = FIRST_FRAME
    sidecar: str = NO_SIDECAR

    @property
    def format_for_names(self) -> str:
        """The format as ``image_formats.output_format`` takes it."""
        return KEEP_FRAMES if self.format == KEEP_FORMAT and self.animated == ALL_FRAMES else self.format

    def takes_all_frames(self, format: str) -> bool:
        """Whether all frames of an animation decide on the box, and are written: in this output format, or in none if empty."""
        return self.animated == ALL_FRAMES and format in ("", *ANIMATED)


@dataclass(frozen=True)
class Upkeep:
    """What a run may do with what earlier runs left in OUT.

    Attributes:
        force: make all photos again, and replace thumbnails that somebody changed.
        checksum: tell changed photos by their content rather than by size and times.
        moved: IN is the folder that OUT was made from, at another place.
        allow_empty: go on if none of the known photos is in IN any more.
        prune: remove thumbnails of ours that no photo has any more.
    """

    force: bool = False
    checksum: bool = False
    moved: bool = False
    allow_empty: bool = False
    prune: bool = False


UPKEEP = Upkeep()
