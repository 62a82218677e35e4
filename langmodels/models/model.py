"""What all models are: learnt from a corpus over a vocabulary, and kept in one file."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, SupportsIndex

from langmodels import notebooks
from langmodels.arguments import checked
from langmodels.arrays import Array, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.kinds import KINDS
from langmodels.models.files import ModelFile, pack, pickled, read_model
from langmodels.settings import Configurable
from langmodels.tensors import save_arrays
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading, Text, WithReading


class Model(WithReading, Configurable, ABC):
    """What all models are: learnt from a corpus over a vocabulary, and kept in one file.

    Those that give every sequence a probability are a `LanguageModel`.
    """

    kind: ClassVar[str]
    """Name of the family in model files."""

    _reading: Reading | None = None
    _file: ModelFile | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            KINDS[cls.kind] = cls

    @property
    def reading(self) -> Reading:
        """How text is read: as the training text was. Raises UsageError before there was one."""
        if self._reading is None:
            raise UsageError(f"This {type(self).__name__} has learnt nothing yet; call fit first.")
        return self._reading

    @reading.setter
    def reading(self, reading: Reading) -> None:
        self._reading = reading

    @property
    def is_fitted(self) -> bool:
        """Whether the model has read a training text."""
        return self._reading is not None

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """How many numbers were learnt."""

    @property
    def parts(self) -> list["Model"]:
        """The models that it is made of: those among its settings."""
        values = self.get_params().values()
        listed = (value if isinstance(value, list | tuple) else [value] for value in values)
        return [part for some in listed for part in some if isinstance(part, Model)]

    def facts(self) -> dict[str, Any]:
        """What there is to say of it beyond what `describe` says of every model."""
        return {}

    def tokenize(self, text: str) -> Sequence[str]:
        """The tokens of a text; see `Reading.tokens`."""
        return self.reading.tokens(text)

    def encode(self, text: Text) -> IntArray:
        """Token ids of a sequence given as a string, tokens or ids; see `Reading.encode`."""
        return self.reading.encode(text)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        found: dict[str, Any] = dict(self.get_params())
        if self.is_fitted:
            found |= {"tokens": self.tokenizer.level, "vocabulary": f"{len(self.vocabulary):,}"}
            found["parameters"] = f"{self.n_parameters:,}"
        else:
            found["has learnt"] = "nothing yet"
        return notebooks.facts(type(self).__name__, found)

    # Files ----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Hyper-parameters and scalars, as JSON can hold them."""
        return self.get_params()

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What was learnt."""

    @classmethod
    @abstractmethod
    def restore(
        cls,
        config: dict[str, Any],
        arrays: Mapping[str, Array],
        reading: Reading,
    ) -> Self:
        """A fitted model that reads by `reading`, from what `config` and `arrays` gave."""

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file (safetensors; nothing in it is ever executed)."""
        metadata, arrays = pack(self)
        save_arrays(path, arrays, metadata)

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = True) -> Self:
        """Open a saved model of this class; its arrays stay on disk until used.

        With `mmap=False` they are read, and the file may change or go afterwards: one that is cut
        short while it is mapped ends the process. Raises LangmodelsError where the file is broken
        or holds another kind of model.
        """
        model = read_model(path, mmap=mmap)
        if not isinstance(model, cls):
            raise LangmodelsError(f"{path} holds a {type(model).__name__}, not a {cls.__name__}.")
        return model

    # Copies ---------------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Pickle and copy a fitted model as what its file would hold; see `pickled`."""
        return pickled(self) if self.is_fitted else super().__reduce_ex__(protocol)

    # Help for subclasses --------------------------------------------------------------------

    def adopt(
        self, corpus: AnyText, validation: AnyText | None = None
    ) -> tuple[Corpus, Corpus | None]:
        """Read text from now on as a training corpus was read; with `fit` begins with this.

        Returns both corpora. A plain text is read in words, one sequence a line. Raises UsageError
        or LangmodelsError for texts that are empty or do not fit together.
        """
        if not isinstance(corpus, Corpus):
            corpus = Corpus.from_text(corpus)
        if validation is not None and not isinstance(validation, Corpus):
            validation = Corpus.read_by(corpus.reading, validation)
        if corpus.n_tokens == 0:
            raise LangmodelsError("The training text is empty; there is nothing to learn from.")
        if validation is not None and validation.n_tokens == 0:
            raise LangmodelsError("The validation text is empty; leave it out, or give one.")
        if validation is not None and validation.vocabulary != corpus.vocabulary:
            raise UsageError("The validation text must be encoded with the training vocabulary.")
        self.reading = corpus.reading
        return corpus, validation

    def _check_corpus(self, corpus: Corpus) -> None:
        if not isinstance(corpus, Corpus):
            raise UsageError(
                "A text is read as the model reads it before, by Corpus.read_by(model.reading, "
                f"text); this is a {type(corpus).__name__}."
            )
        if corpus.vocabulary is not self.vocabulary and corpus.vocabulary != self.vocabulary:
            raise UsageError("The corpus must be encoded with the vocabulary of the model.")
