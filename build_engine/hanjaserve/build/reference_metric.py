"""The metric of the reference's model card: token accuracy and seqeval F1 over WordPiece tokens.

A token's label is what its span becomes, or `[UNK]` where it stays. The labels carry no B- or I-
prefix, so seqeval takes the first character of a label for its tag and the rest for its type: a run of
labels of one type counts as one entity, and all labels of one character have the same type. That is how
the card's figures were made, so that is how it is computed here; it flatters a model that confuses
single Hanja.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

KEEP = "[UNK]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMetric:
    """Token accuracy, F1, precision and recall as the card has them."""

    accuracy: float
    f1: float
    precision: float
    recall: float


def token_labels(tokenizer: Tokenizer, hangul: str, converted: str) -> list[str]:
    """The label of every token of `hangul`, given a conversion of the same length.

    Raises:
        ValueError: The lengths differ.
    """
    if len(hangul) != len(converted):
        raise ValueError(f"{len(hangul)} syllables became {len(converted)}: labels need equal lengths")
    spans = tokenizer.encode(hangul, add_special_tokens=False).offsets
    return [converted[s:e] if converted[s:e] != hangul[s:e] else KEEP for s, e in spans]


def measure(
    tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], converted: Sequence[str]
) -> ReferenceMetric:
    """Compare conversions with gold.

    Args:
        tokenizer: the reference's.
        pairs: (hangul, gold).
        converted: one conversion per pair.
    """
    return compare(
        [token_labels(tokenizer, hangul, mixed) for hangul, mixed in pairs],
        [token_labels(tokenizer, h, c) for (h, _), c in zip(pairs, converted, strict=True)],
    )


def compare(gold: Sequence[list[str]], found: Sequence[list[str]]) -> ReferenceMetric:
    """The metric of labels; one list per sentence, the lengths agree."""
    from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

    with warnings.catch_warnings():
        # It doubts labels without a prefix, rightly; see above.
        warnings.filterwarnings("ignore", message=".*seems not to be NE tag")
        return ReferenceMetric(
            accuracy=float(accuracy_score(gold, found)),
            f1=float(f1_score(gold, found, zero_division=0)),
            precision=float(precision_score(gold, found, zero_division=0)),
            recall=float(recall_score(gold, found, zero_division=0)),
        )
