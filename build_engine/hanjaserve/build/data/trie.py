"""The dictionary's words as a double array; see hanjaserve.build.model.lexicon for how it is walked."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trie:
    """A double array.

    Attributes:
        code: int32 [65536], code of each character, 0 for one that no word has.
        base, check: int32 [cells].
        word: int32 [cells], number of the word that ends in a cell, from 1; 0 for none.
    """

    code: Ints
    base: Ints
    check: Ints
    word: Ints


def build_trie(words: list[str]) -> Trie:
    """Packs words (word id = position + 1) into a double array.

    States are placed level by level in order of falling fan-out, as the large ones are hard to fit and a
    single child goes into any free cell. The search for a state goes on where the last one of about
    its fan-out was placed: searching from the start took minutes and packed libhangul's words no tighter.
    """
    frequency = Counter(char for word in words for char in word)
    code_of = {char: n for n, (char, _) in enumerate(frequency.most_common(), 1)}
    children: list[dict[int, int]] = [{}]
    terminal = [0]
    for number, word in enumerate(words, 1):
        node = 0
        for char in word:
            step = children[node].get(code_of[char])
            if step is None:
                step = len(children)
                children.append({})
                terminal.append(0)
                children[node][code_of[char]] = step
            node = step
        terminal[node] = number
    return _pack(children, terminal, code_of)


def _pack(children: list[dict[int, int]], terminal: list[int], code_of: dict[str, int]) -> Trie:
    width = len(code_of) + 1
    # The search looks at blocks of up to 1,024 offsets; a small dictionary needs room for one.
    capacity = 2 * len(children) + 4 * width + 2048
    used = np.zeros(capacity, bool)
    used[:2] = True
    base = np.zeros(capacity, np.int32)
    check = np.full(capacity, -1, np.int32)
    word = np.zeros(capacity, np.int32)
    state_of = {0: 1}
    # A node is placed by its parent, so parents go first; within a level, large fan-out first.
    level, low = [0], 2
    resume: dict[int, int] = {}
    while level:
        below: list[int] = []
        for node in sorted(level, key=lambda n: -len(children[n])):
            state = state_of[node]
            word[state] = terminal[node]
            if not children[node]:
                continue
            codes = np.fromiter(children[node], np.int64)
            while used[low]:
                low += 1
            start = max(low - int(codes.min()), 1)
            # An only child takes the first free cell; the common case, and no search.
            only = len(codes) == 1 and start + int(codes[0]) == low
            fan_out = len(codes).bit_length()
            offset = start if only else _first_fit(used, codes, max(start, resume.get(fan_out, 0)))
            if not only:
                resume[fan_out] = offset
            base[state] = offset
            for code, child in children[node].items():
                cell = offset + code
                used[cell] = True
                check[cell] = state
                state_of[child] = cell
                below.append(child)
        level = below
    size = int(np.flatnonzero(used)[-1]) + width + 1
    table = np.zeros(0x10000, np.int32)
    for char, code in code_of.items():
        table[ord(char)] = code
    return Trie(code=table, base=base[:size], check=check[:size], word=word[:size])


def _first_fit(used: NDArray[np.bool_], codes: NDArray[np.int64], start: int) -> int:
    block = 64 if len(codes) < 8 else 1024
    while True:
        offsets = np.arange(start, start + block)
        free = ~used[offsets[:, None] + codes[None, :]].any(axis=1)
        if free.any():
            return int(offsets[free.argmax()])
        start += block
