"""The options that several commands share, each declared once. Choices and defaults come from ``settings``.

A decorator here adds options to a command and turns their values into what the command takes.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cropper.cli.help import Decorator, Function, Heading, OptionsFile, add_options, option
from cropper.cli.options.shapes import Aspect
from cropper.cli.options.types import Choice, FileOrNone, Jobs, LocalPath, Megapixels, Pattern, Seconds, WholeNumber
from cropper.cli.terminal import be_heard, begin_log, is_quiet, tell, usable_cores
from cropper.errors import UsageError
from cropper.image_formats import RAW_ALONE, RAW_CHOICES
from cropper.settings import AUTO, CUDA, DEVICES, IGNORE_FILE, LIMITS, MEGAPIXEL, Choosing, Limits, Settings, Upkeep

# In seconds.
DEADLINE = 120
_FOLDER = LocalPath(exists=True, file_okay=False)
# Workers for each core where they wait for a storage most of the time.
_JOBS_THAT_WAIT = 4
_MOST_CANDIDATES = 100


def aspect_option(help: str, heading: Heading = Heading.MAKE) -> Decorator:
    """Add ``--aspect`` alone, with the help text and the heading that fit the command."""
    attributes: dict[str, Any] = {"type": Aspect(), "metavar": Aspect.name, "multiple": True, "found": True}
    return option("--aspect", "aspects", **attributes, heading=heading, help=help)


def batch_argument(help: str = "Show the batch in this folder, which 'cropper batch' wrote.") -> Decorator:
    """Return a decorator that adds OUT, for commands that look at what a batch made. The command receives ``out``."""
    return click.argument("out", metavar="OUT", type=_FOLDER, help=help)


def candidates_option(command: Function) -> Function:
    """Add ``--candidates``, for commands that show decisions, or make a thumbnail of each."""
    return option(
        "--candidates",
        metavar="N",
        type=WholeNumber(1, _MOST_CANDIDATES),
        default=Choosing.candidates,
        show_default=True,
        heading=Heading.MAKE,
        found=True,
        help="Choose up to N boxes that differ, the best first. Some photos have fewer.",
    )(command)


def one_option(command: Function) -> Function:
    """Add ``--one``, for commands that decide on many photos."""
    return option(
        "--one",
        is_flag=True,
        heading=Heading.CROP,
        found=True,
        help="Give each photo one of the sizes and shapes alone: the one whose crop keeps most. A whole subject and whole heads "
        "come first, then what people look at.",
    )(command)


def focus_option(command: Function) -> Function:
    """Add ``--focus``, for commands that work on many photos. The command receives ``focus_file``, None for ``none`` too."""
    return option(
        "--focus",
        "focus_file",
        metavar="FILE|none",
        type=FileOrNone(),
        heading=Heading.CROP,
        help="Crop around the points or boxes in this CSV table: path,x,y or path,x,y,width,height. Whole numbers are pixels; "
        "0.5 and 50% are shares of the photo. A column size limits a row to one size. 'none': use no table, and in a batch "
        "forget those that you gave before.",
    )(command)


def upkeep_options(command: Function) -> Function:
    """Add the options about what earlier runs left in OUT. The command receives ``upkeep``."""

    @functools.wraps(command)
    def with_upkeep(*, force: bool, checksum: bool, moved: bool, allow_empty: bool, prune: bool, **others: Any) -> Any:
        return command(upkeep=Upkeep(force, checksum, moved, allow_empty, prune), **others)

    return add_options(
        option("--force", is_flag=True, heading=Heading.AGAIN, help="Make all thumbnails again, even those that you edited."),
        option(
            "--checksum",
            is_flag=True,
            heading=Heading.AGAIN,
            help="Compare the content of photos to see which ones changed, not size and times. Reads every photo.",
        ),
        option(
            "--prune",
            is_flag=True,
            heading=Heading.AGAIN,
            help="Remove thumbnails that are not needed any more: of deleted or skipped photos, or of sizes not asked for.",
        ),
        option(
            "--moved",
            is_flag=True,
            heading=Heading.AGAIN,
            help="Accept that IN has moved: it has another path than in the last run.",
        ),
        option("--allow-empty", is_flag=True, heading=Heading.AGAIN, help="Accept that all photos of the last run are gone."),
    )(with_upkeep)


def verbose_option(command: Function) -> Function:
    """Add ``--verbose``, for commands that make many thumbnails. It contradicts ``--quiet``, unless one is given nearer."""

    @functools.wraps(command)
    def with_verbose(*, verbose: bool, **others: Any) -> Any:
        if verbose and is_quiet():
            if is_outranked("quiet", by="verbose"):
                be_heard()
            elif is_outranked("verbose", by="quiet"):
                verbose = False
            else:
                raise UsageError("--verbose and --quiet contradict each other", remedy="give one of them")
        return command(verbose=verbose, **others)

    help = "Print each photo on stderr as it is done, with the outcome, and each thumbnail that --prune removes."
    return option("--verbose", "-v", is_flag=True, found=True, help=help)(with_verbose)


def log_option(command: Function) -> Function:
    """Add ``--log-file``, for commands that run long. It is open before other options are read, for what is wrong with them."""

    def keep(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
        if path is not None and not ctx.resilient_parsing:
            begin_log(path)

    return option(
        "--log-file",
        metavar="FILE",
        type=LocalPath(dir_okay=False),
        is_eager=True,
        expose_value=False,
        callback=keep,
        help="Append all messages to this file too, each with the time, even those that --quiet hides.",
    )(command)


def selection_options(command: Function) -> Function:
    """Add the options that say which files of a folder to take. The command receives ``selection``."""

    @functools.wraps(command)
    def with_selection(*, include: tuple[str, ...], exclude: tuple[str, ...], **others: Any) -> Any:
        from cropper.storage.patterns import selection_of

        return command(selection=selection_of(include, exclude), **others)

    def patterns(name: str, help: str) -> Decorator:
        return option(name, type=Pattern(), metavar=Pattern.name, multiple=True, heading=Heading.PHOTOS, help=help)

    return add_options(
        patterns(
            "--exclude",
            "Leave out files and folders that match this pattern, written as in a .gitignore; repeatable. A pattern after ! "
            f"takes them in again. IN/{IGNORE_FILE} may hold such patterns too, one a line.",
        ),
        patterns("--include", "Take only files that match this pattern, or lie in a folder that does; repeatable."),
    )(with_selection)


def photos_option(command: Function) -> Function:
    """Add ``--photos``, for commands that show what a batch decided. The command receives ``source``."""
    return option(
        "--photos",
        "source",
        metavar="DIR",
        type=_FOLDER,
        heading=Heading.PHOTOS,
        help="Read the originals from this folder.  [default: the folder that 'cropper batch' read]",
    )(command)


def limits_options(command: Function) -> Function:
    """Add the options that say which photos to accept, for commands that read photos. The command receives ``limits``."""

    @functools.wraps(command)
    def with_limits(*, megapixels: int, salvage: bool, **others: Any) -> Any:
        from PIL import Image

        # Pillow has a limit of its own for the whole process. Ours replaces it: a command has the process to itself.
        Image.MAX_IMAGE_PIXELS = None
        return command(limits=Limits(megapixels * MEGAPIXEL, salvage), **others)

    return add_options(
        option(
            "--salvage",
            is_flag=True,
            heading=Heading.PHOTOS,
            found=True,
            help="Use the part of a truncated or damaged photo that can be decoded. Without this, the photo fails.",
        ),
        option(
            "--max-pixels",
            "megapixels",
            metavar="MEGAPIXELS",
            type=Megapixels(),
            default=LIMITS.max_pixels // MEGAPIXEL,
            show_default=True,
            heading=Heading.PHOTOS,
            found=lambda megapixels: megapixels <= LIMITS.max_pixels // MEGAPIXEL,
            help="Refuse photos with more megapixels than this, before they are decoded.",
        ),
    )(with_limits)


def raw_option(command: Function) -> Function:
    """Add ``--raw``, for commands that walk folders."""
    return option(
        "--raw",
        type=Choice(RAW_CHOICES),
        default=RAW_ALONE,
        show_default=True,
        heading=Heading.PHOTOS,
        found=True,
        help="Read the camera's RAW photos of a folder that have no JPEG or HEIC of the same name beside them (alone), or all.",
    )(command)


def jobs_option(command: Function) -> Function:
    """Add ``--jobs``, for commands that work on many photos. ``auto`` is as if it were not given."""

    @functools.wraps(command)
    def with_jobs(*, jobs: int, **others: Any) -> Any:
        if jobs == Jobs.ALL_CORES:  # only now are all arguments known
            jobs = _default_jobs()
            click.get_current_context().set_parameter_source("jobs", ParameterSource.DEFAULT)
        return command(jobs=jobs, **others)

    return option(
        "--jobs",
        "-j",
        metavar="N",
        type=Jobs(),
        default=_default_jobs,
        heading=Heading.SPEED,
        found=lambda jobs: jobs <= usable_cores() * _JOBS_THAT_WAIT,
        help="Run this many workers at once.  [default: auto, one for each core, or four for each if IN or OUT is a URL]",
    )(with_jobs)


def dry_run_option(command: Function) -> Function:
    """Add ``--dry-run``, for commands that make many thumbnails."""
    help = "Choose boxes and write boxes.csv, but make no thumbnails."
    return option("--dry-run", is_flag=True, heading=Heading.MAKE, found=True, help=help)(command)


def deadline_option(command: Function) -> Function:
    """Add ``--deadline``, for commands that ``supervised`` runs."""
    return option(
        "--deadline",
        metavar="SECONDS",
        type=Seconds(),
        default=DEADLINE,
        show_default=True,
        found=lambda seconds: 0 < seconds <= DEADLINE,
        help="Give up on a photo after this time, not counting reading and writing; 0: no limit. Works on Linux or with "
        "--engine ray.",
    )(command)


def _default_jobs() -> int:
    ctx = click.get_current_context(silent=True)
    given = ctx.params.values() if ctx is not None else ()
    values = [one for value in given for one in (value if isinstance(value, tuple) else (value,))]
    return usable_cores() * (_JOBS_THAT_WAIT if any(getattr(value, "is_remote", False) for value in values) else 1)


def device_option(command: Function) -> Function:
    """Add ``--device``, for commands that choose boxes or make thumbnails. The command receives ``cpu`` or ``cuda``."""

    @functools.wraps(command)
    def with_device(*, device: str, **others: Any) -> Any:
        if device == AUTO:
            from cropper.imaging.opencv import libraries_muted
            from cropper.model.device import best_device
            from cropper.model.saliency import BUNDLED_MODEL

            with libraries_muted():
                device, why = best_device(BUNDLED_MODEL)
            if why:
                tell(f"--device auto: using the processor, because {why}")
        return command(device=device, **others)

    return option(
        "--device",
        type=Choice(DEVICES, {"gpu": CUDA}),
        default=Settings.device,
        show_default=True,
        heading=Heading.SPEED,
        found=True,
        help="Run the model on this device; auto uses CUDA where it works. Boxes differ a little between devices.",
    )(with_device)


def is_given(name: str) -> bool:
    """Whether the user gave a parameter of the command that runs, in any way: it does not have its default."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)


def is_of_this_run(name: str) -> bool:
    """Whether the user gave a parameter for this run, on the command line or as a variable, and not for all runs in a file."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and ctx.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def is_outranked(name: str, by: str) -> bool:
    """Whether another parameter, which says the same in another way, comes from a nearer source than this one.

    Someone who writes ``--aspect`` on the command line does not mean the ``size`` of a configuration file as well.
    """
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return False
    source, other = ctx.get_parameter_source(name), ctx.get_parameter_source(by)
    if source is other is ParameterSource.DEFAULT_MAP:
        files = OptionsFile.all_of(ctx)
        mine, theirs = OptionsFile.of(ctx, name), OptionsFile.of(ctx, by)
        return mine is not None and theirs is not None and files.index(mine) < files.index(theirs)
    return source is not None and other is not None and source > other  # click orders sources from near to far
