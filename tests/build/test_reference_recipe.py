"""The reference's recipe on a small encoder and verses of our own."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer
from word_checkpoint import save_small  # type: ignore[import-not-found]

from hanjaserve.build import reference_recipe
from hanjaserve.build.checkpoint import load_checkpoint
from hanjaserve.build.reference_metric import compare
from hanjaserve.build.reference_recipe import ReferenceConfig, label_table, train_reference
from hanjaserve.cli.main import main
from hanjaserve.server.errors import BuildError

PAIRS = [
    ("수도와 법원", "首都와 法院"),
    ("의사의 회의", "醫師의 會議"),
    ("그는 법원에 간다", "그는 法院에 간다"),
    ("회의는 수도에서", "會議는 首都에서"),
]
DEV = [("수도의 회의", "首都의 會議"), ("법원과 의사", "法院과 醫師")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = save_small(tmp_path_factory.mktemp("encoder"), [hangul for hangul, _ in PAIRS + DEV])
    return folder


def config(encoder: Path, epochs: float) -> ReferenceConfig:
    return ReferenceConfig(encoder=str(encoder), epochs=epochs, batch_size=2, learning_rate=5e-3)


def rows(card: Path) -> list[str]:
    """Of the table of results: those that begin with a number or with 'No log'."""
    lines = card.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("|") and line.split("|")[2].strip()[:1].isdigit()]


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train_reference(PAIRS * 8, PAIRS, config(encoder, 6), folder)
    return folder


def test_what_comes_out_is_a_word_checkpoint_that_learned_its_text(trained: Path) -> None:
    checkpoint = load_checkpoint(str(trained))
    assert checkpoint.scheme == "word"
    assert checkpoint.labels[0] == "[UNK]"
    assert "首都" in checkpoint.labels
    assert float(rows(trained / "README.md")[-1].split("|")[5]) == 1.0


def test_the_card_has_a_line_for_each_epoch(trained: Path) -> None:
    card = (trained / "README.md").read_text(encoding="utf-8")
    epochs = [float(row.split("|")[2]) for row in rows(trained / "README.md")]
    assert epochs == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    for name in ("Accuracy", "F1", "Precision", "Recall", "learning_rate: 0.005", "seed: 42"):
        assert name in card


def test_a_run_goes_on_from_its_last_epoch(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = reference_recipe._metrics

    def counted(labels: list[str], predicted: object) -> dict[str, float]:
        seen.append("an epoch")
        return original(labels, predicted)

    monkeypatch.setattr(reference_recipe, "_metrics", counted)
    train_reference(PAIRS, DEV, config(encoder, 2), tmp_path)
    assert len(seen) == 2
    train_reference(PAIRS, DEV, config(encoder, 3), tmp_path)
    assert len(seen) == 3
    assert len(rows(tmp_path / "README.md")) == 3


def test_labels_are_whole_spans_in_order_of_appearance(encoder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    labels = label_table([("수도 법원", "首都 法院"), ("수도", "水道"), ("그는", "그는")], tokenizer)
    assert labels[:2] == ["[UNK]", "首都"]
    assert labels[-1] == "水道"
    assert isinstance(tokenizer.backend_tokenizer, Tokenizer)


def test_runs_of_labels_with_the_same_rest_count_as_one_entity() -> None:
    found = compare([["首都", "[UNK]", "法"]], [["首都", "[UNK]", "[UNK]"]])
    assert found.accuracy == pytest.approx(2 / 3)
    assert 0 < found.f1 < 1


def test_an_encoder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"no encoder .*nowhere: give a local folder"):
        train_reference(PAIRS, DEV, config(tmp_path / "nowhere", 1), tmp_path / "out")


def test_flags_must_be_above_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-reference", "--epochs", "0"]) == 2
    assert "--epochs is 0.0: it must be above 0" in capsys.readouterr().err
