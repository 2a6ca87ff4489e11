"""Configuration of the syllable model, saved as config.json of a Hugging Face checkpoint."""

from typing import Any

from transformers import PretrainedConfig


class HanjaConfig(PretrainedConfig):  # type: ignore[misc]
    """Widths and table sizes; the tables themselves are buffers saved with the weights.

    Attributes:
        hidden_size: Width of the encoder.
        label_size: Width of a Hanja embedding, shared by dictionary features and output scores.
        covering_words: How many dictionary words a syllable is told about.
        word_candidates: How many spellings of a dictionary word are offered.
        styles: Name of a style to the code point that announces it.
        score_temperature: Divides the scores at last, so that they are right as often as they say.
        mixture_penalty: What a word loses whose syllables make none of its spellings.
    """

    model_type = "hanjaserve-syllable"

    def __init__(
        self,
        *,
        hidden_size: int = 192,
        num_hidden_layers: int = 3,
        num_attention_heads: int = 4,
        intermediate_size: int = 384,
        label_size: int = 64,
        relative_distance: int = 24,
        dropout: float = 0.0,
        covering_words: int = 3,
        word_candidates: int = 4,
        char_vocab_size: int = 1,
        num_readings: int = 1,
        num_hanja: int = 1,
        trie_size: int = 1,
        num_spellings: int = 1,
        styles: dict[str, int] | None = None,
        score_temperature: float = 0.6,
        mixture_penalty: float = 0.5,
        **kwargs: Any,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.label_size = label_size
        self.relative_distance = relative_distance
        self.dropout = dropout
        self.covering_words = covering_words
        self.word_candidates = word_candidates
        self.char_vocab_size = char_vocab_size
        self.num_readings = num_readings
        self.num_hanja = num_hanja
        self.trie_size = trie_size
        self.num_spellings = num_spellings
        self.styles = styles or {"modern": 1, "scripture": 2, "statute": 3}
        self.score_temperature = score_temperature
        self.mixture_penalty = mixture_penalty
        super().__init__(**kwargs)
