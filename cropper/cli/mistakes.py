"""What a user most likely meant, where a command line cannot be understood: said in the error's own line.

Only names that other programs have are listed here. click itself suggests the nearest names of cropper's own.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

# What options are called elsewhere, and the option of cropper that does the same, with its value where one is needed.
_OTHER_NAMES = {
    "--aspect-ratio": "--aspect",
    "--background": "--pad-with",
    "--bg": "--pad-with",
    "--centre": "--otherwise center",
    "--center": "--otherwise center",
    "--clean": "--prune",
    "--cores": "--jobs",
    "--cuda": "--device cuda",
    "--delete": "--prune",
    "--dimensions": "--size",
    "--dry": "--dry-run",
    "--ext": "--format",
    "--extension": "--format",
    "--fill": "--pad-with",
    "--filter": "--include",
    "--gpu": "--device cuda",
    "--height": "--size WxH",
    "--hash": "--checksum",
    "--ignore": "--exclude",
    "--list": "--dry-run",
    "--log": "--log-file",
    "--max-megapixels": "--max-pixels",
    "--metadata": "--keep all",
    "--only": "--include",
    "--overwrite": "--force",
    "--pad": "--otherwise pad",
    "--padding": "--otherwise pad",
    "--parallel": "--jobs",
    "--processes": "--jobs",
    "--ratio": "--aspect",
    "--resize": "--size",
    "--silent": "--quiet",
    "--skip": "--exclude",
    "--threads": "--jobs",
    "--timeout": "--deadline",
    "--type": "--format",
    "--upscale": "--enlarge",
    "--width": "--size WxH",
    "--workers": "--jobs",
    "-a": "--aspect",
    "-n": "--dry-run",
    "-s": "--size",
    "-t": "--jobs",
    "-w": "--width",
    "-y": "--force",
}

# Options that ask for what cropper does anyway.
_ALWAYS = {
    **dict.fromkeys(("--recursive", "-r", "-R"), "folders are read with all that is in them"),
    **dict.fromkeys(("--resume", "--continue", "--skip-existing", "--update"), "a run does only what is missing or has changed"),
    **dict.fromkeys(("--strip", "--strip-metadata", "--no-metadata"), "metadata stays behind, unless you --keep it"),
    **dict.fromkeys(("--auto-orient", "--autorotate", "--exif-rotate"), "photos are turned upright"),
    **dict.fromkeys(("--face", "--faces", "--smart", "--smartcrop", "--attention"), "crops are where people look, faces first"),
    **dict.fromkeys(("--mkdir", "--parents", "-p"), "folders are made where they are missing"),
}

_VERSION = ("-V", "--version", "-version")
_TO_A_FILE = ("-o", "--output", "--out", "--outdir", "--output-dir", "--out-dir", "--dest", "--destination", "--to", "-d")

# What commands are called elsewhere.
_OTHER_COMMANDS = {
    **dict.fromkeys(
        ("thumbnail", "thumbnails", "thumb", "thumbs", "resize", "convert", "folder", "make", "run", "cut"),
        "for a folder of photos: cropper batch IN OUT; for one photo: cropper crop PHOTO -o FILE",
    ),
    **dict.fromkeys(("heatmap", "heat", "saliency", "view", "preview", "draw", "look"), "it may be: cropper show PHOTO"),
    **dict.fromkeys(("contact", "contact-sheet", "montage", "grid"), "it may be: cropper sheet OUT"),
    **dict.fromkeys(("box", "print", "json", "csv", "coordinates"), "it may be: cropper boxes PHOTO..."),
    **dict.fromkeys(("edit", "correct", "page", "html", "serve", "web"), "it may be: cropper review OUT"),
    **dict.fromkeys(("merge", "join"), "it may be: cropper ledger merge OUT"),
    **dict.fromkeys(("benchmark", "time", "speed"), "it may be: cropper bench DIR"),
    **dict.fromkeys(("version", "info", "doctor"), "it may be: cropper --version, or cropper formats"),
    **dict.fromkeys(("config", "settings", "init"), "settings are a file, cropper.toml; cropper --help says how it is used"),
}


def in_words(error: click.UsageError) -> str:
    """Return the message of an error of the command line, with what to do about it where that can be told."""
    said = error.format_message()
    command = error.ctx.command if error.ctx is not None else None
    if error.ctx is None or command is None:
        return said
    if isinstance(error, click.NoSuchOption):
        meant = _option_meant(error.option_name, command, error.ctx)
        return f"{error.message} {meant}" if meant else said
    if isinstance(error, click.BadOptionUsage) and error.option_name == "--pad-with":
        return f"{said} Quote a colour that begins with #, as in --pad-with '#336699'."
    if isinstance(error, click.BadParameter) and _has_no_out(error):
        return "Missing argument 'OUT': give the folder for the thumbnails last; for one photo: cropper crop PHOTO -o FILE."
    if re.match("Got unexpected extra argument", said) and command.name == "crop":
        return "It takes one photo; name the thumbnail with -o FILE. For many photos: cropper batch IN OUT."
    return said


def no_such_command(group: click.Group, ctx: click.Context, arguments: Sequence[str]) -> click.UsageError:
    """Return the error for a command that is none: it may be a path, or what another program calls it.

    Args:
        group: the group whose command it should be.
        ctx: its context.
        arguments: the name that was given, and all that follows.
    """
    name, *rest = arguments
    path = ctx.command_path
    if ctx.parent is not None:  # a group below the first: ledger, evaluate
        known = ", ".join(group.commands)
        if _is_path(name):
            example = " ".join([path, next(iter(group.commands)), *map(shlex.quote, arguments)])
            return click.UsageError(f"{name!r} is not a command of {path!r}, which has {known}; write {example}.", ctx)
    elif os.path.isdir(name) or (_is_path(name) and "://" in name):
        out = shlex.quote(rest[0]) if rest and not rest[0].startswith("-") else "OUT"
        return click.UsageError(f"{name!r} is not a command; for a folder: cropper batch {shlex.quote(name)} {out}.", ctx)
    elif _is_path(name):
        photo = shlex.quote(name)
        say = f"{name!r} is not a command; for one photo: cropper crop {photo} -o FILE, or cropper show {photo}"
        return click.UsageError(f"{say}; for many: cropper batch IN OUT.", ctx)
    elif name in _OTHER_COMMANDS:
        return click.UsageError(f"No such command {name!r}; {_OTHER_COMMANDS[name]}.", ctx)
    return click.NoSuchCommand(name, possibilities=group.commands, ctx=ctx)


def _is_path(name: str) -> bool:
    from cropper.image_formats import PHOTO_EXTENSIONS

    has_ending = os.path.splitext(name)[1].lower() in PHOTO_EXTENSIONS
    return os.path.lexists(name) or has_ending or "/" in name or os.sep in name


def _option_meant(flag: str, command: click.Command, ctx: click.Context) -> str:
    """Return a sentence about an option that a command lacks, or nothing."""
    own = {name for param in command.params if isinstance(param, click.Option) for name in param.opts}
    arguments = {param.name for param in command.params if isinstance(param, click.Argument)}
    path = ctx.command_path
    if isinstance(command, click.Group):
        if ctx.parent is None and (flag in _OTHER_NAMES or flag in _ALWAYS or _is_of_any(command, flag)):
            return f"Options come after the command, as in cropper batch IN OUT {flag}."
        return "It is: cropper --version." if flag in _VERSION else ""
    if flag in _VERSION:
        return "It is: cropper --version."
    if flag in _TO_A_FILE and (flag != "-d" or "out" in arguments):
        if "-o" in own:
            return "It is -o FILE."
        if command.name == "batch":
            return "OUT is the last argument, without an option: cropper batch IN OUT."
        if command.name == "review":
            return "The page is OUT/review.html."
        return f"It prints to stdout: {path} ... > FILE."
    if flag in _ALWAYS and command.name in ("batch", "boxes", "bench", "crop", "show"):
        return f"Leave it out: {_ALWAYS[flag]}."
    meant = _OTHER_NAMES.get(flag, "")
    if meant.split(" ")[0] in own:
        return f"It is {meant}."
    return ""


def _is_of_any(group: click.Group, flag: str) -> bool:
    return any(flag in param.opts for command in group.commands.values() for param in command.params)


def _has_no_out(error: click.BadParameter) -> bool:
    """Whether a wrong OUT is really IN, given alone."""
    ctx, param = error.ctx, error.param
    is_out = ctx is not None and param is not None and param.name == "out" and ctx.command.name == "batch"
    return is_out and ctx is not None and not ctx.params.get("sources", True)
