"""Opening n-gram models, whatever the format of the file."""

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
    """Open a file of `save`, an ARPA file or a binary file of KenLM's, told apart by content.

    For files of other tools, `tokenizer` and `cleaning` say how the text was read; see
    `NGramModel.from_arpa`.
    """
    try:
        if not Path(path).is_file() and Path(path).exists():
            raise LangmodelsError(f"{path} is not a file; give the path of a model file.")
        with Path(path).open("rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise unreadable(path, error) from error
    if start == MAGIC:
        return KenLMModel.from_binary(path, tokenizer, cleaning or "none")
    # A model file has a JSON header after eight bytes.
    if start[8:9] == b"{":
        return NGramModel.load(path)
    return NGramModel.from_arpa(path, tokenizer, cleaning)
