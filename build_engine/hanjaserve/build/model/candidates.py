"""What a syllable may become: KEEP and the Hanja read so, each in a slot, with their embeddings."""

import torch
from torch import Tensor, nn

from hanjaserve.build.model.lexicon import SLOTS


class Candidates(nn.Module):
    """Labels and embeddings of a reading's slots; slot 0 is KEEP.

    One Hanja has one embedding, however many readings it has. They are gathered for every reading first,
    not for every syllable: that is less work, and an engine folds it into a constant.

    Args:
        num_readings: rows of the table; row 0 is for everything that is no Hangul syllable.
        num_hanja: labels.
        width: of an embedding.
    """

    label: Tensor

    def __init__(self, num_readings: int, num_hanja: int, width: int) -> None:
        super().__init__()
        self.width = width
        # -1 fills up.
        self.register_buffer("label", torch.full((num_readings, SLOTS), -1, dtype=torch.int32))
        self.hanja = nn.Embedding(num_hanja, width)
        self.bias = nn.Embedding(num_hanja, 1)

    def _table(self) -> Tensor:
        """Float [readings, slots * (width + 1)]: embedding and bias of every slot."""
        label = self.label.clamp(min=0)
        both = torch.cat([self.hanja(label), self.bias(label)], dim=-1)
        return both.flatten(1)

    def forward(self, reading: Tensor) -> tuple[Tensor, Tensor]:
        """Slots of each syllable.

        Args:
            reading: int [b, t].

        Returns:
            label int32 [b, t, slots] (-1 where the slot is unused), embedding
            float [b, t, slots, width + 1]; its last component is the slot's bias, so that a query that
            ends in 1 gets the score by one product.
        """
        both = nn.functional.embedding(reading, self._table()).view(*reading.shape, SLOTS, self.width + 1)
        return self.label[reading], both
