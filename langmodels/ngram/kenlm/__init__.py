"""KenLM's binary files, as `build_binary` writes them: mapped, looked up where they lie."""

from langmodels.ngram.kenlm.model import KenLMModel

__all__ = ["KenLMModel"]
