"""What a syllable may become: KEEP and the Hanja read so, each in a slot, with their embeddings."""

import torch
from torch import Tensor, nn

from hanjaserve.build.model.lexicon import SLOTS


class Candidates(nn.Module):
    """Labels and embeddings of a reading's slots; slot 0 is KEEP.

    One Hanja has one embedding, however many readings it has. `fold` writes the embeddings out per
    reading, so that an engine copies one row per syllable instead of gathering 32.

    Args:
        num_readings: rows of the table; row 0 is for everything that is no Hangul syllable.
        num_hanja: labels.
        width: of an embedding.
    """

    label: Tensor
    folded: Tensor | None

    def __init__(self, num_readings: int, num_hanja: int, width: int) -> None:
        super().__init__()
        self.width = width
        # -1 fills up.
        self.register_buffer("label", torch.full((num_readings, SLOTS), -1, dtype=torch.int32))
        self.hanja = nn.Embedding(num_hanja, width)
        self.bias = nn.Embedding(num_hanja, 1)
        self.register_buffer("folded", None, persistent=False)

    def fold(self) -> None:
        """Write embeddings and biases out per reading, for an engine."""
        self.folded = self._table().detach()

    def _table(self) -> Tensor:
        """Float [readings, slots * (width + 1)]: embedding and bias of every slot."""
        label = self.label.clamp(min=0)
        both = torch.cat([self.hanja(label), self.bias(label)], dim=-1)
        return both.flatten(1)

    def forward(self, reading: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Slots of each syllable.

        Args:
            reading: int [b, t].

        Returns:
            label int32 [b, t, slots] (-1 where the slot is unused), embedding
            float [b, t, slots, width], bias float [b, t, slots].
        """
        table = self._table() if self.folded is None else self.folded
        both = nn.functional.embedding(reading, table).view(*reading.shape, SLOTS, self.width + 1)
        return self.label[reading], both[..., :-1], both[..., -1]
