"""``python -m cropper.training``: one subcommand a step."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from cropper.training import export as exporting
from cropper.training import fit as fitting

BIAS_STRENGTHS = [0.0, 0.25, 0.5, 0.75, 1.0]
BIAS_STRENGTH = 0.5
LOG_FORMAT = "%(asctime)s %(message)s"


@click.group()
def main() -> None:
    """Train the saliency model: fit a student on gaze sets, choose its centre bias, export it to ONNX."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)


@main.command()
@click.argument("sets", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for checkpoints and the log.")
@click.option("--epochs", default=fitting.Recipe.epochs, show_default=True)
@click.option("--seed", default=fitting.Recipe.seed, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --out.")
def fit(sets: tuple[Path, ...], out: Path, epochs: int, seed: int, resume: bool) -> None:
    """Train a student on gaze SETS (folders with images/ and fixations.csv or density/)."""
    out.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(out / "log.txt", encoding="utf-8")
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.getLogger().addHandler(handler)
    fitting.fit(list(sets), out, fitting.Recipe(epochs=epochs, seed=seed), resume)


@main.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("sets", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def bias(checkpoint: Path, sets: tuple[Path, ...]) -> None:
    """Compare strengths of the centre bias on the validation photos of SETS, whole and as off-centre windows.

    Give the SETS the checkpoint was trained on, in the same order.
    """
    student, state = fitting.load_student(checkpoint)
    _, validation, names = fitting.read_sets(list(sets))
    if names != state["sets"]:
        raise click.UsageError(f"the checkpoint was trained on {' '.join(state['sets'])}, in this order")
    click.echo("strength  KL whole  KL windows  mean")
    for strength, (whole, windows) in fitting.choose_bias_strength(student, validation, names, BIAS_STRENGTHS).items():
        click.echo(f"{strength:8.2f}  {whole:8.4f}  {windows:10.4f}  {(whole + windows) / 2:.4f}")


@main.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("onnx", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--bias-strength", default=BIAS_STRENGTH, show_default=True, help="Of the mean learned centre bias.")
def export(checkpoint: Path, onnx: Path, bias_strength: float) -> None:
    """Write a CHECKPOINT as an ONNX file and check it against torch."""
    exporting.export(checkpoint, onnx, bias_strength)


if __name__ == "__main__":
    main()
