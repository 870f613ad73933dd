"""The options that several training commands share, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cropper.training.fit import Recipe

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

scale_option = click.option("--scale", default=1.0, show_default=True, help="Input scale, relative to the student's.")
seed_option = click.option("--seed", default=0, show_default=True, help="Seed of the random numbers.")


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument SETS and the options for the photo pool and the teacher's labels."""
    command = click.option("--labels", type=FOLDER, help="Folder of the teacher's densities, written by `label`.")(command)
    command = click.option("--pool", type=FOLDER, help="Folder of photos without gaze. Needs --labels.")(command)
    return click.argument("sets", nargs=-1, required=True, type=FOLDER)(command)


def photos_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the photos to label."""
    command = click.option("--pool", type=FOLDER, help="Folder of photos to label.")(command)
    return click.option("--set", "sets", multiple=True, type=FOLDER, help="Gaze set to label; repeatable.")(command)


def out_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option for the folder of checkpoints and the log."""
    option = click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for checkpoints and the log.")
    return option(command)


def member_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option for the members of the teacher."""
    option = click.option(
        "--member", "members", multiple=True, required=True, type=(FILE, float), help="Checkpoint and its scale; repeatable."
    )
    return option(command)


def fit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the length, speed and input scale of training."""
    for option in (
        click.option("--resume", is_flag=True, help="Resume from the newest checkpoint in --out."),
        seed_option,
        click.option("--rate", default=1.0, show_default=True, help="Learning rate, relative to a fit from ImageNet."),
        click.option("--whole", default=Recipe.whole, show_default=True, help="Share of photos to use whole, 0..1."),
        click.option("--epochs", default=Recipe.epochs, show_default=True, help="Number of epochs."),
        scale_option,
    ):
        command = option(command)
    return command
