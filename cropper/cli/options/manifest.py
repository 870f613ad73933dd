"""``--manifest`` and ``--base-url``: the manifest for sites."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cropper.cli.help import Function, add_options, option
from cropper.cli.options.types import LocalPath
from cropper.errors import UsageError
from cropper.extras import install_command

if TYPE_CHECKING:
    from cropper.storage.places import Place


def without_hashes() -> list[str]:
    """Say in a line what a manifest lacks in this installation; nothing if it lacks nothing."""
    from cropper.imaging.placeholder import can_hash

    return [] if can_hash() else [f"the manifest has no thumbhash; to add it, run: {install_command('web')}"]


def manifest_options(command: Function) -> Function:
    """Add the options of the manifest. The command receives ``manifest``, or None."""

    @functools.wraps(command)
    def with_manifest(*, out: Place, shard: Any, manifest_file: Path | None, base_url: str | None, **others: Any) -> Any:
        if base_url is not None and manifest_file is None:
            raise UsageError("--base-url is for the URLs of a manifest", remedy="add --manifest FILE.json")
        if base_url is not None and re.search(r"\s|^,", base_url):
            what = f"--base-url {base_url!r} has a space or begins with a comma, which ends a URL in a srcset"
            raise UsageError(what, remedy="write %20 for a space, and %2C for a comma")
        if manifest_file is None:
            return command(out=out, shard=shard, manifest=None, **others)
        from cropper.ledger.manifest import Manifest

        if shard is not None:
            remedy = "run 'cropper ledger merge OUT --finish' first, and then 'cropper batch IN OUT --manifest FILE.json'"
            raise UsageError("--manifest needs a run without --shard: a shard has a part of the photos", remedy=remedy)
        if manifest_file.suffix.lower() != ".json":
            raise UsageError("a manifest is JSON", path=manifest_file, remedy="end its name in .json")
        manifest = Manifest(manifest_file, base_url or "")
        manifest.check(out)
        return command(out=out, shard=shard, manifest=manifest, **others)

    return add_options(
        option(
            "--manifest",
            "manifest_file",
            metavar="FILE.json",
            type=LocalPath(dir_okay=False),
            help="Write all photos to this file at the end, for sites: boxes and focus from 0 to 1, object-position, files with "
            "their sizes, srcset, colour and, with the extra web, thumbhash.",
        ),
        option(
            "--base-url",
            metavar="URL",
            help="Begin the URLs of the manifest with this.  [default: the way from the manifest's folder to OUT]",
        ),
    )(with_manifest)
