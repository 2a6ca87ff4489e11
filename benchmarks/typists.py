"""How people type Korean: keys with their times, as splices at the end of a document.

An input method composes a syllable from its letters, so most keys replace the syllable before the
cursor: ㅅ, then 수. Times are random with a fixed seed: about seven keys per second in a burst, a pause at
the end of a word now and then and at the end of most sentences, and sometimes a mistake, which is deleted
and typed again.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from hanjaserve.client import Splice

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
FIRST, LAST = 0xAC00, 0xD7A3
VOWELS, FINALS = 21, 28
KEY_S, FASTEST_S = 0.14, 0.045
WORD_PAUSE, SENTENCE_PAUSE_S = 0.15, 2.0
MISTAKE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key.

    Attributes:
        after_s: Seconds since the one before.
        splice: What it does to the document.
    """

    after_s: float
    splice: Splice


def keys_of(text: str, chance: random.Random, thinking_s: float = 0.0) -> Iterator[Key]:
    """The keys of somebody who types a text into an empty document.

    Args:
        text: What is typed.
        chance: Decides about times and mistakes.
        thinking_s: How long the pauses at the end of a word are on average; 0 for the short ones of somebody
            who copies.
    """
    done = 0
    while done < len(text):
        if chance.random() < MISTAKE and done >= 2:
            count = chance.randint(1, 2)
            for end in range(done, done - count, -1):
                yield _key(chance, end - 1, end, "")
            done -= count
        char = text[done]
        steps = steps_of(char)
        yield _key(chance, done, done, steps[0], _pause(text, done, chance, thinking_s))
        for step in steps[1:]:
            yield _key(chance, done, done + 1, step)
        done += 1


def steps_of(char: str) -> list[str]:
    """What stands in the document while an input method composes a character.

    Example:
        >>> steps_of("한")
        ['ㅎ', '하', '한']
    """
    if not FIRST <= ord(char) <= LAST:
        return [char]
    initial, rest = divmod(ord(char) - FIRST, VOWELS * FINALS)
    open_syllable = chr(ord(char) - rest % FINALS)
    return list(dict.fromkeys([INITIALS[initial], open_syllable, char]))


def _pause(text: str, at: int, chance: random.Random, thinking_s: float) -> float:
    if at and text[at - 1] == "\n":
        return chance.uniform(0.5, 2 * SENTENCE_PAUSE_S)
    if at and text[at - 1] == " " and chance.random() < WORD_PAUSE:
        return chance.expovariate(1 / thinking_s) if thinking_s else chance.uniform(0.2, 1.0)
    return 0.0


def _key(chance: random.Random, start: int, end: int, text: str, pause_s: float = 0.0) -> Key:
    after_s = pause_s + max(FASTEST_S, chance.lognormvariate(0, 0.4) * KEY_S)
    return Key(after_s=after_s, splice=Splice(start=start, end=end, text=text))
