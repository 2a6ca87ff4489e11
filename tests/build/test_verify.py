from __future__ import annotations

import argparse
import json
import lzma
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hanjaserve.build.checkpoint import Checkpoint
from hanjaserve.build.commands import add_build_arguments, read_sentences, run_build
from hanjaserve.build.parity import ArtefactReport
from hanjaserve.build.reference import REFERENCE_SENTENCES, TorchReference
from hanjaserve.build.sessions import Run
from hanjaserve.build.verify import Expected, compare, converter_of, expect, verify_bundle
from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec import make_codec
from hanjaserve.server.errors import BuildError


@pytest.fixture(scope="module")
def bundle(small_bundle: Path) -> Bundle:
    return Bundle.open(small_bundle)


@pytest.fixture(scope="module")
def expected(bundle: Bundle, small: Checkpoint) -> Expected:
    reference = TorchReference(small).run
    return expect(bundle, make_codec(bundle), REFERENCE_SENTENCES, reference)


def against(bundle: Bundle, expected: Expected, run: Run) -> ArtefactReport:
    convert = converter_of(bundle, make_codec(bundle))
    return compare("artefact", "fp32", run, expected, convert=convert)


def test_every_artefact_agrees(small: Checkpoint, small_bundle: Path) -> None:
    report = verify_bundle(small_bundle, REFERENCE_SENTENCES, small, threads=1)
    names = [artefact.artefact for artefact in report.artefacts]
    assert names == ["onnx fp32", "onnx fp16", "openvino fp16"]
    assert all(artefact.passed for artefact in report.artefacts)
    assert report.artefacts[0].sentences == len(REFERENCE_SENTENCES)
    assert report.artefacts[0].units > 300


def test_the_reference_agrees_with_itself(bundle: Bundle, expected: Expected, small: Checkpoint) -> None:
    reference = TorchReference(small)
    report = against(bundle, expected, lambda tokens: reference.run(tokens).candidates)
    assert (report.differing, report.first_difference) == (0, None)
    assert report.largest_score_error < 1e-4


def test_the_first_sentence_beyond_tolerance_is_shown(
    bundle: Bundle, expected: Expected, small: Checkpoint
) -> None:
    reference = TorchReference(small)
    target = expected.windows[3][0].tokens

    def wrong(tokens: np.ndarray) -> np.ndarray:
        candidates = reference.run(tokens).candidates
        for number, row in enumerate(tokens):
            if (row[: len(target)] == target).all():
                candidates[number, 1, 0] = 1 << 16 | 60_000
        return candidates

    report = against(bundle, expected, wrong)
    assert report.differing == 1 and not report.passed
    assert report.first_difference is not None
    assert report.first_difference.sentence == REFERENCE_SENTENCES[3]
    assert report.first_difference.got != report.first_difference.expected
    assert report.first_difference.margin == pytest.approx(expected.margins[3][0][1])


def test_empty_sentences_are_fine(small: Checkpoint, small_bundle: Path) -> None:
    report = verify_bundle(small_bundle, ["", "수도", ""], small, threads=1)
    assert report.artefacts[0].sentences == 3


def test_another_checkpoint_is_refused(small: Checkpoint, small_bundle: Path) -> None:
    other = replace(small, labels=(*small.labels, "別"))
    with pytest.raises(BuildError, match="was not made of the checkpoint"):
        verify_bundle(small_bundle, REFERENCE_SENTENCES, other, threads=1)


def test_sentences_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("하나\n\n둘\n셋\n", encoding="utf-8")
    assert read_sentences(tmp_path / "a.txt") == ("하나", "둘", "셋")
    assert read_sentences(tmp_path / "a.txt", 2) == ("하나", "둘")
    with lzma.open(tmp_path / "a.tsv.xz", "wt", encoding="utf-8") as file:
        file.write("book\thangul\tmixed\n가\t수도\t首都\n나\t의사\t醫師\n")
    assert read_sentences(tmp_path / "a.tsv.xz") == ("수도", "의사")
    (tmp_path / "pairs.tsv").write_text("수도\t首都\n", encoding="utf-8")
    assert read_sentences(tmp_path / "pairs.tsv") == ("수도",)


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_build_arguments(parser)
    return run_build(parser.parse_args(arguments))


def test_commands(
    small_folder: Path, small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, checkpoint = ("--bundle", str(small_bundle)), ("--checkpoint", str(small_folder))
    assert command("verify", *bundle, *checkpoint, "--limit", "3") == 0
    assert "parity with pytorch" in capsys.readouterr().out
    output = tmp_path / "report.json"
    assert command("parity", *bundle, "--json", str(output)) == 0
    assert json.loads(output.read_text(encoding="utf-8"))["reference"] == "onnx fp32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bundle", "--checkpoint", "./nothing", "--out", "x"], "the folder does not exist"),
        (["parity", "--bundle", "nothing"], "nothing"),
        (["parity", "--bundle", "{bundle}", "--data", "nothing"], "cannot read the sentences"),
        (["parity", "--bundle", "{bundle}", "--limit", "0"], "--limit is 0"),
    ],
)
def test_an_error_is_one_line(
    arguments: Sequence[str],
    message: str,
    small_bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [a.format(bundle=small_bundle) for a in arguments]
    assert command(*filled) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
