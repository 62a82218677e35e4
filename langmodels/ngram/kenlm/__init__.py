"""Binary files of KenLM's `build_binary`, memory-mapped and queried in place."""

from langmodels.ngram.kenlm.model import KenLMModel

__all__ = ["KenLMModel"]
