"""The n-gram model of a binary file of KenLM's."""

import mmap
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self, SupportsIndex

import numpy as np

from langmodels.arrays import Array
from langmodels.errors import LangmodelsError, unreadable
from langmodels.models.decoding import plain_decoding
from langmodels.ngram.building import tables_from_ngrams
from langmodels.ngram.kenlm.binary import MAGIC, Bytes, Parts, read_header, read_words, tokenizer_of
from langmodels.ngram.kenlm.lookup import KenLMLookup
from langmodels.ngram.kenlm.probing import Context, ProbingStore
from langmodels.ngram.kenlm.trie import TrieStore
from langmodels.ngram.model import NGramModel
from langmodels.ngram.tables import NGramTables
from langmodels.text.reading import Reading
from langmodels.text.tokenization import Tokenizer
from langmodels.text.vocabulary import Vocabulary

_LOG10 = np.log(10.0)


def is_kenlm_binary(path: str | os.PathLike[str]) -> bool:
    """Whether a file that is there begins as KenLM's binary files do."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


class KenLMModel(NGramModel):
    """A model in a memory-mapped binary file of KenLM's; see https://kheafield.com/code/kenlm.

    It scores, predicts and samples like any n-gram model. The n-grams of a trie can be enumerated
    as `tables`, so that the model can be pruned, merged or written in other formats; those of hash
    tables cannot. In a quantized file probabilities and weights are rounded, so that distributions
    sum to one only approximately.
    """

    kind = "kenlm-binary"

    def __init__(
        self, data: Bytes, tokenizer: Tokenizer | None = None, cleaning: str = "none"
    ) -> None:
        header = read_header(data)
        super().__init__(header.order, smoothing="given")
        self.header = header
        self.is_distribution = not header.is_quantized  # type: ignore[misc]
        self._data = data
        parts = Parts(data, header.end)
        self._store = TrieStore(header, parts) if header.is_trie else ProbingStore(header, parts)
        vocabulary, self._file_ids = read_words(parts.rest(), header.sizes[0])
        self.reading = Reading(tokenizer or tokenizer_of(vocabulary), vocabulary, cleaning)
        self._path: Path | None = None

    @classmethod
    def from_binary(
        cls,
        path: str | os.PathLike[str],
        tokenizer: Tokenizer | None = None,
        cleaning: str = "none",
    ) -> Self:
        """Map a file that `build_binary` wrote with its vocabulary.

        `tokenizer` and `cleaning` are those of the model's text; by default `whitespace` and none.
        Raises LangmodelsError for a file that is truncated, inconsistent or without vocabulary.
        """
        try:
            with Path(path).open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise unreadable(path, error) from error
        try:
            model = cls(np.frombuffer(data, np.uint8), tokenizer, cleaning)
        except LangmodelsError as error:
            raise LangmodelsError(f"{path} cannot be read: {error}.") from error
        model._path = Path(path).absolute()
        return model

    @cached_property
    def lookup(self) -> KenLMLookup:
        """The look-up that answers queries."""
        return KenLMLookup(self._store, self._file_ids)

    @cached_property
    def tables(self) -> NGramTables:
        """The n-grams of a trie as tables. Raises LangmodelsError for hash tables."""
        if not isinstance(self._store, TrieStore):
            raise LangmodelsError(
                "A binary file of KenLM's with hash tables (probing) keeps only a hash of "
                "each n-gram, so that they cannot be listed. Use the ARPA file that it was made "
                "from, or build a trie."
            )
        new = np.empty(len(self._file_ids), np.int32)
        new[self._file_ids] = np.arange(len(self._file_ids), dtype=np.int32)
        rows, log_prob, backoff = [], [], []
        for k, (words, p, b) in enumerate(self._store.ngrams(), start=1):
            words = new[words]
            p = (p * _LOG10).astype(np.float32)
            if k == 1:
                p = p[self._file_ids]
                p[Vocabulary.bos_id] = -np.inf
            keep = (words[:, 1:] != Vocabulary.bos_id).all(axis=1)
            rows.append(words[keep])
            log_prob.append(p[keep])
            if b is not None:
                b = (b * _LOG10).astype(np.float32)
                backoff.append(b[self._file_ids] if k == 1 else b[keep])
        return tables_from_ngrams(rows, log_prob, backoff, len(self.vocabulary))

    def step_by_hash(self) -> Callable[[Context, int], tuple[float, Context, int]]:
        """See `ProbingStore.step`; words are ids of the vocabulary."""
        assert isinstance(self._store, ProbingStore)
        return self._store.step(self._file_ids, Vocabulary.bos_id)

    def listed(self) -> NGramModel:
        """The same n-grams as an `NGramModel` with tables of its own."""
        model = NGramModel.from_tables(self.tables, self.reading, smoothing="given")
        model.is_distribution = self.is_distribution  # type: ignore[misc]
        return model

    def normalized(self) -> NGramModel:  # type: ignore[override]
        """See `NGramModel.normalized`; a quantized trie becomes a model with new back-off
        weights.
        """
        return self if self.is_distribution else self.listed().normalized()

    def sample_next(
        self, state: tuple[Any, ...], rng: np.random.Generator, *, unk: bool = False
    ) -> int:
        """See `LanguageModel.sample_next`."""
        return plain_decoding(unk).choose(self.log_distribution(state), rng)

    @property
    def n_parameters(self) -> int:
        """Stored probabilities and back-off weights."""
        return 2 * sum(self.header.sizes) - self.header.sizes[-1]

    def used_in(self, state: Any, length: int) -> int:
        """How many of the last tokens are in the state; `<s>` does not count."""
        return min(length, len(state) // 2)

    # Files ----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        return {"order": self.order, "smoothing": self.smoothing.name, "tables": self.header.kind}

    def arrays(self) -> dict[str, Array]:
        return {"kenlm.binary": self._data}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        return cls(arrays["kenlm.binary"], reading.tokenizer, reading.cleaning)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        if self._path is not None:
            return KenLMModel.from_binary, (self._path, self.tokenizer, self.reading.cleaning)
        return KenLMModel, (np.array(self._data), self.tokenizer, self.reading.cleaning)
