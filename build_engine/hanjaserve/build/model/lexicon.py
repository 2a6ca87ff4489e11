"""The dictionary inside the graph: a double-array trie walked from every position at once.

Only gather, add and compare are used, so the walk runs the same in PyTorch, ONNX Runtime, OpenVINO
and TensorRT, and code points stay the only input of the engine. The double array follows
Aoe, "An Efficient Digital Search Algorithm by Using a Double-Array Structure" (1989):
the child of state s by code c is base[s] + c, and it exists when check[base[s] + c] == s.
"""

import torch
from torch import Tensor, nn

DEAD, ROOT = 0, 1


class Lexicon(nn.Module):
    """For every syllable, the longest dictionary words that cover it and how they are spelt."""

    code: Tensor
    base: Tensor
    check: Tensor
    word: Tensor
    first: Tensor
    hanja: Tensor
    priority: Tensor
    offset: Tensor

    def __init__(
        self, trie_size: int, num_words: int, num_spellings: int, max_word: int, spellings: int
    ) -> None:
        super().__init__()
        self.max_word = max_word
        self.spellings = spellings
        combos = [(n, i) for n in range(2, max_word + 1) for i in range(n)]
        self.num_combos = len(combos)
        self.register_buffer("code", torch.zeros(0x10000, dtype=torch.int32))
        self.register_buffer("base", torch.zeros(trie_size, dtype=torch.int32))
        self.register_buffer("check", torch.full((trie_size,), -1, dtype=torch.int32))
        self.register_buffer("word", torch.zeros(trie_size, dtype=torch.int32))
        # Word w is spelt by rows first[w] .. first[w + 1] of `hanja`; word 0 is "no word".
        self.register_buffer("first", torch.zeros(num_words + 1, dtype=torch.int32))
        self.register_buffer("hanja", torch.zeros(num_spellings * max_word, dtype=torch.int32))
        # Longer words first; among equals the one that starts later.
        priority = torch.tensor([n * 16 - i for n, i in combos], dtype=torch.int32)
        self.register_buffer("priority", priority)
        offset = torch.tensor([i for _, i in combos], dtype=torch.int32)
        self.register_buffer("offset", offset)

    def words_at(self, tokens: Tensor) -> list[Tensor]:
        """Words that start at each position, by length.

        Args:
            tokens: int [batch, tokens] code points.

        Returns:
            max_word tensors int32 [batch, tokens]: word ids of length 1, 2, ...; 0 where none.
        """
        code = self.code[tokens]
        beyond = nn.functional.pad(code, (0, self.max_word))
        state = torch.full_like(code, ROOT)
        found = []
        for k in range(self.max_word):
            ahead = beyond[:, k : k + code.shape[1]]
            step = self.base[state] + ahead
            alive = (self.check[step] == state) & (ahead > 0)
            state = torch.where(alive, step, torch.zeros_like(step))
            found.append(self.word[state])
        return found

    def forward(self, tokens: Tensor, covering: int) -> tuple[Tensor, Tensor, Tensor]:
        """The `covering` best dictionary words over each syllable.

        Returns:
            combo int64 [b, t, w] (length and position in it; only meaningful where found),
            row int32 [b, t, w, r] (spelling rows; 0 where there is none),
            label int32 [b, t, w, r] (Hanja label of this syllable in that spelling, -1 where none).
        """
        words = self.words_at(tokens)
        columns = []
        for n in range(2, self.max_word + 1):
            start = words[n - 1]
            columns += [nn.functional.pad(start, (i, 0))[:, : start.shape[1]] for i in range(n)]
        table = torch.stack(columns, dim=-1)
        rank = torch.where(table > 0, self.priority, torch.zeros_like(self.priority))
        combo = torch.topk(rank.to(torch.float32), covering, dim=-1).indices
        word = torch.gather(table, -1, combo)
        start_row = self.first[word]
        rows = torch.arange(self.spellings, dtype=torch.int32, device=tokens.device)
        row = start_row[..., None] + rows
        valid = (row < self.first[word + 1][..., None]) & (word > 0)[..., None]
        row = torch.where(valid, row, torch.zeros_like(row))
        label = self.hanja[row * self.max_word + self.offset[combo][..., None]]
        return combo, row, torch.where(valid, label, torch.full_like(label, -1))
