"""Swapping models, without any: who is asked, and when the old one may go."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hanjaserve.server.errors import BundleError, Draining
from hanjaserve.server.models import Models
from hanjaserve.server.options import Options

from .fakes import FakeConverter


class FakeModel:
    def __init__(self, revision: str) -> None:
        self.converter = FakeConverter()
        self.manifest = SimpleNamespace(revision=revision)
        self.pool = SimpleNamespace(dead=asyncio.Event())
        self.users = 0
        self.closed = asyncio.Event()

    async def close(self) -> None:
        assert self.users == 0
        self.closed.set()


def opening(*models: Any) -> Any:
    left = list(models)

    async def open_model() -> Any:
        model = left.pop(0)
        if isinstance(model, Exception):
            raise model
        return model

    return open_model


async def test_old_model_finishes_what_it_has_before_it_is_closed() -> None:
    old, new = FakeModel("old"), FakeModel("new")
    async with Models(opening(old, new)) as models:
        await models.load()
        old.converter.hold.clear()
        call = asyncio.create_task(models.convert_batch(["a"], Options()))
        await asyncio.sleep(0)
        await models.load()
        await models.convert_batch(["b"], Options())
        await asyncio.sleep(0.3)
        assert not old.closed.is_set()
        old.converter.hold.set()
        await call
        await asyncio.wait_for(old.closed.wait(), 5)
        assert (len(old.converter.calls), len(new.converter.calls)) == (1, 1)


async def test_model_that_cannot_serve_changes_nothing() -> None:
    old = FakeModel("old")
    async with Models(opening(old, BundleError("damaged"))) as models:
        await models.load()
        assert not await models.reload()
        assert models.current is old
        assert not old.closed.is_set()


async def test_before_the_first_and_without_a_runner() -> None:
    model = FakeModel("one")
    async with Models(opening(model)) as models:
        with pytest.raises(Draining):
            await models.convert_batch(["a"], Options())
        await models.load()
        model.pool.dead.set()
        await asyncio.wait_for(models.dead.wait(), 5)
