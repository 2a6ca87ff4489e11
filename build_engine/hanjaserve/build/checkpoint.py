"""Opens a Hugging Face token-classification checkpoint of either label scheme.

What: a local folder or a hub name becomes a `Checkpoint`: the model (FP32, eager attention, no
dropout), its labels, its tokenizer file and what the manifest must say about its input.
Why eager attention: it exports to plain MatMul and Softmax; SDPA adds IsNaN and Where guards.
Not: it neither trains nor changes a checkpoint, and never runs code that a checkpoint brings
along.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hanjaserve.server.errors import BuildError

if TYPE_CHECKING:
    from torch import nn

Scheme = Literal["syllable", "word"]

SYLLABLE_MODEL_TYPE = "hanjaserve-syllable"
_SYLLABLE_MAX_TOKENS = 512
"""Its positions are relative, so the model sets no limit; attention costs the square of it."""
WORD_KEEP = "[UNK]"
"""The name that label 0 of a word-scheme checkpoint must have: the token stays as it is."""

_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert"})
_HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.tsv", "LICENSE*", "licences/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint ready to be exported.

    Attributes:
        name: the folder's or the hub repository's own name.
        path: the local folder; of a hub name, the downloaded snapshot.
        scheme: "syllable" or "word".
        model: the model in evaluation mode.
        labels: one string per label; label 0 keeps the input ("" or "[UNK]").
        pad_id: the token that fills a short row.
        max_tokens: longest window, special tokens included.
        styles: name -> style token; empty in the word scheme.
        offset_positions: positions start at pad_id + 1 (RoBERTa) rather than at 0 (BERT).
    """

    name: str
    path: Path
    scheme: Scheme
    model: nn.Module
    labels: tuple[str, ...]
    pad_id: int
    max_tokens: int
    styles: Mapping[str, int]
    offset_positions: bool = False


def load_checkpoint(source: str) -> Checkpoint:
    """Loads a checkpoint from a local folder or the hub.

    Args:
        source: a folder, or a hub name such as "someone/roberta-small-hangul-2-hanja".

    Raises:
        BuildError: it cannot be had, a file is missing, or its labels break the scheme.
    """
    path = _local_folder(source)
    config = _read_config(path)
    name = Path(source).name if Path(source).is_dir() else source.rsplit("/", 1)[-1]
    if config.get("model_type") == SYLLABLE_MODEL_TYPE:
        return _load_syllable(name, path)
    return _load_word(name, path)


def write_tokenizer(checkpoint: Checkpoint, target: Path) -> None:
    """Writes the checkpoint's fast tokenizer as `tokenizer.json`.

    The checkpoint's own file is copied byte for byte; it is made where there is only a vocabulary.

    Raises:
        BuildError: the checkpoint has no tokenizer that can be written so.
    """
    own = checkpoint.path / "tokenizer.json"
    if own.is_file():
        target.write_bytes(own.read_bytes())
        return
    from transformers import AutoTokenizer

    try:
        AutoTokenizer.from_pretrained(checkpoint.path).backend_tokenizer.save(str(target))
    except (AttributeError, OSError, ValueError) as error:
        raise BuildError(
            f"{checkpoint.path} has no tokenizer.json, and none can be made of its vocabulary: {error}"
        ) from error


def _load_syllable(name: str, path: Path) -> Checkpoint:
    # The class is taken from this project, never from the checkpoint: no remote code.
    from hanjaserve.build.model import HanjaTokenClassifier

    for required in ("labels.txt", "readings.tsv"):
        if not (path / required).is_file():
            raise BuildError(
                f"{path} has no {required}: a syllable checkpoint is the folder that "
                "`hanjaserve build train` writes; take it whole"
            )
    model = _from_pretrained(HanjaTokenClassifier, path)
    labels = tuple((path / "labels.txt").read_text(encoding="utf-8").split("\n"))
    labels = labels[:-1] if labels[-1] == "" else labels
    if labels[0] != "" or any(len(label) != 1 for label in labels[1:]):
        raise BuildError(
            f"{path / 'labels.txt'}: label 0 must be empty (it keeps the syllable) and every other "
            "label one Hanja"
        )
    config = model.config
    return Checkpoint(
        name=name,
        path=path,
        scheme="syllable",
        model=model.eval(),
        labels=labels,
        pad_id=0,
        max_tokens=_SYLLABLE_MAX_TOKENS,
        styles=dict(config.styles),
    )


def _load_word(name: str, path: Path) -> Checkpoint:
    from transformers import AutoModelForTokenClassification

    model = _from_pretrained(AutoModelForTokenClassification, path)
    config = model.config
    labels = tuple(str(config.id2label[i]) for i in range(config.num_labels))
    if labels[0] != WORD_KEEP:
        raise BuildError(
            f"label 0 of {path} is {labels[0]!r}, but must be {WORD_KEEP!r}, the label that keeps "
            "a token: set id2label in config.json as the model was trained (a checkpoint saved "
            "without label names has LABEL_0)"
        )
    if len(labels) > 0x7FFF:
        raise BuildError(f"{path} has {len(labels)} labels, more than the 32,767 that 15 bits hold")
    pad_id = config.pad_token_id
    if pad_id is None:
        raise BuildError(f"{path / 'config.json'} has no pad_token_id: add the tokenizer's")
    return Checkpoint(
        name=name,
        path=path,
        scheme="word",
        model=model.eval(),
        labels=labels,
        pad_id=int(pad_id),
        max_tokens=_longest_window(path, config),
        styles={},
        offset_positions=config.model_type in _OFFSET_POSITIONS,
    )


def _longest_window(path: Path, config: Any) -> int:
    """The tokens that fit: RoBERTa spends pad_token_id + 1 positions on its padding offset."""
    limit = int(config.max_position_embeddings)
    if config.model_type in _OFFSET_POSITIONS:
        limit -= int(config.pad_token_id) + 1
    settings = path / "tokenizer_config.json"
    if settings.is_file():
        stated = json.loads(settings.read_text(encoding="utf-8")).get("model_max_length")
        limit = min(limit, int(stated)) if stated else limit
    # Rows are padded to a multiple of 8, and the padded row must have positions too.
    return limit - limit % 8


def _from_pretrained(loader: Any, path: Path) -> Any:
    import torch

    try:
        return loader.from_pretrained(
            path, attn_implementation="eager", dtype=torch.float32, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise BuildError(f"cannot load the checkpoint {path}: {first_line}") from error


def _read_config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BuildError(
            f"{path} has no config.json: a checkpoint is a folder with config.json and model.safetensors"
        ) from None
    except (OSError, ValueError) as error:
        raise BuildError(f"cannot read {file}: {error}") from error
    if not isinstance(config, dict):
        raise BuildError(f"{file} is not a JSON object")
    return config


def _local_folder(source: str) -> Path:
    path = Path(source)
    if path.is_dir():
        return path
    # A path that is not there must not turn into a download of something else.
    if path.is_absolute() or source.startswith(".") or source.count("/") > 1:
        raise BuildError(f"no checkpoint at {source}: the folder does not exist")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise BuildError(
            f"{source!r} is neither a folder here nor a model that the hub gives out: {error}"
        ) from error
