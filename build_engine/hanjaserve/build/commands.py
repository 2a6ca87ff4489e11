"""`hanjaserve build bundle | verify | parity | compile | check-engine`: arguments in, exit status out.

Why here and not with the other commands: a server installation has no torch; this module imports
it only inside the functions that need it, so that `hanjaserve --help` works everywhere.
"""

from __future__ import annotations

import argparse
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hanjaserve.build import engine_commands
from hanjaserve.server.errors import BuildError, HanjaserveError

if TYPE_CHECKING:
    from hanjaserve.build.parity import ParityReport
    from hanjaserve.build.readings import ReadingTable

EXIT_FAILED = 1
EXIT_USAGE = 2


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the sub-commands of `hanjaserve build`."""
    commands = parser.add_subparsers(dest="build_command", required=True, metavar="COMMAND")
    _add_bundle(commands.add_parser("bundle", help="make a bundle of a checkpoint"))
    _add_verify(commands.add_parser("verify", help="check a bundle against its checkpoint"))
    _add_parity(commands.add_parser("parity", help="report how far the artefacts agree"))
    engine_commands.add_compile(commands.add_parser("compile", help="build the TensorRT plan of a bundle"))
    engine_commands.add_check(
        commands.add_parser("check-engine", help="check without a GPU that TensorRT takes the graphs")
    )


def run_build(namespace: argparse.Namespace) -> int:
    """Runs a sub-command; an error is one line on stderr and status 2."""
    command = {
        "bundle": _run_bundle,
        "verify": _run_verify,
        "parity": _run_parity,
        "compile": engine_commands.run_compile,
        "check-engine": engine_commands.run_check,
    }
    try:
        return command[namespace.build_command](namespace)
    except HanjaserveError as error:
        print(f"hanjaserve build: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        print(
            f"hanjaserve build: {error.name} is not installed: pip install 'hanjaserve[build]'",
            file=sys.stderr,
        )
    return EXIT_USAGE


def read_sentences(path: Path, limit: int | None = None) -> tuple[str, ...]:
    """Sentences of a file: one per line, or a column of a TSV; .xz is unpacked.

    A TSV whose first line names a column `hangul` gives that column, any other its first. Empty
    lines are passed over.

    Raises:
        BuildError: the file cannot be read or has no sentence.
    """
    sentences: list[str] = []
    try:
        for sentence in _column(path):
            if limit is not None and len(sentences) >= limit:
                break
            sentences.append(sentence)
    except (OSError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise BuildError(f"cannot read the sentences {path}: {error}") from error
    if not sentences:
        raise BuildError(f"{path} has no sentences: give a file with one per line")
    return tuple(sentences)


def _column(path: Path) -> Iterator[str]:
    column = 0
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines):
            cells = line.rstrip("\r\n").split("\t")
            if number == 0 and "hangul" in cells:
                column = cells.index("hangul")
            elif column < len(cells) and cells[column].strip():
                yield cells[column]


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", required=True, help="folder or hub name of a token-classification model"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where to publish")
    parser.add_argument("--name", help="the bundle's name (default: the checkpoint's)")
    parser.add_argument(
        "--reading-mask",
        choices=("on", "off"),
        help="allow only labels that are read as the token (default: off for word-scheme "
        "checkpoints, which then give exactly what transformers gives; syllable checkpoints are "
        "always masked)",
    )
    parser.add_argument(
        "--readings", type=Path, metavar="FILE", help="Hangul TAB Hanja table for --reading-mask on"
    )
    parser.add_argument(
        "--sentences",
        type=Path,
        metavar="FILE",
        help="one per line, to verify and to calibrate with (default: the project's own few)",
    )
    parser.add_argument("--limit", type=int, help="use only the first N sentences")
    parser.add_argument(
        "--cpu-precision",
        choices=("fp32", "fp16", "int8"),
        default="fp16",
        help="weights of the OpenVINO model (default: %(default)s)",
    )
    parser.add_argument(
        "--cpu-runtime",
        choices=("onnxruntime", "openvino"),
        default="onnxruntime",
        help="what serves on a CPU (default: %(default)s)",
    )
    parser.add_argument("--replace", action="store_true", help="replace the bundle at --out")
    _add_threads(parser)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", required=True, type=Path, metavar="DIR")
    parser.add_argument("--checkpoint", required=True, help="what the bundle was made of")
    parser.add_argument("--sentences", type=Path, metavar="FILE", help="one per line")
    parser.add_argument("--limit", type=int, help="use only the first N sentences")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    _add_threads(parser)


def _add_parity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle", type=Path, metavar="DIR", help="(default: the bundle of this installation)"
    )
    parser.add_argument("--checkpoint", help="compare with this; without it, with the bundle's own FP32 ONNX")
    parser.add_argument(
        "--data", dest="sentences", type=Path, metavar="FILE", help="text, TSV, or either as .xz"
    )
    parser.add_argument("--limit", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    _add_threads(parser)


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")


def _run_bundle(namespace: argparse.Namespace) -> int:
    from hanjaserve.build.checkpoint import load_checkpoint
    from hanjaserve.build.publish import BundlePlan, publish

    checkpoint = load_checkpoint(namespace.checkpoint)
    if checkpoint.scheme == "syllable" and namespace.reading_mask == "off":
        raise BuildError(
            "--reading-mask off: the mask of a syllable checkpoint is part of the model; leave the option out"
        )
    plan = BundlePlan(
        checkpoint=checkpoint,
        target=namespace.out,
        name=namespace.name or checkpoint.name,
        readings=_readings(namespace, checkpoint.scheme),
        cpu_runtime=namespace.cpu_runtime,
        cpu_precision=namespace.cpu_precision,
        sentences=_sentences(namespace),
        replace=namespace.replace,
        threads=namespace.threads,
    )
    report = publish(plan)
    print(report.table())
    print(f"published {namespace.out}")
    return 0


def _run_verify(namespace: argparse.Namespace) -> int:
    report = _report(namespace, namespace.bundle)
    report.require()
    return 0


def _run_parity(namespace: argparse.Namespace) -> int:
    path = namespace.bundle
    if path is None:
        from hanjaserve.models import default_bundle_path

        path = default_bundle_path()
    report = _report(namespace, path)
    return 0 if all(artefact.passed for artefact in report.artefacts) else EXIT_FAILED


def _report(namespace: argparse.Namespace, bundle: Path) -> ParityReport:
    from hanjaserve.build.checkpoint import load_checkpoint
    from hanjaserve.build.verify import verify_bundle

    checkpoint = load_checkpoint(namespace.checkpoint) if namespace.checkpoint else None
    sentences = _sentences(namespace)
    report = verify_bundle(bundle, sentences, checkpoint, threads=namespace.threads)
    print(report.table())
    if namespace.json is not None:
        namespace.json.write_text(report.to_json() + "\n", encoding="utf-8")
    return report


def _sentences(namespace: argparse.Namespace) -> tuple[str, ...]:
    if namespace.limit is not None and namespace.limit < 1:
        raise BuildError(f"--limit is {namespace.limit}, but at least 1 sentence is needed")
    if namespace.sentences is not None:
        return read_sentences(namespace.sentences, namespace.limit)
    from hanjaserve.build.reference import REFERENCE_SENTENCES

    return REFERENCE_SENTENCES[: namespace.limit]


def _readings(namespace: argparse.Namespace, scheme: str) -> ReadingTable | None:
    if scheme == "syllable" or namespace.reading_mask != "on":
        return None
    from hanjaserve.build.readings import ReadingTable

    if namespace.readings is not None:
        return ReadingTable.load(namespace.readings)
    return ReadingTable.from_package()
