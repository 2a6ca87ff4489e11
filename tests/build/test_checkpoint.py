from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from word_checkpoint import SMALL_LABELS  # type: ignore[import-not-found]

from hanjaserve.build.checkpoint import Checkpoint, load_checkpoint, write_tokenizer
from hanjaserve.server.errors import BuildError


def copy_with(folder: Path, target: Path, **changes: object) -> Path:
    shutil.copytree(folder, target)
    file = target / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | changes
    file.write_text(json.dumps(config), encoding="utf-8")
    return target


def test_word_checkpoint(small: Checkpoint) -> None:
    assert small.scheme == "word"
    assert small.labels == SMALL_LABELS
    assert (small.pad_id, small.max_tokens, small.offset_positions) == (1, 512, True)
    assert not small.model.training


def test_max_tokens_leaves_room_for_padding(small_folder: Path, tmp_path: Path) -> None:
    folder = copy_with(small_folder, tmp_path / "c")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["model_max_length"] = 125
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert load_checkpoint(str(folder)).max_tokens == 120


def test_label_zero_must_keep(small_folder: Path, tmp_path: Path) -> None:
    labels = {str(n): f"LABEL_{n}" for n in range(len(SMALL_LABELS))}
    folder = copy_with(small_folder, tmp_path / "c", id2label=labels)
    with pytest.raises(BuildError, match=r"label 0 of .* is 'LABEL_0', but must be '\[UNK\]'"):
        load_checkpoint(str(folder))


@pytest.mark.parametrize("source", ["/nowhere/at/all", "./nowhere", "a/b/c"])
def test_a_missing_folder_is_not_asked_of_the_hub(source: str) -> None:
    with pytest.raises(BuildError, match="the folder does not exist"):
        load_checkpoint(source)


def test_missing_config(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"has no config\.json"):
        load_checkpoint(str(tmp_path))


def test_missing_weights(small_folder: Path, tmp_path: Path) -> None:
    folder = copy_with(small_folder, tmp_path / "c")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BuildError, match="cannot load the checkpoint"):
        load_checkpoint(str(folder))


def test_syllable_checkpoint_is_taken_whole(tmp_path: Path) -> None:
    content = json.dumps({"model_type": "hanjaserve-syllable"})
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(BuildError, match=r"has no labels\.txt"):
        load_checkpoint(str(tmp_path))


def test_tokenizer_is_copied_byte_for_byte(small: Checkpoint, small_folder: Path, tmp_path: Path) -> None:
    write_tokenizer(small, tmp_path / "tokenizer.json")
    copied = (tmp_path / "tokenizer.json").read_bytes()
    assert copied == (small_folder / "tokenizer.json").read_bytes()
