"""The partial-label loss: minus the log of the summed probability of what a label allows.

"One of these three Hanja, but not Hangul" is a label like any other (Jin and Ghahramani, "Learning with
Multiple Labels", 2002). An ambiguous word is one label as a whole: its spellings with their weights, a
spelling's probability being the product over its syllables; the loss is the cross-entropy. The log of a
weighted sum would let a model credit the spelling that it prefers already: the few exact labels decided
then, and 수도 became 水道, which has more compounds, wherever 首都 was meant.
"""

import torch
from torch import Tensor

from hanjaserve.build.data.batches import Batch

NONE = -1e9
UNUSED_SLOT = -5000.0


def loss_of(logits: Tensor, batch: Batch) -> Tensor:
    """Mean loss of a labelled syllable.

    Args:
        logits: float [b, t, slots] of `batch.tokens`.
        batch: the labels.
    """
    log_p = torch.log_softmax(logits, dim=-1)
    # A position with KEEP as its only candidate teaches nothing and would only dilute the mean.
    taught = (batch.masks != 0) & (logits[..., 1] > UNUSED_SLOT)
    syllables = _syllable_losses(log_p[taught], batch.masks[taught])
    words = _word_losses(log_p, batch)
    in_words = (batch.word_slots[:, 0] >= 0).sum()
    return (syllables.sum() + words.sum()) / (taught.sum() + in_words).clamp(min=1)


def _syllable_losses(log_p: Tensor, masks: Tensor) -> Tensor:
    """Float [n, slots], int64 [n] -> float [n]."""
    bits = (masks[:, None] >> torch.arange(log_p.shape[-1], device=masks.device)) & 1
    return -torch.logsumexp(log_p.masked_fill(bits == 0, NONE), dim=-1)


def _word_losses(log_p: Tensor, batch: Batch) -> Tensor:
    """Float [words]."""
    length, width = log_p.shape[1:]
    slots = batch.word_slots
    place = torch.arange(slots.shape[-1], device=slots.device)
    at = (batch.word_row * length + batch.word_place)[:, None, None] + place
    index = torch.where(slots >= 0, at * width + slots, torch.zeros_like(slots))
    of_syllables = torch.where(slots >= 0, log_p.flatten()[index], torch.zeros((), device=slots.device))
    return -(batch.word_weights * of_syllables.sum(-1)).sum(-1)
