"""The dictionary inside the graph: a double-array trie walked from every position at once.

Only gather, arithmetic and compare are used, so the walk runs the same in PyTorch, ONNX Runtime,
OpenVINO and TensorRT, and code points stay the only input of the engine. The double array follows
Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure" (1989):
the child of state s by code c is base[s] + c, and it exists when check[base[s] + c] == s.

A spelling is one int32: per syllable the slot of its Hanja (see `candidates`), as digits to the base SLOTS.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

ROOT = 1
"""The state in which every walk begins; from state 0 none goes on."""
SLOTS = 48
"""Candidates of a syllable, KEEP included."""
MAX_WORD = 4
"""Syllables of the longest dictionary word. SLOTS to this power is below 2^24: exporters and engines divide
integers in FP32, and beyond that a spelling loses its last digits."""
MAX_SPELLINGS = 8
"""A terminal state holds `first spelling * MAX_SPELLINGS + number of spellings`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covering:
    """The dictionary words over every syllable, and how they are spelt.

    Attributes:
        combo: int64 [b, t, w], length of the word and place of the syllable in it, as one number.
        place: int32 [b, t, w], place of the syllable in the word.
        length: int32 [b, t, w], syllables of the word.
        row: int32 [b, t, w, r], number of the spelling, 0 where there is none.
        slots: int32 [b, t, w, r, n], its slot for the n-th syllable, 0 where there is none.
        known: bool [b, t, w, r], whether there is one.
    """

    combo: Tensor
    place: Tensor
    length: Tensor
    row: Tensor
    slots: Tensor
    known: Tensor

    def slot_here(self) -> Tensor:
        """Slot of the syllable itself in each spelling: int32 [b, t, w, r]."""
        place = self.place[..., None, None].expand_as(self.slots[..., :1])
        return torch.gather(self.slots, -1, place.long()).squeeze(-1)


def unpack(spelling: Tensor) -> Tensor:
    """The slots of packed spellings: int32 [...] -> int32 [..., n]; division, as TensorRT has no shifts."""
    powers = [SLOTS**n for n in range(MAX_WORD)]
    rest = torch.div(
        spelling[..., None],
        torch.tensor(powers, dtype=torch.int32, device=spelling.device),
        rounding_mode="trunc",
    )
    return rest - torch.div(rest, SLOTS, rounding_mode="trunc") * SLOTS


class Lexicon(nn.Module):
    """For every syllable, the longest dictionary words that cover it and how they are spelt.

    Args:
        trie_size: cells of the double array.
        num_spellings: rows of the table of spellings; row 0 is "none".
        covering: how many words a syllable is told about.
        spellings: how many spellings of a word are offered.
    """

    code: Tensor
    base: Tensor
    check: Tensor
    word: Tensor
    spelling: Tensor
    priority: Tensor
    place: Tensor
    length: Tensor

    def __init__(self, trie_size: int, num_spellings: int, covering: int, spellings: int) -> None:
        super().__init__()
        self.covering = covering
        self.spellings = spellings
        combos = [(n, i) for n in range(2, MAX_WORD + 1) for i in range(n)]
        self.num_combos = len(combos)
        self.register_buffer("code", torch.zeros(0x10000, dtype=torch.int32))
        self.register_buffer("base", torch.zeros(trie_size, dtype=torch.int32))
        self.register_buffer("check", torch.full((trie_size,), -1, dtype=torch.int32))
        self.register_buffer("word", torch.zeros(trie_size, dtype=torch.int32))
        self.register_buffer("spelling", torch.zeros(num_spellings, dtype=torch.int32))
        # Longer words first; among equals the one that starts later.
        priority = torch.tensor([n * 16 - i for n, i in combos], dtype=torch.float32)
        self.register_buffer("priority", priority)
        self.register_buffer("place", torch.tensor([i for _, i in combos], dtype=torch.int32))
        self.register_buffer("length", torch.tensor([n for n, _ in combos], dtype=torch.int32))

    def words_at(self, tokens: Tensor) -> list[Tensor]:
        """Words that start at each position, by length.

        Args:
            tokens: int [batch, tokens] code points.

        Returns:
            MAX_WORD tensors int32 [batch, tokens], for length 1, 2, ...: what the state says of its
            spellings; 0 where there is no word.
        """
        code = self.code[tokens]
        beyond = nn.functional.pad(code, (0, MAX_WORD))
        state = torch.full_like(code, ROOT)
        found = []
        for k in range(MAX_WORD):
            ahead = beyond[:, k : k + code.shape[1]]
            step = self.base[state] + ahead
            alive = (self.check[step] == state) & (ahead > 0)
            state = torch.where(alive, step, torch.zeros_like(step))
            found.append(self.word[state])
        return found

    def forward(self, tokens: Tensor) -> Covering:
        """The best `covering` dictionary words over each syllable.

        Args:
            tokens: int [batch, tokens] code points.
        """
        words = self.words_at(tokens)
        columns = []
        for n in range(2, MAX_WORD + 1):
            start = words[n - 1]
            columns += [nn.functional.pad(start, (i, 0))[:, : start.shape[1]] for i in range(n)]
        table = torch.stack(columns, dim=-1)
        rank = torch.where(table > 0, self.priority, torch.zeros_like(self.priority))
        combo = torch.topk(rank, self.covering, dim=-1).indices
        word = torch.gather(table, -1, combo)
        first = torch.div(word, MAX_SPELLINGS, rounding_mode="trunc")
        count = word - first * MAX_SPELLINGS
        nth = torch.arange(self.spellings, dtype=torch.int32, device=tokens.device)
        known = nth < count[..., None]
        row = torch.where(known, first[..., None] + nth, torch.zeros_like(first[..., None] + nth))
        return Covering(
            combo=combo,
            place=self.place[combo],
            length=self.length[combo],
            row=row,
            slots=unpack(self.spelling[row]),
            known=known,
        )
