"""How a command is told what to convert, and how: the flags that `convert` and `live` share."""

import argparse
from pathlib import Path

from hanjaserve.cli.errors import USAGE, CliError
from hanjaserve.client import CharacterSet, ConvertOptions, GlossaryEntry, InvalidRequest, Rendering


def add_option_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument(
        "--rendering",
        choices=[str(rendering) for rendering in Rendering],
        default=str(Rendering.HANJA),
        help="how words are written: 首都, 수도(首都), 首都(수도), ruby markup, or 수도; default hanja",
    )
    parser.add_argument(
        "--min-score", type=float, default=0.0, metavar="P", help="keep words scored lower, 0 to 1"
    )
    parser.add_argument("--style", default="", help="orthographic style; see `hanjaserve info`")
    parser.add_argument(
        "--characters",
        default=str(CharacterSet.ALL),
        metavar="SET",
        help="the Hanja that may be written: all, educational (the 1,800 of schools), or a file of them",
    )
    parser.add_argument(
        "--read-hanja", action="store_true", help="give Hanja in the text their reading, and render both"
    )
    parser.add_argument(
        "--glossary",
        metavar="FILE",
        help="your own words, one a line: Hangul TAB Hanja; without Hanja a word stays in Hangul",
    )
    parser.add_argument(
        "--any-reading",
        action="store_true",
        help="take words of the glossary whose Hanja are not known to be read so",
    )


def options_of(
    arguments: argparse.Namespace,
    *,
    alternatives: int = 0,
    with_spans: bool = False,
    with_kept: bool = False,
    first_only: bool = False,
) -> ConvertOptions:
    """The options that the flags ask for.

    Raises:
        CliError: A value is not allowed, or a file can't be read.
    """
    try:
        return ConvertOptions(
            rendering=arguments.rendering,
            min_score=arguments.min_score,
            max_alternatives=alternatives,
            first_occurrence_only=first_only,
            style=arguments.style,
            with_spans=with_spans,
            with_kept=with_kept,
            characters=_characters(arguments.characters),
            read_hanja=arguments.read_hanja,
            glossary=_glossary(arguments),
        )
    except InvalidRequest as error:
        raise CliError(error.message, USAGE) from error


def _characters(given: str) -> str:
    if given in set(CharacterSet):
        return given
    return "".join(_read(given).split())


def _glossary(arguments: argparse.Namespace) -> list[GlossaryEntry] | None:
    name = arguments.glossary
    if name is None:
        return None
    entries = []
    for number, line in enumerate(_read(name).splitlines(), start=1):
        if not line.strip():
            continue
        hangul, *rest = line.split("\t")
        if len(rest) > 1:
            raise CliError(f"{name}: line {number} has more than one TAB; write Hangul TAB Hanja", USAGE)
        hanja = rest[0] if rest and rest[0] else None
        any_reading = hanja is not None and arguments.any_reading
        entries.append(GlossaryEntry(hangul=hangul, hanja=hanja, allow_any_reading=any_reading))
    return entries


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CliError(f"cannot read {name}: {reason}", USAGE) from error
