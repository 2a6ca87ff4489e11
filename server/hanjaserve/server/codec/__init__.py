"""Between text and the engine's numbers; one codec per label scheme, chosen by the bundle."""

from hanjaserve.server.bundle import Bundle
from hanjaserve.server.codec.base import Codec, Decoded, Window
from hanjaserve.server.codec.syllable import SyllableCodec
from hanjaserve.server.codec.word import WordCodec

__all__ = ["Codec", "Decoded", "Window", "make_codec"]


def make_codec(bundle: Bundle) -> Codec:
    """The codec of the bundle's label scheme."""
    manifest = bundle.manifest
    if manifest.scheme == "word":
        return WordCodec(bundle.path("tokenizer.json"), manifest)
    return SyllableCodec(manifest)
