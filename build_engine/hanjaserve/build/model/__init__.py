"""The syllable model: a small encoder that is told what the dictionary knows."""

from hanjaserve.build.model.classifier import HanjaTokenClassifier
from hanjaserve.build.model.configuration import HanjaConfig

__all__ = ["HanjaConfig", "HanjaTokenClassifier"]
