"""What a model is asked while it is trained."""

from pathlib import Path

import pytest
import torch
from syllable_model import tiny_model, tiny_tables  # type: ignore[import-not-found]

from hanjaserve.build.exam import CARD_FILE, Exam, Paper
from hanjaserve.build.model import HanjaTokenClassifier

TEXTS = ("수도", "의사와 수도", "법원", "")


@pytest.fixture
def model() -> HanjaTokenClassifier:
    return tiny_model(tiny_tables())


def converted(model: HanjaTokenClassifier, text: str) -> str:
    """By one sentence at a time, without padding."""
    labels = tiny_tables().labels
    with torch.no_grad():
        logits, found = model.eval()(torch.tensor([[1, *map(ord, text)]]))
    best = [row[slot] for row, slot in zip(found[0].tolist(), logits[0].argmax(-1).tolist(), strict=True)]
    return "".join(labels[label] or char for label, char in zip(best[1:], text, strict=True))


def exam_of(folder: Path, *pairs: tuple[str, str]) -> Exam:
    return Exam([Paper(name="dev", style=1, pairs=pairs)], tiny_tables().labels, folder)


def test_a_model_that_answers_as_the_paper_says_gets_full_marks(
    tmp_path: Path, model: HanjaTokenClassifier
) -> None:
    exam = exam_of(tmp_path, *((text, converted(model, text)) for text in TEXTS))
    exam.ask(model.train(), 10, 0.5, 1.25)
    (line,) = exam.lines()
    assert line["step"] == 10
    assert line["dev"] == dict.fromkeys(
        ("syllable_accuracy", "hanja_precision", "hanja_recall", "hanja_f1", "exact_sentences"), 1.0
    )
    assert model.training


def test_mistakes_are_counted(tmp_path: Path, model: HanjaTokenClassifier) -> None:
    text = "의사와 수도"
    right = converted(model, text)
    wrong = right[:-1] + ("都" if right[-1] != "都" else "圖")
    exam = exam_of(tmp_path, (text, wrong))
    exam.ask(model, 10, 0.5, 1.25)
    figures = exam.lines()[0]["dev"]
    assert figures["syllable_accuracy"] == 0.8
    assert figures["exact_sentences"] == 0.0


def test_lines_of_steps_that_a_kill_undid_are_replaced(tmp_path: Path, model: HanjaTokenClassifier) -> None:
    exam = exam_of(tmp_path, ("수도", "首都"))
    for step in (10, 20, 20, 30, 20):
        exam.ask(model, step, 0.0, 0.0)
    assert [line["step"] for line in exam.lines()] == [10, 20]


def test_the_card_has_a_line_for_each_time_and_how_it_was_trained(
    tmp_path: Path, model: HanjaTokenClassifier
) -> None:
    exam = exam_of(tmp_path, *((text, converted(model, text)) for text in TEXTS))
    exam.ask(model, 10, 0.51, 1.25)
    exam.ask(model, 20, 1.02, 0.5)
    exam.write_card("tiny", {"learning_rate": 0.003})
    card = (tmp_path / CARD_FILE).read_text("utf-8")
    assert card.startswith("---\nlanguage: ko\n")
    assert "- learning rate: 0.003\n" in card
    assert "| 10 | 0.51 | 1.2500 | 1.0000 | 1.0000 | 1.0000 | 1.0000 | 1.0000 |\n" in card
    assert card.count("\n| ") == 4
