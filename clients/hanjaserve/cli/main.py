"""The entry point of the `hanjaserve` command: picks the command and turns errors into exit codes.

Only the chosen command is imported, so that `hanjaserve --help` is instant and a client
installation needs neither the model nor torch. Exit codes are in `errors.py`.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from hanjaserve.cli.errors import BROKEN_PIPE, INTERRUPTED, USAGE, CliError
from hanjaserve.server.errors import HanjaserveError


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One sub-command: where its code is, and what the functions there are called."""

    help: str
    module: str
    add_arguments: str = "add_arguments"
    run: str = "run"
    # Where its run function is, when not in `module`: arguments should cost no heavy import.
    run_module: str = ""


def commands() -> dict[str, Command]:
    """The sub-commands in the order in which the help shows them."""
    return {
        "convert": Command(help="convert texts, standard input or a file", module="hanjaserve.cli.convert"),
        "bulk": Command(
            help="convert big files and folders, without a server", module="hanjaserve.cli.bulk.command"
        ),
        "live": Command(help="type in a terminal, and see it converted", module="hanjaserve.cli.live"),
        "web": Command(help="type in a browser, and see it converted", module="hanjaserve.cli.web"),
        "serve": Command(
            help="run the server",
            module="hanjaserve.server.config",
            run_module="hanjaserve.server.command",
        ),
        "doctor": Command(
            help="check what a server needs, and say what to fix; takes the flags of serve",
            module="hanjaserve.server.config",
            run_module="hanjaserve.server.doctor",
        ),
        "top": Command(help="watch a server at work", module="hanjaserve.cli.top"),
        "token": Command(help="make a token for a caller of a server", module="hanjaserve.cli.token"),
        "info": Command(help="tell what a server or a bundle is made of", module="hanjaserve.cli.info"),
        "evaluate": Command(help="measure the accuracy on sentence pairs", module="hanjaserve.cli.evaluate"),
        "build": Command(
            help="make and check model bundles",
            module="hanjaserve.build.commands",
            add_arguments="add_build_arguments",
            run="run_build",
        ),
        "train": Command(help="train a model", module="hanjaserve.build.train"),
        "train-reference": Command(
            help="fine-tune an encoder as the reference was", module="hanjaserve.build.reference_recipe"
        ),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    table = commands()
    name = next((argument for argument in arguments if not argument.startswith("-")), "")
    try:
        namespace = _parser(table, name).parse_args(arguments)
        command = table[namespace.command]
        run = _function(command.run_module or command.module, command.run)
        return int(run(namespace) or 0)
    except CliError as error:
        prefix = f"hanjaserve {name}" if name in table else "hanjaserve"
        print(f"{prefix}: {error}", file=sys.stderr)
        return error.exit_code
    except HanjaserveError as error:
        print(f"hanjaserve {name}: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads; without this the interpreter complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _parser(table: dict[str, Command], chosen: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hanjaserve",
        description="Convert Korean text in Hangul to Hanja: 대한민국의 수도 -> 大韓民國의 首都",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in table.items():
        subparser = subparsers.add_parser(name, help=command.help, description=command.help)
        if name == chosen:
            _function(command.module, command.add_arguments)(subparser)
    return parser


def _function(module: str, name: str) -> Callable[[object], int | None]:
    function: Callable[[object], int | None] = getattr(_import(module), name)
    return function


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not module.startswith("hanjaserve.build"):
            raise
        # Training needs packages that serving does not.
        raise CliError(f"{error.name} is not installed: pip install 'hanjaserve[build]'", USAGE) from error


class _Version(argparse.Action):
    """Looks the version up only when asked: reading the metadata takes milliseconds."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: object,
        values: object,
        option: object = None,
    ) -> None:
        from importlib.metadata import version

        print(f"hanjaserve {version('hanjaserve')}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
