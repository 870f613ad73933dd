"""What several commands share: exit codes, ``--size`` and ``--aspect``, and how they speak."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cropper.cli.terminal import say, usable_cores
from cropper.cli.types import Fill, Pair, Zoomed

if TYPE_CHECKING:
    from cropper.settings import Choosing, Limits, Target

DEFAULT_SIZE = (640, 360)
DEFAULT_MIN_KEPT = 0.6


def choosing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What boxes to choose, the same in every command that chooses some: ``targets`` and ``choosing`` to the command."""

    @functools.wraps(command)
    def with_choosing(
        *,
        sizes: tuple[tuple[int, int], ...],
        aspects: tuple[tuple[int, int], ...],
        zoom: float | None,
        zoom_keep: float,
        min_kept: float | None,
        otherwise: str | None,
        **others: Any,
    ) -> Any:
        from cropper.settings import Choosing, Fit, Zoom

        if otherwise is not None and min_kept is None:
            min_kept = DEFAULT_MIN_KEPT
        chosen = Choosing(
            zoom=Zoom(zoom, max(zoom_keep, min_kept or 0.0)) if zoom is not None else None,
            min_kept=min_kept,
            otherwise=Fit(otherwise or "pad"),
        )
        return command(targets=targets_of(sizes, aspects), choosing=chosen, **others)

    decorated: Callable[..., Any] = with_choosing
    share = click.FloatRange(0, 1, min_open=True)
    for option in (
        click.option(
            "--otherwise",
            type=click.Choice(["pad", "center", "keep", "skip"]),
            help="Where no crop is good: pad the photo, crop its centre, keep it whole, scaled in, or skip it.  [default: pad]",
        ),
        click.option(
            "--min-kept",
            metavar="SHARE",
            type=share,
            help="A crop that keeps less of what people look at is not good; of a plain photo none is.  "
            f"[default with --otherwise: {DEFAULT_MIN_KEPT}]",
        ),
        click.option(
            "--zoom-keep",
            metavar="SHARE",
            type=share,
            default=0.9,
            show_default=True,
            help="Of what people look at, what a zoomed crop keeps.",
        ),
        click.option(
            "--zoom",
            type=Zoomed(),
            metavar=Zoomed.name,
            help="Tighten the crop around the subject, to MIN of the largest crop's sides at most, never below the size.",
        ),
    ):
        decorated = option(decorated)
    return _target_options(decorated)


def candidates_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--candidates``, the same in every command that shows decisions."""
    help = "As many boxes that differ, the best first; fewer where a photo has no more."
    return click.option("--candidates", metavar="N", type=click.IntRange(1), default=1, show_default=True, help=help)(command)


def focus_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--focus``, the same in every command that works on many photos."""
    help = "Your own word: a CSV table path,x,y or path,x,y,width,height, and size where it is for one alone."
    type = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--focus", "focus_file", metavar="FILE", type=type, help=help)(command)


def photos_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--photos``, the same in every command that shows what a batch decided: ``source`` to the command."""
    help = "The folder of the originals.  [default: where 'cropper batch' took them from]"
    type = click.Path(exists=True, file_okay=False, path_type=Path)
    return click.option("--photos", "source", metavar="DIR", type=type, help=help)(command)


def _target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    size = click.option(
        "--size",
        "sizes",
        type=Pair("WxH", "x", "640x360"),
        metavar="WxH",
        multiple=True,
        help="Pixels of the thumbnail; repeatable.  [default: 640x360]",
    )
    return size(aspect_option("Shape of the crop, at the photo's own pixels; repeatable.")(command))


def aspect_option(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--aspect`` alone, with what it means to the command."""
    return click.option("--aspect", "aspects", type=Pair("W:H", ":", "16:9"), metavar="W:H", multiple=True, help=help)


def jobs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--jobs``, the same in every command that works on many photos."""
    help = "Worker threads.  [default: the cores this process may use; four times as many for a URL, which is waited for]"
    return click.option("--jobs", "-j", type=click.IntRange(1), default=_default_jobs, help=help)(command)


def _default_jobs() -> int:
    ctx = click.get_current_context(silent=True)
    values = ctx.params.values() if ctx is not None else ()
    return usable_cores() * (4 if any(getattr(value, "is_remote", False) for value in values) else 1)


def device_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--device``, the same in every command that makes or decides something: ``device``, cpu or cuda, to the command."""

    @functools.wraps(command)
    def with_device(*, device: str, **others: Any) -> Any:
        if device == "auto":
            from cropper.imaging.opencv import libraries_muted
            from cropper.model.device import best_device
            from cropper.model.saliency import BUNDLED_MODEL

            with libraries_muted():
                device, why = best_device(BUNDLED_MODEL)
            if why and not others.get("quiet"):
                say(f"--device auto: on the processor, since {why}")
        return command(device=device, **others)

    return click.option(
        "--device",
        type=click.Choice(["cpu", "cuda", "auto"]),
        default="cpu",
        show_default=True,
        help="What the model runs on; auto is CUDA where it can be. Boxes may differ a little between them.",
    )(with_device)


def limits_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which photos are accepted, the same in every command that reads some: ``limits`` to the command."""

    @functools.wraps(command)
    def with_limits(*, megapixels: int, salvage: bool, **others: Any) -> Any:
        from PIL import Image

        from cropper.settings import Limits

        # Instead of Pillow's own limit, for the whole process, which a command has to itself.
        Image.MAX_IMAGE_PIXELS = None
        return command(limits=Limits(megapixels * 1_000_000, salvage), **others)

    decorated: Callable[..., Any] = with_limits
    for option in (
        click.option("--salvage", is_flag=True, help="Of photos that are truncated or damaged, take what can be decoded."),
        click.option(
            "--max-pixels",
            "megapixels",
            metavar="MEGAPIXELS",
            type=click.IntRange(1),
            default=150,
            show_default=True,
            help="Refuse photos whose header says that they have more, before they are decoded.",
        ),
    ):
        decorated = option(decorated)
    return decorated


def fast_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which of the bundled models looks at the photos: ``model`` to the command, a path, or None for the usual one."""

    @functools.wraps(command)
    def with_model(*, fast: bool, **others: Any) -> Any:
        from cropper.model.saliency import FAST_MODEL

        return command(model=FAST_MODEL if fast else None, **others)

    option = click.option(
        "--fast", is_flag=True, help="Look with the lighter model, in seven eighths of the time; it cuts a few more heads."
    )
    decorated: Callable[..., Any] = option(with_model)
    return decorated


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What thumbnails to make and how, the same in every command that makes some: ``settings`` to the command."""

    @functools.wraps(command)
    def with_settings(
        *,
        targets: tuple[Target, ...],
        choosing: Choosing,
        format: str,
        quality: int | None,
        enlarge: bool,
        fill: str,
        limits: Limits,
        srgb: bool,
        keep: str,
        model: Path | None,
        device: str,
        **others: Any,
    ) -> Any:
        from cropper.settings import Settings

        settings = Settings(
            targets,
            format,
            quality,
            enlarge,
            model=model,
            device=device,
            choosing=choosing,
            fill=fill,
            limits=limits,
            srgb=srgb,
            keep=keep,
        )
        return command(settings=settings, **others)

    decorated: Callable[..., Any] = fast_option(with_settings)
    for option in (
        click.option(
            "--pad-with",
            "fill",
            type=Fill(),
            metavar=Fill.name,
            default="blur",
            show_default=True,
            help="Of padded photos: themselves, blurred, the colour of their edges, or one of yours.",
        ),
        click.option(
            "--keep",
            type=click.Choice(["none", "copyright", "all"]),
            default="none",
            show_default=True,
            help="Of the photos' metadata: the photographer's name and copyright alone, or all EXIF and XMP, which tell the "
            "place a photo was taken at too.",
        ),
        click.option("--srgb", is_flag=True, help="Convert colours to sRGB, rather than let their profile go along."),
        click.option("--enlarge", is_flag=True, help="Enlarge photos smaller than the size, rather than crop them at their own."),
        click.option("--quality", type=click.IntRange(1, 100), help="Of JPEG, WebP and AVIF.  [default: 85, 80, 65]"),
        click.option(
            "--format",
            type=click.Choice(["keep", "jpg", "png", "webp", "avif"]),
            default="keep",
            show_default=True,
            help="Of the thumbnails. TIFF, BMP and GIF photos are kept as PNG.",
        ),
    ):
        decorated = option(decorated)
    return choosing_options(limits_options(device_option(decorated)))


def targets_of(sizes: Sequence[tuple[int, int]], aspects: Sequence[tuple[int, int]]) -> tuple[Target, ...]:
    """The targets asked for, each once, in the order given, sizes first; the default where none is."""
    from cropper.settings import Target

    if is_outranked("sizes", by="aspects"):
        sizes = ()
    elif is_outranked("aspects", by="sizes"):
        aspects = ()
    asked = [Target(size, size) for size in sizes] + [Target(aspect) for aspect in aspects]
    return tuple(dict.fromkeys(asked or [Target(DEFAULT_SIZE, DEFAULT_SIZE)]))


def is_outranked(name: str, by: str) -> bool:
    """Whether a parameter of the running command is from farther away than another that says the same in another way.

    Someone who writes ``--aspect`` on the command line does not mean the ``size`` of a configuration as well.
    """
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return False
    source, other = ctx.get_parameter_source(name), ctx.get_parameter_source(by)
    return source is not None and other is not None and source > other  # click has them from near to far
