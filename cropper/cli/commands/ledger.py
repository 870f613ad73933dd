"""``cropper ledger``: join the ledgers of several runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cropper.cli.groups import Group
from cropper.cli.help import Command, option
from cropper.cli.options.types import Where
from cropper.cli.terminal import put_path
from cropper.errors import OutputError, UsageError, naming, remedy_for

if TYPE_CHECKING:
    from cropper.storage.places import Place


@click.group(cls=Group)
def ledger() -> None:
    """Join the ledgers of several runs.

    \b
    cropper ledger merge thumbnails/
    """


@ledger.command(cls=Command, short_help="Join ledgers into one table.")
@click.argument(
    "parts",
    metavar="OUT|PART...",
    nargs=-1,
    required=True,
    type=Where(exists=True, file_okay=True),
    help="Join the ledgers of all shards in the folder or URL OUT, or these ledgers (PART).",
)
@option(
    "--output",
    "-o",
    metavar="FILE",
    type=Where(dir_okay=False, file_okay=True),
    help="Write the table to this file: as CSV, JSON lines or Parquet, if its name ends in .csv, .jsonl or .parquet.  "
    "[default: OUT/boxes.csv]",
)
@option("--finish", is_flag=True, help="Remove the shards' own files, so that later runs need no --shard.")
def merge(parts: tuple[Place, ...], output: Place | None, finish: bool) -> None:
    """Join the ledgers of runs with --shard into one table, and print its path.

    With OUT, all its shards must be there and finished. With PARTs, give any ledgers that share no photo. The table has the same
    bytes as that of one run over all photos. You can run shards again afterwards, and merge again.

    \b
    cropper ledger merge thumbnails/
    cropper ledger merge thumbnails/ -o boxes.parquet
    cropper ledger merge one/boxes.csv two/boxes.csv -o boxes.csv
    """
    from tempfile import TemporaryDirectory

    alone = parts[0] if len(parts) == 1 else None
    out = alone if alone is not None and _is_out(alone) else None
    if out is None and (output is None or finish or any(not part.is_remote and _is_out(part) for part in parts)):
        raise UsageError("give one OUT, or several ledgers and --output", remedy="see 'cropper ledger merge --help'")
    if out is not None and output is not None and finish:
        raise UsageError("--finish writes OUT/boxes.csv, not --output", remedy="give one of them")
    with TemporaryDirectory(prefix="cropper-merge-") as scratch, naming(_originals(parts, out, output, Path(scratch))):
        written = _merge(parts, out, output, finish, Path(scratch))
    put_path(written)


def _is_out(part: Place) -> bool:
    """Whether an argument is an OUT rather than a ledger. The name of a URL decides, which saves a request."""
    return part.local_path.is_dir() if part.local_path is not None else not part.full_name().endswith(".csv")


def _copy_of(number: int, scratch: Path) -> Path:
    return scratch / f"{number}.csv"


def _merged(output: Place, scratch: Path) -> Path:
    return scratch / f"merged{Path(output.full_name()).suffix}"


def _originals(parts: tuple[Place, ...], out: Place | None, output: Place | None, scratch: Path) -> dict[Path, Place]:
    """What the files in the scratch folder are copies of."""
    originals = {_copy_of(number, scratch): part for number, part in enumerate(parts)}
    if output is not None:
        originals[_merged(output, scratch)] = output
    return originals if out is None else {**originals, scratch: out}


def _merge(parts: tuple[Place, ...], out: Place | None, output: Place | None, finish: bool, scratch: Path) -> Place:
    from cropper.ledger.merge import kind_of, merge_tables
    from cropper.ledger.shards import merge_shards, write_shards
    from cropper.storage.access import bucket_place, place

    if output is None:
        assert out is not None
        if out.local_path is not None:
            return place(merge_shards(out.local_path, finish))
        from cropper.ledger import upload

        return upload.merge_in_bucket(bucket_place(out), scratch, finish)
    kind_of(str(output))  # refuses unknown ones before anything is read
    if out is None:
        files = [_here(part, _copy_of(number, scratch)) for number, part in enumerate(parts)]
    else:
        folder = out.local_path
        if folder is None:
            from cropper.ledger import upload

            folder = scratch
            upload.fetch_shards(bucket_place(out), folder)
        files = [scratch / "shards.csv"]
        write_shards(folder, files[0], out)
    to = output.local_path or _merged(output, scratch)
    try:
        merge_tables(files, to)
    except OSError as error:
        remedy = remedy_for(error, "give another name with -o")
        raise OutputError(f"cannot be written ({error.strerror})", path=output, remedy=remedy) from error
    if output.is_remote:
        bucket_place(output).send(to)
    return output


def _here(part: Place, copy: Path) -> Path:
    """Return a ledger as a file of this machine: itself, or a copy of it."""
    from cropper.storage.access import bucket_place

    if part.local_path is not None:
        return part.local_path
    if not bucket_place(part).fetch(copy):
        raise UsageError("there is no such ledger", path=part)
    return copy
