"""What a batch takes: fixed cost, cost per token, cost per pair of tokens (attention)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A runner as arithmetic.

    Attributes:
        batch_s: Seconds that any batch takes.
        token_s: Seconds per token, padding included.
        pair_s: Seconds per pair of tokens of a row.
        hand_over_s: Seconds between two batches unless the second one is at hand when the first ends.
    """

    batch_s: float
    token_s: float
    pair_s: float = 0.0
    hand_over_s: float = 0.0

    def seconds(self, rows: int, length: int) -> float:
        """How long `rows` rows take that are padded to `length` tokens."""
        return self.batch_s + rows * length * (self.token_s + length * self.pair_s)
