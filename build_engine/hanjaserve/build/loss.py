"""The partial-label loss: minus the log of the summed probability of what a label allows.

"One of these three Hanja, but not Hangul" is a label like any other (Jin and Ghahramani, "Learning with
Multiple Labels", 2002). An ambiguous word is one label as a whole: the sum goes over its spellings, each
weighted by how common it is, and a spelling's probability is the product over its syllables. So the
syllables of 의사 learn to agree, which labels of single syllables would not teach.
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
    return -torch.logsumexp(of_syllables.sum(-1) + batch.word_log_weights, dim=-1)
