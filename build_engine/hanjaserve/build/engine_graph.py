"""Wraps a checkpoint into the one graph that every engine runs.

What: `tokens` int32 [batch, tokens] goes in, `candidates` int32 [batch, tokens, k] comes out,
best first, each `label << 16 | round(probability * 65535)`. Attention mask, reading mask, softmax
and top-k are inside.
Why: 4 bytes per candidate leave the device instead of thousands of logits per token (4,925 in
FP16 are 9.85 KB), and every runner gives the same answer because none of them post-processes
anything.
Not: no tokenizer and no stitching; those are the codec's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hanjaserve.build.readings import ReadingTable, is_hangul
from hanjaserve.server.errors import BuildError
from hanjaserve.server.shapes import TOP_K

if TYPE_CHECKING:
    from hanjaserve.build.checkpoint import Checkpoint

SCORE_ONE = 65535
MASKED = -1e4
"""Additive mask. exp(-1e4) is 0 in FP32, and FP16, which ends at 65,504, holds the number."""


class EngineGraph(nn.Module):
    """Scores -> packed candidates, whatever the scheme.

    Args:
        scorer: gives logits float [b, t, c] and label ids int [b, t, c] of the allowed candidates.
        top_k: candidates per token.
    """

    def __init__(self, scorer: nn.Module, top_k: int = TOP_K) -> None:
        super().__init__()
        self.scorer = scorer
        self.top_k = top_k

    def forward(self, tokens: Tensor) -> Tensor:
        """Int32 [batch, tokens] -> int32 [batch, tokens, k]."""
        logits, labels = self.scorer(tokens)
        probabilities = torch.softmax(logits.float(), dim=-1)
        best, slot = torch.topk(probabilities, self.top_k, dim=-1)
        chosen = slot if labels is None else torch.gather(labels.long(), -1, slot)
        score = torch.round(best * SCORE_ONE).to(torch.int32)
        # A slot that is masked or too improbable to have a score says nothing: it becomes KEEP with
        # score 0, the same in every runtime. By arithmetic, not by torch.where: OpenVINO runs that
        # one, and integer operations fused with it, in FP32, which ends at 24 bits.
        scored = torch.clamp(score, max=1)
        return chosen.to(torch.int32) * scored * 65536 + score


class SyllableScorer(nn.Module):
    """The syllable model's own candidate logits; its reading mask is part of the model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Int32 [b, t] -> logits float [b, t, c], label ids [b, t, c]."""
        logits, labels = self.model.candidate_logits(tokens)  # type: ignore[operator]
        return logits, labels


class WordScorer(nn.Module):
    """Any transformers token classifier, every label allowed: exactly what the reference computes.

    Args:
        model: a transformers token classifier.
        pad_id: the token that fills a short row; rows are padded at their end only.
        offset_positions: the model counts positions from pad_id + 1, as RoBERTa does.
    """

    def __init__(self, model: nn.Module, pad_id: int, offset_positions: bool) -> None:
        super().__init__()
        self.model = model
        self.pad_id = pad_id
        self.offset_positions = offset_positions

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Int32 [b, t] -> logits float [b, t, labels] and None: slot and label id are the same."""
        return self.logits(tokens), None

    def logits(self, tokens: Tensor) -> Tensor:
        """All logits, with the attention mask made from the padding."""
        # A four-dimensional mask is taken as it is; a flat one becomes the smallest FP32.
        present = tokens != self.pad_id
        mask = (~present)[:, None, None, :].to(torch.float32) * MASKED
        positions = torch.arange(tokens.shape[1], device=tokens.device)[None, :]
        if self.offset_positions:
            # RoBERTa itself counts them by a cumulative sum over integers, which TensorRT lacks.
            positions = torch.where(present, positions + 1, 0) + self.pad_id
        outputs: Any = self.model(input_ids=tokens.long(), attention_mask=mask, position_ids=positions)
        logits: Tensor = outputs.logits
        return logits


class MaskedWordScorer(nn.Module):
    """A word scorer that offers a token only the labels that can be read as its surface."""

    candidates: Tensor

    def __init__(self, scorer: WordScorer, candidates: Tensor) -> None:
        super().__init__()
        self.scorer = scorer
        self.register_buffer("candidates", candidates, persistent=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Int32 [b, t] -> logits float [b, t, c] (-1e4 where not allowed), label ids [b, t, c]."""
        # An embedding look-up exports to Gather, indexing by a matrix to GatherND.
        allowed = torch.nn.functional.embedding(tokens.long(), self.candidates).long()
        logits = torch.gather(self.scorer.logits(tokens), -1, allowed)
        # Slot 0 is KEEP; a KEEP in any later slot is an empty one.
        slots = torch.arange(allowed.shape[-1])
        return torch.where((allowed == 0) & (slots > 0), MASKED, logits), allowed


def build_graph(checkpoint: Checkpoint, readings: ReadingTable | None = None) -> EngineGraph:
    """The engine graph of a checkpoint.

    Args:
        checkpoint: either scheme.
        readings: turns the reading mask of a word-scheme checkpoint on; None leaves it off. The
            syllable scheme carries its own and takes none.
    """
    if checkpoint.scheme == "syllable":
        return EngineGraph(SyllableScorer(checkpoint.model)).eval()
    scorer = WordScorer(checkpoint.model, checkpoint.pad_id, checkpoint.offset_positions)
    if readings is None:
        return EngineGraph(scorer).eval()
    candidates = word_candidates(token_surfaces(checkpoint), checkpoint.labels, readings)
    return EngineGraph(MaskedWordScorer(scorer, candidates)).eval()


def word_candidates(
    surfaces: list[str], labels: tuple[str, ...], readings: ReadingTable, top_k: int = TOP_K
) -> Tensor:
    """Labels that each token may take: int32 [vocab, c], KEEP first, unused slots KEEP again.

    Example:
        >>> readings = ReadingTable.from_pairs([("首", "수"), ("水", "수")])
        >>> word_candidates(["수", "강"], ("[UNK]", "首", "水"), readings).tolist()
        [[0, 1, 2, 0], [0, 0, 0, 0]]
    """
    by_sound: dict[str, list[int]] = {}
    for label, text in enumerate(labels[1:], start=1):
        for sound in _sounds(text, readings):
            by_sound.setdefault(sound, []).append(label)
    width = max(top_k, 1 + max((len(by_sound.get(text, ())) for text in surfaces), default=0))
    table = torch.zeros(len(surfaces), width, dtype=torch.int32)
    for token, surface in enumerate(surfaces):
        allowed = by_sound.get(surface, [])
        table[token, 1 : 1 + len(allowed)] = torch.tensor(allowed, dtype=torch.int32)
    return table


def token_surfaces(checkpoint: Checkpoint) -> list[str]:
    """What every token id stands for in the text, `##` of a continuing WordPiece stripped."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint.path)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    size = checkpoint.model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
    if max(vocabulary.values()) >= size:
        raise BuildError(
            f"the tokenizer of {checkpoint.path} has {max(vocabulary.values()) + 1} tokens but the "
            f"model embeds {size}: take both from the same checkpoint"
        )
    surfaces = [""] * size
    special = set(tokenizer.all_special_ids)
    for token, number in vocabulary.items():
        surfaces[number] = "" if number in special else token.removeprefix("##")
    return surfaces


def _sounds(label: str, readings: ReadingTable) -> set[str]:
    """Every surface that `label` can be read as."""
    sounds = {""}
    for char in label:
        heard = {char} if is_hangul(char) else readings.of.get(char, frozenset())
        sounds = {sound + syllable for sound in sounds for syllable in heard}
    return sounds
