"""The ``cropper`` command: parse, call, print. No pixels here.

Each command has a file of its own, which is imported when the command is called. A command imports numpy, OpenCV and the model
only when it runs, so that ``--help`` is fast.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import click
from click.core import ParameterSource

from cropper._version import __version__
from cropper.cli import config
from cropper.cli.caller import Caller
from cropper.cli.exit_codes import INTERRUPTED, SOME_FAILED, WRONG_USAGE
from cropper.cli.groups import Group
from cropper.cli.paths import LocalPath
from cropper.cli.terminal import end_log, forgiven, open_closed_streams, say, say_unusable, usable_cores
from cropper.errors import MORE_MEMORY, CropperError, PhotoError, says_no_memory
from cropper.process.stop import end_as_interrupted, errors_as_interrupt

# After how many new objects Python looks for garbage. Importing makes tens of thousands of them and no garbage: Python's own 700
# cost one photo a tenth of its time.
_OBJECTS = 20_000
# The commands in the order in which --help lists them, and what it says of each. The module of the same name has the command.
_COMMANDS = {
    "batch": "Make thumbnails of a folder of photos.",
    "watch": "Make thumbnails of photos as they come.",
    "review": "Write a page to check the boxes and correct them.",
    "tune": "Learn from your corrections how to crop.",
    "boxes": "Print the boxes of photos, for scripts.",
    "crop": "Make the thumbnail of one photo.",
    "show": "Draw where people look in a photo, and the crop.",
    "sheet": "Draw a contact sheet of a batch: originals, boxes, crops.",
    "evaluate": "Score maps and crops against where people looked.",
    "bench": "Measure what a folder costs, stage by stage.",
    "ledger": "Merge the ledgers of several runs.",
    "formats": "List what this installation reads and writes.",
}


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=LocalPath(exists=True, dir_okay=False),
    envvar="CROPPER_CONFIG",
    help="Read the values of options from this TOML file.  "
    f"[default: {config.NAME}, or [tool.cropper] in {config.PYPROJECT}, if this folder has one; such a file may say what to make "
    "and how to crop, not more]",
)
@click.option("--no-config", is_flag=True, help="Read no file of options but the one that --config names, not even your own.")
@click.version_option(__version__, prog_name="cropper", help="Print the version and exit.")
@click.pass_context
def cli(ctx: click.Context, config_file: Path | None, no_config: bool) -> None:
    """Find the part of every photo that people look at first, and cut the thumbnail there.

    \b
    cropper batch photos/ thumbnails/         make thumbnails of a folder
    cropper watch photos/ thumbnails/         make them as photos come
    cropper review thumbnails/                check and correct them on a page
    cropper tune thumbnails/                  learn from your corrections
    cropper boxes photos/                     print boxes, for scripts
    cropper crop photo.jpg > thumbnail.jpg    crop one photo
    cropper show photo.jpg                    draw where people look
    cropper sheet thumbnails/                 draw a contact sheet
    cropper evaluate boxes gaze_set/          measure how good the boxes are
    cropper bench photos/                     measure what a folder costs
    cropper ledger merge thumbnails/          join the tables of several runs
    cropper formats                           list the formats that work here

    You can set an option of a command in three ways. The command line (--size 400x400) wins over an environment variable
    (CROPPER_BATCH_SIZE=400x400), and the variable wins over the file cropper.toml (size = "400x400" under [batch]). What you want
    everywhere goes into a file of the same form, ~/.config/cropper/config.toml.
    """
    if no_config and ctx.get_parameter_source("config_file") is not ParameterSource.COMMANDLINE:
        config_file = None
    if ctx.obj is not None and ctx.obj.is_program:
        from cropper.process.memory import keep_memory

        keep_memory(usable_cores())
    config.load(ctx, config_file, is_alone=no_config)


def _loaded(name: str) -> click.Command:
    """Import the command of a name from the module of that name, and name its environment variables."""
    command: click.Command = getattr(import_module(f"cropper.cli.commands.{name}"), name)
    config.name_variables(command, f"CROPPER_{name}")
    return command


for _name, _short_help in _COMMANDS.items():
    cli.add_later(_name, _short_help, partial(_loaded, _name))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 all done, 1 some photos failed, 2 wrong usage, 130 interrupted.

    Without arguments, it reads those of the process, and a batch may fork. A program that passes arguments is never forked.
    """
    is_program = arguments is None
    if is_program:
        # OpenBLAS comes with numpy and OpenCV, and starts a thread for each core, with memory of its own, that nothing uses.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
        open_closed_streams()
    end_as_interrupted()
    try:
        with errors_as_interrupt():
            code = cli.main(args=arguments, prog_name="cropper", standalone_mode=False, obj=Caller(is_program)) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        with forgiven():
            click.echo(error.format_message(), err=True)
        code = WRONG_USAGE
    except click.UsageError as error:
        from cropper.cli.mistakes import in_words

        if isinstance(error, click.BadParameter):
            config.name_source(error)
        command = error.ctx.command_path if error.ctx else "cropper"
        say(f"{in_words(error)} Try '{command} --help'.")
        code = WRONG_USAGE
    except click.ClickException as error:
        say(error.format_message())
        code = WRONG_USAGE
    except PhotoError as error:
        say(str(error))
        code = SOME_FAILED
    except CropperError as error:
        say(str(error))
        code = WRONG_USAGE
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        code = INTERRUPTED
    except (OSError, MemoryError, RuntimeError, ImportError, SystemError) as error:
        if says_no_memory(error):
            say(f"there is not enough memory for this run; {MORE_MEMORY}")
        elif isinstance(error, OSError):
            say_unusable(error)
        else:
            raise
        code = WRONG_USAGE
    finally:
        end_log()
        if is_program:
            gc.freeze()  # the end frees all: Python need not look through it for garbage first
    sys.exit(code)
