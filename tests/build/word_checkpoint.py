"""Makes word-scheme checkpoints for the tests: shaped like the reference, weights from a seed.

A random classifier over thousands of labels has near ties everywhere, and a near tie is decided
by the last bit. So the classifier is built: some tokens get two labels each, whose rows point
along the token's embedding, and the context, which the random encoder mixes in, decides between
the two. Outputs are varied, depend on context, and have wide margins.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import RobertaConfig, RobertaForTokenClassification

SPECIAL_TOKENS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
SMALL_LABELS = ("[UNK]", "首都", "水道", "意思", "醫師", "會議", "法院", "三", "者", "정하", "定하")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    hidden_size: int = 64
    intermediate_size: int = 128
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    max_position_embeddings: int = 514
    keep_bias: float = 12.0
    """Logit of [UNK]; the higher, the fewer tokens are converted."""


def save_small(folder: Path, sentences: Sequence[str], shape: Shape = Shape()) -> Path:
    """A checkpoint with a vocabulary of its own, every syllable and some words of `sentences`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(sentences)
    tokenizer.save(str(folder / "tokenizer.json"))
    _save_tokenizer_settings(folder)
    return _save_model(folder, shape, tokenizer.get_vocab_size(), SMALL_LABELS)


def save_like_reference(folder: Path, seed: Path, shape: Shape) -> Path:
    """A checkpoint with the reference's own tokenizer and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(seed / name, folder / name)
    config = json.loads((seed / "config.json").read_text(encoding="utf-8"))
    labels = [config["id2label"][str(number)] for number in range(len(config["id2label"]))]
    return _save_model(folder, shape, config["vocab_size"], labels)


def _tokenizer(sentences: Sequence[str]) -> Tokenizer:
    characters = sorted({char for sentence in sentences for char in sentence if not char.isspace()})
    words = sorted({word for sentence in sentences for word in sentence.split() if len(word) < 4})
    pieces = [*characters, *(f"##{char}" for char in characters), "수도", "##수도", "의사", *words]
    vocabulary = {piece: n for n, piece in enumerate(dict.fromkeys([*SPECIAL_TOKENS, *pieces]))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer


def _save_tokenizer_settings(folder: Path) -> None:
    names = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")
    settings = dict(zip(names, SPECIAL_TOKENS, strict=True))
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512}  # type: ignore[dict-item]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _save_model(folder: Path, shape: Shape, vocab_size: int, labels: Sequence[str]) -> Path:
    config = RobertaConfig(
        vocab_size=vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.num_hidden_layers,
        num_attention_heads=shape.num_attention_heads,
        max_position_embeddings=shape.max_position_embeddings,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    random = torch.Generator().manual_seed(20)
    torch.manual_seed(20)
    model = RobertaForTokenClassification(config).eval()
    with torch.no_grad():
        embeddings = model.roberta.embeddings.word_embeddings.weight
        embeddings.normal_(0.0, 1.0, generator=random)
        for name, weight in model.roberta.encoder.named_parameters():
            if name.endswith("dense.weight") or (".self." in name and name.endswith("weight")):
                weight.normal_(0.0, 0.7 * weight.shape[1] ** -0.5, generator=random)
        _point_labels_at_tokens(model.classifier, embeddings, random)
        model.classifier.bias[0] = shape.keep_bias
    model.save_pretrained(folder)
    return folder


def _point_labels_at_tokens(
    classifier: torch.nn.Linear, embeddings: torch.Tensor, random: torch.Generator
) -> None:
    labels, width = classifier.weight.shape
    tokens = torch.randperm(embeddings.shape[0], generator=random)[: max(40, embeddings.shape[0] // 4)]
    # A little noise: two labels of the same one token would tie for ever.
    classifier.weight.normal_(0.0, 0.1, generator=random)
    for _ in range(2):
        chosen = torch.randint(1, labels, (len(tokens),), generator=random)
        classifier.weight.index_add_(0, chosen, embeddings[tokens])
    classifier.weight.mul_(40 / width)
    classifier.bias.zero_()
