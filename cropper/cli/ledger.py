"""``cropper ledger``: what can be done with ledgers once runs have written them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cropper.errors import OutputError, UsageError, remedy_for


@click.group(short_help="Join the ledgers of several runs.")
def ledger() -> None:
    """Join the ledgers of several runs."""


@ledger.command(short_help="Join ledgers to one, in the order of the walk.")
@click.argument("parts", metavar="OUT|PART...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the table here; one called .parquet becomes Parquet.  [default: OUT/boxes.csv]",
)
@click.option("--finish", is_flag=True, help="The shards go: OUT is then as a run without --shard leaves it.")
def merge(parts: tuple[Path, ...], output: Path | None, finish: bool) -> None:
    """Join the ledgers of runs with --shard to one table, and print its path.

    Of the folder OUT these are all its shards' ledgers, which must be there and ended; else the ledgers PART, which may be any
    that share no photo. Rows come in the order of the walk: the same bytes as of one run over all photos. Shards can go on after
    that, and be merged again.

    \b
    cropper ledger merge thumbnails/                       writes thumbnails/boxes.csv
    cropper ledger merge thumbnails/ -o boxes.parquet
    cropper ledger merge one/boxes.csv two/boxes.csv -o boxes.csv
    """
    from cropper import merging, shards

    out = parts[0] if len(parts) == 1 and parts[0].is_dir() else None
    if out is None and (output is None or finish or any(part.is_dir() for part in parts)):
        raise UsageError("give one OUT, or several ledgers and --output", remedy="see 'cropper ledger merge --help'")
    if out is not None and output is not None and finish:
        raise UsageError("--finish writes OUT/boxes.csv, not --output", remedy="give one of them")
    if out is not None and output is None:
        written = shards.merge(out, finish)
    else:
        assert output is not None
        written = output
        try:
            merging.merge(parts if out is None else shards.ledgers_of(out), output)
        except OSError as error:
            raise OutputError(f"cannot be written ({error.strerror})", path=output, remedy=remedy_for(error)) from error
    click.echo(os.fsencode(written))  # as bytes: a name need not be text
