"""The options that become ``Settings``: what thumbnails to make, and how to crop. Choices and defaults come from ``settings``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cropper.choosing.asked import choosing_of
from cropper.cli import tuned
from cropper.cli.help import Function, Heading, add_options, option
from cropper.cli.options.effects import check_effects
from cropper.cli.options.shapes import Size
from cropper.cli.options.shared import aspect_option, device_option, is_of_this_run, is_outranked, limits_options
from cropper.cli.options.types import Amount, Bytes, Choice, Fill, Margin, Share, WholeNumber, Zoomed
from cropper.cli.options.widths import width_option, with_widths
from cropper.errors import UsageError
from cropper.image_formats import FORMAT_CHOICES, FORMAT_NAMES, FORMATS, KEEP_FORMAT, install_it, is_written_here, titles
from cropper.settings import (
    ALL_FRAMES,
    DEFAULT_MIN_KEPT,
    DEFAULT_TARGET,
    DENSE_SHARE,
    FEWEST_COLOURS,
    FRAME_CHOICES,
    KEEP_ALL,
    KEEP_CHOICES,
    LOWEST_QUALITY,
    MOST_COLOURS,
    MOST_MARGIN,
    MOST_SHARPEN,
    OTHERWISE,
    WHOLE_SHARE,
    Choosing,
    Encoding,
    Fit,
    Limits,
    Settings,
    Target,
    Whole,
    Zoom,
)

_LOSSY = [one for one in FORMATS if one.quality]
# What thumbnails in the photo's own format become where that is not written.
_BECOME_PNG, _BECOME_JPEG = ([one for one in FORMATS if one.kept_as == to != one.output] for to in ("png", "jpg"))


def choosing_options(command: Function) -> Function:
    """Add the options that say which boxes to choose. The command receives ``targets`` and ``choosing``."""

    @functools.wraps(command)
    def with_choosing(
        *,
        sizes: tuple[tuple[int, int], ...],
        aspects: tuple[tuple[int, int], ...],
        zoom: float | None,
        zoom_keep: float | None,
        margin: float | None,
        min_kept: float | None,
        whole: str | None,
        otherwise: str | None,
        faces_from_metadata: bool,
        **others: Any,
    ) -> Any:
        # Given for this run, these options ask for what they describe. In a file, they only say how to do it if it is asked for.
        if zoom is None and (is_of_this_run("zoom_keep") or is_of_this_run("margin")):
            zoom = Zoom.at_least
        if otherwise is None and is_of_this_run("fill"):
            otherwise = Fit.PAD.value
        elif otherwise is not None and otherwise != Fit.PAD and is_of_this_run("fill") and is_of_this_run("otherwise"):
            raise UsageError(f"--otherwise {otherwise} leaves nothing for --pad-with to fill", remedy="give one of them")
        chosen = choosing_of(zoom, zoom_keep, margin, min_kept, whole, otherwise)
        chosen = replace(chosen, weights=tuned.current(), faces_from_metadata=faces_from_metadata)
        return command(targets=targets_of(sizes, aspects), choosing=chosen, **others)

    return add_options(
        option(
            "--size",
            "sizes",
            type=Size(),
            metavar=Size.name,
            multiple=True,
            heading=Heading.MAKE,
            found=True,
            help=f"Crop to this size in pixels; repeatable.  [default: {DEFAULT_TARGET.label}]",
        ),
        aspect_option("Crop to this shape and keep the photo's own pixels; repeatable."),
        option(
            "--zoom",
            type=Zoomed(),
            metavar=Zoomed.name,
            heading=Heading.CROP,
            found=True,
            help="Crop closer around the subject, never below the size asked for. auto: as close as the subject and --margin "
            "allow; MIN, such as 0.5: to no less than this share of the largest crop's sides.",
        ),
        option(
            "--margin",
            metavar="SHARE",
            type=Margin(),
            heading=Heading.CROP,
            found=True,
            help=f"Leave this share (0 to {MOST_MARGIN}) of the crop's side free around the subject. Implies --zoom auto.  "
            f"[default: {Zoom.margin}]",
        ),
        option(
            "--zoom-keep",
            metavar="SHARE",
            type=Share(),
            heading=Heading.CROP,
            found=True,
            help="Keep at least this share (0 to 1) of what people look at. Implies --zoom auto.  "
            f"[default: none where a photo has a subject, else {DENSE_SHARE}]",
        ),
        option(
            "--otherwise",
            type=Choice([fit.value for fit in OTHERWISE], {"centre": Fit.CENTRE.value}),
            heading=Heading.CROP,
            found=True,
            help="If no crop is good: pad the photo, crop its centre, keep the whole photo scaled to fit, or skip it.  "
            f"[default: crop it anyway; with --min-kept or --whole: {Choosing.otherwise.value}]",
        ),
        option(
            "--min-kept",
            metavar="SHARE",
            type=Share(),
            heading=Heading.CROP,
            found=True,
            help="Call a crop good only if it keeps this share (0 to 1) of what people look at. A photo where nothing stands out "
            f"has no good crop.  [default with --otherwise: {DEFAULT_MIN_KEPT}]",
        ),
        option(
            "--whole",
            type=Choice([whole.value for whole in Whole], {"head": Whole.HEADS.value}),
            heading=Heading.CROP,
            found=True,
            help="Call a crop good only if it cuts no head (heads), neither a head nor the subject (subject), or nothing at all "
            f"(photo), which pads each photo of another shape. A subject is whole if {WHOLE_SHARE:.0%} of it shows.",
        ),
        option(
            "--faces-from-metadata",
            is_flag=True,
            heading=Heading.CROP,
            found=True,
            help="Count faces that Lightroom, digiKam, Picasa or Windows marked in a photo as heads, too. Works for JPEG, PNG, "
            "WebP and TIFF.",
        ),
    )(with_choosing)


def animated_option(command: Function) -> Function:
    """Add ``--animated``, for commands that cut photos or say where. The command receives one of ``FRAME_CHOICES``."""
    return option(
        "--animated",
        type=Choice(FRAME_CHOICES),
        default=Settings.animated,
        show_default=True,
        heading=Heading.MAKE,
        found=True,
        help="Take the first frame of an animation alone, or keep all frames and cut them with one box.",
    )(command)


_thumbnail_options = add_options(
    width_option,
    option(
        "--format",
        type=Choice(FORMAT_CHOICES, FORMAT_NAMES),
        default=Settings.format,
        show_default=True,
        heading=Heading.MAKE,
        found=True,
        help=f"Write thumbnails in this format. {KEEP_FORMAT}: the photo's own format, JPEG for {titles(_BECOME_JPEG, 'and')}, "
        f"or PNG for {titles(_BECOME_PNG, 'and')}; with --animated {ALL_FRAMES} a GIF stays one.",
    ),
    option(
        "--quality",
        metavar="N",
        type=WholeNumber(1, 100),
        heading=Heading.MAKE,
        found=True,
        help=f"Compress {titles(_LOSSY, 'and')} at this quality, 1 to 100.  "
        f"[default: {', '.join(str(one.quality) for one in _LOSSY)}]",
    ),
    option(
        "--max-bytes",
        type=Bytes(),
        metavar=Bytes.name,
        heading=Heading.MAKE,
        found=True,
        help="Lower the quality of thumbnails, or the colours of PNGs and GIFs, until the file is no larger than this: 100kB (of "
        f"1000 bytes), 100KiB or 100000. Stops at quality {LOWEST_QUALITY} or {FEWEST_COLOURS} colours, and says so.",
    ),
    option(
        "--progressive",
        is_flag=True,
        heading=Heading.MAKE,
        found=True,
        help="Write JPEGs that browsers show as a whole from the first bytes on. They are smaller, and take longer to make.",
    ),
    option(
        "--colours",
        "--colors",
        "colours",
        metavar="N",
        type=WholeNumber(2, MOST_COLOURS),
        heading=Heading.MAKE,
        found=True,
        help=f"Write PNGs of at most N colours, 2 to {MOST_COLOURS}, and frames of GIFs.",
    ),
    option(
        "--sharpen",
        metavar="AMOUNT",
        type=Amount(MOST_SHARPEN),
        default=Encoding.sharpen,
        heading=Heading.MAKE,
        found=True,
        help=f"Sharpen thumbnails that are scaled down, by an amount from 0 to {MOST_SHARPEN:g}; 0.5 shows.",
    ),
    option(
        "--enlarge",
        is_flag=True,
        heading=Heading.MAKE,
        found=True,
        help="Enlarge photos that are smaller than the size. Without this, their crops keep their own pixels.",
    ),
    option(
        "--keep",
        type=Choice(KEEP_CHOICES),
        default=Settings.keep,
        show_default=True,
        heading=Heading.MAKE,
        found=lambda keep: keep != KEEP_ALL,
        help="Keep metadata: copyright keeps the photographer's name and copyright; all keeps EXIF and XMP, which include the "
        "place where a photo was taken.",
    ),
    option(
        "--srgb",
        is_flag=True,
        heading=Heading.MAKE,
        found=True,
        help="Convert colours to sRGB. Without this, thumbnails keep the photo's colour profile.",
    ),
    option(
        "--pad-with",
        "fill",
        type=Fill(),
        metavar=Fill.name,
        default=Settings.fill,
        show_default=True,
        heading=Heading.CROP,
        found=True,
        help="Fill the padding with a blurred copy of the photo, its edges' colour, or a colour such as white or '#336699'. "
        "Implies --otherwise pad.",
    ),
)


def settings_options(command: Function) -> Function:
    """Add all options that decide a thumbnail, for commands that make some. The command receives ``settings``."""

    @functools.wraps(command)
    def with_settings(
        *,
        targets: tuple[Target, ...],
        widths: tuple[int, ...],
        choosing: Choosing,
        format: str,
        quality: int | None,
        max_bytes: int | None,
        progressive: bool,
        colours: int | None,
        sharpen: float,
        enlarge: bool,
        fill: str,
        limits: Limits,
        srgb: bool,
        keep: str,
        device: str,
        **others: Any,
    ) -> Any:
        check_is_written(format)
        settings = Settings(
            with_widths(targets, widths),
            format,
            quality,
            enlarge,
            device=device,
            choosing=choosing,
            fill=fill,
            limits=limits,
            srgb=srgb,
            keep=keep,
            encoding=Encoding(max_bytes, progressive, colours, sharpen),
        )
        check_effects(settings)
        return command(settings=settings, **others)

    return add_options(choosing_options, _thumbnail_options, limits_options, device_option)(with_settings)


def check_is_written(format: str) -> None:
    """Refuse an output format that needs an extra which is not installed. Raises UsageError."""
    if not is_written_here(format):
        raise UsageError(f"{format} is not written by this installation", remedy=install_it())


def targets_of(sizes: Sequence[tuple[int, int]], aspects: Sequence[tuple[int, int]]) -> tuple[Target, ...]:
    """Return the targets asked for, each once, sizes first, in the order given; the default target if there are none."""
    if is_outranked("sizes", by="aspects"):
        sizes = ()
    elif is_outranked("aspects", by="sizes"):
        aspects = ()
    asked = [Target(size, size) for size in sizes] + [Target(aspect) for aspect in aspects]
    return tuple(dict.fromkeys(asked or [DEFAULT_TARGET]))
