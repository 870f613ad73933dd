"""``cropper formats``: list what this installation reads and writes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from cropper.cli.help import command, option
from cropper.cli.terminal import put_line

if TYPE_CHECKING:
    from cropper.installation import Format, Model

MEGABYTE = 1e6


@command()
@option("--json", "as_json", is_flag=True, found=True, help="Print JSON instead of a table.")
def formats(as_json: bool) -> None:
    """List the image formats that this installation reads and writes, the versions of its libraries, and the model.

    Each format is tried out, because builds of OpenCV and Pillow differ.

    \b
    cropper formats
    cropper formats --json | jq '.formats[] | select(.writes) | .name'
    """
    import json

    from cropper import installation
    from cropper.imaging.opencv import libraries_muted

    with libraries_muted():
        known, versions, model = installation.formats(), installation.versions(), installation.model()
    if as_json:
        put_line(json.dumps({"formats": [asdict(one) for one in known], "versions": versions, "model": asdict(model)}, indent=2))
    else:
        put_line(table(known, versions, model))


def table(formats: tuple[Format, ...], versions: dict[str, str], model: Model) -> str:
    """Format the same as text."""
    answers = {True: "yes", False: "no", None: "?"}
    lines = [f"{'format':8}{'read':6}{'write':7}{'quality':10}extensions"]
    for one in formats:
        without = ("palette" if one.name == "GIF" else "lossless") if one.writes else "-"
        quality = one.quality if one.quality is not None else without
        lines.append(f"{one.name:8}{answers[one.reads]:6}{answers[one.writes]:7}{quality!s:10}{' '.join(one.extensions)}")
    missing = [one for one in formats if one.needs]
    if missing:
        lines += ["", f"{', '.join(one.name for one in missing)}: {missing[0].needs}"]
    width = max(map(len, (*versions, *model.metadata))) + 2
    lines += ["", *(f"{name:{width}}{version}" for name, version in versions.items())]
    lines += ["", f"{'model':{width}}{model.file}", f"{'size':{width}}{model.bytes / MEGABYTE:.1f} MB"]
    lines += [f"{'sha256':{width}}{model.sha256}", *(f"{name:{width}}{value}" for name, value in model.metadata.items())]
    return "\n".join(lines)
