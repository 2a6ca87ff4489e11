"""Between text and the engine's tokens, one module per label scheme."""

from hanjaserve.server.bundle import TOKENIZER, Bundle
from hanjaserve.server.codec.base import Codec, Decoded, Window
from hanjaserve.server.codec.syllable import SyllableCodec
from hanjaserve.server.codec.word import WordCodec

__all__ = ["Codec", "Decoded", "SyllableCodec", "Window", "WordCodec", "make_codec"]


def make_codec(bundle: Bundle) -> Codec:
    """Make the codec of a bundle; it is for one thread.

    Raises:
        BundleError: The bundle lacks what the codec needs.
    """
    manifest, labels = bundle.manifest, bundle.labels()
    if manifest.scheme == "syllable":
        return SyllableCodec(manifest, labels)
    return WordCodec.open(bundle.path(TOKENIZER), manifest, labels)
