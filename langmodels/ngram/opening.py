"""Which kind of n-gram file a file is."""

import os
from pathlib import Path

from langmodels.arguments import checked
from langmodels.errors import LangmodelsError, unreadable
from langmodels.ngram.kenlm import KenLMModel
from langmodels.ngram.kenlm.binary import MAGIC
from langmodels.ngram.model import NGramModel
from langmodels.text.tokenization import Tokenizer


@checked
def open_ngrams(
    path: str | os.PathLike[str], tokenizer: Tokenizer | None = None, cleaning: str | None = None
) -> NGramModel:
    """A model from what `save` writes, from an ARPA file or from a binary file of KenLM's.

    `tokenizer` and `cleaning`: how the text was cut, and cleaned before, for the files of other
    tools; see `NGramModel.from_arpa`.
    """
    try:
        if not Path(path).is_file() and Path(path).exists():
            raise LangmodelsError(f"{path} is no file, and holds no model.")
        with Path(path).open("rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise unreadable(path, error) from error
    if start == MAGIC:
        return KenLMModel.from_binary(path, tokenizer, cleaning or "none")
    # The header of a model file is JSON after eight bytes.
    if start[8:9] == b"{":
        return NGramModel.load(path)
    return NGramModel.from_arpa(path, tokenizer, cleaning)
