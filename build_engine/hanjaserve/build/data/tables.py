"""The tables a syllable model is built from: characters, readings, labels and the dictionary trie.

Candidates of a syllable are the Hanja that the lexicon or the training text spells it with, the most
frequent first; the count decides which ones fit, so nothing is ranked by hand.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]


@dataclass(slots=True, kw_only=True)
class Tables:
    """Everything that turns text into numbers.

    Attributes:
        labels: Hanja by label id; label 0 is KEEP, the empty string.
        slots: For each Hangul syllable its candidates, Hanja to slot; slot 0 is KEEP.
        spellings: Dictionary words, hangul to its spellings, best first.
    """

    labels: list[str]
    slots: dict[str, dict[str, int]]
    spellings: dict[str, list[str]]
    char_id: Ints = field(repr=False)
    char_vocab_size: int


def build_tables(
    lexicon: Iterable[tuple[str, str]],
    counted: Counter[tuple[str, str]],
    words: Counter[tuple[str, str]],
    characters: Counter[str],
    *,
    max_candidates: int = 32,
    max_word: int = 6,
    max_spellings: int = 4,
) -> Tables:
    """Builds the tables.

    Args:
        lexicon: (hangul, hanja) entries, best first.
        counted: how often training text spells a syllable with a Hanja.
        words: how often training text spells a word so; reorders a word's spellings.
        characters: how often training text has a character.
        max_candidates: slots per syllable, KEEP included.
        max_word: longest dictionary word.
        max_spellings: spellings kept per word.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    spellings: dict[str, list[str]] = defaultdict(list)
    for hangul, hanja in lexicon:
        pairs.update((h, j) for h, j in zip(hangul, hanja, strict=True) if h != j)
        if 2 <= len(hangul) <= max_word and hanja not in spellings[hangul]:
            spellings[hangul].append(hanja)
    pairs.update(counted)
    ranked: dict[str, list[str]] = defaultdict(list)
    for (syllable, hanja), _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        if len(ranked[syllable]) < max_candidates - 1 and ord(hanja) < 0x10000:
            ranked[syllable].append(hanja)
    labels = ["", *sorted({hanja for found in ranked.values() for hanja in found})]
    slots = {s: {j: n for n, j in enumerate(found, 1)} for s, found in ranked.items()}
    kept = {}
    for hangul, options in spellings.items():
        fit = [j for j in options if _representable(hangul, j, slots)]
        fit.sort(key=lambda j: -words[hangul, j] if words[hangul, j] > 1 else 0)
        if fit:
            kept[hangul] = fit[:max_spellings]
    char_id, size = _character_ids(characters)
    return Tables(
        labels=labels, slots=slots, spellings=kept, char_id=char_id, char_vocab_size=size
    )


def _representable(hangul: str, hanja: str, slots: dict[str, dict[str, int]]) -> bool:
    return all(h == j or j in slots.get(h, {}) for h, j in zip(hangul, hanja, strict=True))


def _character_ids(characters: Counter[str], at_least: int = 5) -> tuple[Ints, int]:
    """0 padding, 1-7 styles, 8 unknown, 9 unknown syllable, 10 digit, 11 Latin, then by count."""
    ids = np.full(0x10000, 8, np.int32)
    ids[0xAC00:0xD7A4] = 9
    ids[:8] = np.arange(8)
    for first, last, kind in (("0", "9", 10), ("A", "Z", 11), ("a", "z", 11)):
        ids[ord(first) : ord(last) + 1] = kind
    size = 12
    for char, count in characters.most_common():
        if count < at_least:
            break
        if ord(char) < 0x10000 and ids[ord(char)] in (8, 9) and not "一" <= char <= "鿿":
            ids[ord(char)] = size
            size += 1
    return ids, size


@dataclass(frozen=True, slots=True, kw_only=True)
class Trie:
    """A double array; see hanjaserve.build.model.lexicon for how it is walked."""

    code: Ints
    base: Ints
    check: Ints
    word: Ints


def build_trie(words: list[str]) -> Trie:
    """Packs words (word id = position + 1) into a double array by first fit.

    States are placed in order of falling fan-out, as the large ones are hard to fit and a
    single child goes into any free cell.
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
            offset = start if only else _first_fit(used, codes, start)
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
