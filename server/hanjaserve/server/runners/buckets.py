"""The padded shapes that a GPU runner computes: one captured CUDA graph each.

A batch is computed in the smallest bucket that holds it. Lengths are few, so that they can all be
captured; for each the rows halve from what the token budget allows down to 1, so that one sentence
alone is not padded to a full batch.

    lengths 32, 64 at 128 tokens:  4x32 2x32 1x32  2x64 1x64

Lengths are grouped into bands of at most a factor of 4, an optimization profile each: TensorRT plans the
memory of a profile for its largest rows times its largest tokens, and one profile over all lengths
would be sized for 512 rows of 512 tokens. Pure arithmetic: no GPU, no arrays.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hanjaserve.server.errors import ConfigError, RuntimeFault
from hanjaserve.server.shapes import BUCKET, padded_length

LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Tokens per row, by default; docs/decisions/044-buckets.md has the padding that they cost."""
MAX_BATCH_TOKENS = 8192
BAND_FACTOR = 4

Shape = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Bucket:
    """A padded shape.

    Attributes:
        tokens: Of every row.
        rows: In the batch.
    """

    tokens: int
    rows: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.tokens}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What an optimization profile of TensorRT is told, as (rows, tokens)."""

    least: Shape
    best: Shape
    most: Shape


@dataclass(frozen=True, kw_only=True)
class BucketTable:
    """All buckets of a runner.

    Attributes:
        lengths: Ascending multiples of 8, the last one at least the longest window.
        max_batch_tokens: The largest bucket of every length stays within.

    Raises:
        ConfigError: The lengths are none, or the budget holds no row of the longest.

    Example:
        >>> table = BucketTable(lengths=(32, 64), max_batch_tokens=128)
        >>> [str(bucket) for bucket in table.buckets]
        ['4x32', '2x32', '1x32', '2x64', '1x64']
        >>> str(table.fit(3, 20))
        '4x32'
    """

    lengths: tuple[int, ...]
    max_batch_tokens: int = MAX_BATCH_TOKENS

    def __post_init__(self) -> None:
        given = self.lengths
        if not given or list(given) != sorted(set(given)) or any(n < 1 or n % BUCKET for n in given):
            raise ConfigError(
                f"bucket lengths are {list(given)}: use ascending multiples of {BUCKET}, such as 32, 64, 128"
            )
        if self.max_batch_tokens < given[-1]:
            raise ConfigError(
                f"max_batch_tokens is {self.max_batch_tokens}, too few for one row of the longest bucket: "
                f"use at least {given[-1]}"
            )

    @classmethod
    def for_model(
        cls, max_tokens: int, max_batch_tokens: int = MAX_BATCH_TOKENS, lengths: Sequence[int] = LENGTHS
    ) -> "BucketTable":
        """The lengths up to the longest window of a model, which is always among them."""
        longest = padded_length(max_tokens)
        shorter = [length for length in lengths if length < longest]
        return cls(lengths=(*shorter, longest), max_batch_tokens=max_batch_tokens)

    @cached_property
    def buckets(self) -> tuple[Bucket, ...]:
        """Every bucket, by length, and the most rows first."""
        return tuple(
            Bucket(rows=rows, tokens=length)
            for length in self.lengths
            for rows in reversed(self._rows[length])
        )

    @cached_property
    def bands(self) -> tuple[tuple[int, ...], ...]:
        """The lengths, grouped for the optimization profiles, short ones first."""
        bands: list[list[int]] = []
        for length in reversed(self.lengths):
            if bands and BAND_FACTOR * length > bands[0][-1]:
                bands[0].insert(0, length)
            else:
                bands.insert(0, [length])
        return tuple(map(tuple, bands))

    @cached_property
    def profiles(self) -> tuple[Profile, ...]:
        """One profile per band; it is tuned for the full bucket of its middle length."""
        profiles = []
        for band in self.bands:
            middle = band[len(band) // 2]
            profiles.append(
                Profile(
                    least=(1, band[0]),
                    best=(self.most_rows(middle), middle),
                    most=(self.most_rows(band[0]), band[-1]),
                )
            )
        return tuple(profiles)

    def band_of(self, bucket: Bucket) -> int:
        """Which band, and hence profile, a bucket belongs to."""
        return next(number for number, band in enumerate(self.bands) if bucket.tokens in band)

    def most_rows(self, length: int) -> int:
        """Rows of the largest bucket of a length of this table."""
        return self._rows[length][-1]

    def length_of(self, tokens: int) -> int:
        """The shortest length that holds a row.

        Raises:
            RuntimeFault: The row is longer than the longest bucket.
        """
        if tokens > self.lengths[-1]:
            raise RuntimeFault(
                f"a row of {tokens} tokens does not fit the longest bucket of {self.lengths[-1]}: "
                "compile the plan with longer buckets"
            )
        return self.lengths[bisect_left(self.lengths, tokens)]

    def fit(self, rows: int, tokens: int) -> Bucket:
        """The smallest bucket that holds a batch of at most `most_rows` rows.

        Raises:
            RuntimeFault: A row is too long, or there are too many.
        """
        length = self.length_of(tokens)
        choices = self._rows[length]
        if not 0 < rows <= choices[-1]:
            raise RuntimeFault(f"{rows} rows of {tokens} tokens fit no bucket, at most {choices[-1]} rows do")
        return Bucket(rows=choices[bisect_left(choices, rows)], tokens=length)

    def split(self, rows: int, tokens: int) -> list[slice]:
        """Cut a batch of any number of rows into parts that fit a bucket."""
        most = self.most_rows(self.length_of(tokens))
        return [slice(start, min(start + most, rows)) for start in range(0, rows, most)]

    @cached_property
    def _rows(self) -> dict[int, list[int]]:
        """Length -> the rows of its buckets, ascending."""
        table = {}
        for length in self.lengths:
            rows = self.max_batch_tokens // length
            table[length] = sorted({rows >> halved for halved in range(rows.bit_length())})
        return table


def parse_lengths(text: str) -> tuple[int, ...]:
    """Read lengths as they stand in an option, such as "32,64,128".

    Raises:
        ConfigError: They are no numbers.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"bucket lengths are {text!r}: use numbers such as 32,64,128") from None
