from itertools import product

import numpy as np

from hanjaserve.build.data.trie import Trie, build_trie

ROOT = 1


def find(trie: Trie, word: str) -> int:
    state = ROOT
    for char in word:
        code = int(trie.code[ord(char)])
        cell = int(trie.base[state]) + code
        if code == 0 or trie.check[cell] != state:
            return 0
        state = cell
    return int(trie.word[state])


def test_every_word_is_found_and_nothing_else() -> None:
    alphabet = "가나다라마바사"
    every = ["".join(chars) for size in (1, 2, 3, 4) for chars in product(alphabet, repeat=size)]
    chosen = np.random.default_rng(5).random(len(every)) < 0.2
    words = [word for word, taken in zip(every, chosen, strict=True) if taken]
    trie = build_trie(words)
    numbers = {word: number for number, word in enumerate(words, 1)}
    assert [find(trie, word) for word in every] == [numbers.get(word, 0) for word in every]


def test_characters_that_no_word_has_end_the_walk() -> None:
    assert find(build_trie(["수도"]), "수돗") == 0
