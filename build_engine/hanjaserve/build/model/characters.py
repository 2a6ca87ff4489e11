"""Embeddings of characters: each its own, and that of its final consonant.

Whether 수도 is a noun or an ending hangs on the consonant under the syllable before it (할 수도 있다),
whichever of a hundred syllables that is. The sum is a constant of the graph and costs nothing in service.
"""

import torch
from torch import Tensor, nn

FINALS = 28
"""A syllable is 가 + 28 * n + final, and final 0 is none (Unicode 3.12)."""
FIRST, LAST = 0xAC00, 0xD7A3


class Characters(nn.Module):
    """A table of embeddings.

    The finals begin at 0: a model that was trained without goes on from where it was.

    Args:
        rows: of the table; several characters may share one.
        width: of an embedding.
    """

    final: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))
        self.finals = nn.Parameter(torch.zeros(FINALS, width))
        self.register_buffer("final", torch.zeros(rows, dtype=torch.int32))

    def forward(self, row: Tensor) -> Tensor:
        """Rows int [b, t] -> float [b, t, width]."""
        table = self.weight + nn.functional.embedding(self.final, self.finals)
        return nn.functional.embedding(row, table)

    @torch.no_grad()
    def fold(self) -> None:
        """Put the finals into the characters' own embeddings; the sums stay what they are."""
        self.weight.add_(nn.functional.embedding(self.final, self.finals))
        self.finals.zero_()

    @torch.no_grad()
    def set_finals(self, row_of: Tensor) -> None:
        """Learn which row is which syllable's.

        Args:
            row_of: int [65536], the row of every code point; the row that all rare syllables share gets none.
        """
        self.final.zero_()
        syllables = torch.arange(FIRST, LAST + 1)
        rows = row_of[FIRST : LAST + 1].long()
        alone = torch.bincount(rows, minlength=len(self.final))[rows] == 1
        self.final[rows[alone]] = ((syllables - FIRST) % FINALS)[alone].to(torch.int32)
