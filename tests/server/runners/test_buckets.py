import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanjaserve.server.errors import ConfigError, RuntimeFault
from hanjaserve.server.runners.buckets import BAND_FACTOR, LENGTHS, BucketTable, parse_lengths

TABLE = BucketTable(lengths=(32, 64), max_batch_tokens=128)

tables = st.builds(
    BucketTable.for_model,
    st.integers(8, 600),
    st.integers(608, 20_000),
    st.lists(st.integers(1, 90).map(lambda n: 8 * n), unique=True).map(sorted),
)


def test_buckets_halve_their_rows() -> None:
    assert [str(bucket) for bucket in TABLE.buckets] == ["4x32", "2x32", "1x32", "2x64", "1x64"]


def test_rows_that_are_no_power_of_two_keep_the_whole_budget() -> None:
    table = BucketTable(lengths=(48,), max_batch_tokens=8192)
    assert [bucket.rows for bucket in table.buckets] == [170, 85, 42, 21, 10, 5, 2, 1]


@pytest.mark.parametrize(
    ("rows", "tokens", "bucket"),
    [(1, 1, "1x32"), (1, 32, "1x32"), (1, 33, "1x64"), (3, 8, "4x32"), (4, 32, "4x32"), (2, 64, "2x64")],
)
def test_smallest_bucket_that_holds_the_batch(rows: int, tokens: int, bucket: str) -> None:
    assert str(TABLE.fit(rows, tokens)) == bucket


@pytest.mark.parametrize("rows", [0, 3])
def test_batch_that_fits_no_bucket(rows: int) -> None:
    with pytest.raises(RuntimeFault, match=f"{rows} rows of 64 tokens .* at most 2 rows"):
        TABLE.fit(rows, 64)


def test_row_that_fits_no_bucket() -> None:
    with pytest.raises(RuntimeFault, match=r"a row of 65 tokens .* 64"):
        TABLE.fit(1, 65)


@pytest.mark.parametrize("lengths", [(), (64, 32), (32, 32), (20,), (0, 32)])
def test_lengths_must_be_ascending_multiples_of_eight(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="ascending multiples of 8"):
        BucketTable(lengths=lengths)


def test_budget_must_hold_one_row() -> None:
    with pytest.raises(ConfigError, match=r"max_batch_tokens is 48.* at least 64"):
        BucketTable(lengths=(64,), max_batch_tokens=48)


def test_longest_window_is_always_a_bucket() -> None:
    assert BucketTable.for_model(100, lengths=(32, 64, 128)).lengths == (32, 64, 104)
    assert BucketTable.for_model(512).lengths == LENGTHS


def test_default_profiles_stay_within_a_few_times_the_budget() -> None:
    table = BucketTable.for_model(512)
    assert table.bands == ((16, 32), (48, 64, 96, 128), (192, 256, 384, 512))
    for profile in table.profiles:
        assert profile.most[0] * profile.most[1] < BAND_FACTOR * table.max_batch_tokens


@given(tables, st.integers(1, 700), st.integers(1, 600))
def test_every_batch_is_covered_by_buckets(table: BucketTable, rows: int, tokens: int) -> None:
    tokens = min(tokens, table.lengths[-1])
    parts = table.split(rows, tokens)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(rows))
    for part in parts:
        bucket = table.fit(part.stop - part.start, tokens)
        assert bucket in table.buckets
        assert bucket.rows >= part.stop - part.start and bucket.tokens >= tokens
        assert bucket.rows * bucket.tokens <= table.max_batch_tokens


@given(tables)
def test_every_bucket_lies_in_the_profile_of_its_band(table: BucketTable) -> None:
    assert tuple(length for band in table.bands for length in band) == table.lengths
    for bucket in table.buckets:
        profile = table.profiles[table.band_of(bucket)]
        for least, size, most in zip(profile.least, (bucket.rows, bucket.tokens), profile.most, strict=True):
            assert least <= size <= most
    for profile in table.profiles:
        assert profile.least <= profile.best and profile.best[1] <= profile.most[1]


def test_lengths_from_an_option() -> None:
    assert parse_lengths("32, 64") == (32, 64)
    with pytest.raises(ConfigError, match="'32,x'"):
        parse_lengths("32,x")
