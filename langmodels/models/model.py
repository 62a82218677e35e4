"""The base class of all models, of sequences or not: fitting, storing, copying."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
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
    """Base class of all models: fitted to a corpus, over a vocabulary, stored in one file.

    Those that assign a probability to every sequence are a `LanguageModel`.
    """

    kind: ClassVar[str]
    """The name by which model files say which class to restore."""

    _reading: Reading | None = None
    _file: ModelFile | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" in cls.__dict__:
            KINDS[cls.kind] = cls

    @property
    def reading(self) -> Reading:
        """How text is read, as the training text was. Raises UsageError for a model that is not
        fitted.
        """
        if self._reading is None:
            raise UsageError(f"This {type(self).__name__} has learnt nothing yet; call fit first.")
        return self._reading

    @reading.setter
    def reading(self, reading: Reading) -> None:
        self._reading = reading

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` or `restore` has been called."""
        return self._reading is not None

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """How many numbers were estimated from the training text."""

    @property
    def parts(self) -> list["Model"]:
        """The models that this one is made of: those among its hyper-parameters."""
        values = self.get_params().values()
        listed = (value if isinstance(value, list | tuple) else [value] for value in values)
        return [part for some in listed for part in some if isinstance(part, Model)]

    def with_parts(self, replace: Callable[["Model"], "Model"]) -> Self:
        """An unfitted copy with each of `parts` replaced by what the function returns for it."""

        def replaced(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(map(replaced, value))
            return replace(value) if isinstance(value, Model) else value

        return type(self)(**{name: replaced(v) for name, v in self.get_params().items()})

    def facts(self) -> dict[str, Any]:
        """Facts of this family that `describe` adds to those of every model."""
        return {}

    def tokenize(self, text: str) -> Sequence[str]:
        """The tokens of a text; see `Reading.tokens`."""
        return self.reading.tokens(text)

    def encode(self, text: Text) -> IntArray:
        """Token ids of a sequence given as a string, tokens or ids; see `Reading.encode`."""
        return self.reading.encode(text)

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        found: dict[str, Any] = dict(self.get_params())
        if self.is_fitted:
            found |= {"tokens": self.tokenizer.level, "vocabulary": f"{len(self.vocabulary):,}"}
            found["parameters"] = f"{self.n_parameters:,}"
        else:
            found["has learnt"] = "nothing yet"
        return notebooks.facts(type(self).__name__, found)

    # Files ----------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Hyper-parameters and estimated scalars as JSON values, for `restore`."""
        return self.get_params()

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """The estimated arrays by name, for `restore`."""

    @classmethod
    @abstractmethod
    def restore(
        cls,
        config: dict[str, Any],
        arrays: Mapping[str, Array],
        reading: Reading,
    ) -> Self:
        """The fitted model of which `config`, `arrays` and `reading` were stored. Raises
        LangmodelsError for values that no such model has.
        """

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one safetensors file, from which nothing is ever executed."""
        metadata, arrays = pack(self)
        save_arrays(path, arrays, metadata)

    @classmethod
    @checked
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = True) -> Self:
        """Open a saved model of this class; its arrays are memory-mapped.

        With `mmap=False` they are read into memory, and the file may change or vanish afterwards;
        truncating a mapped file ends the process (SIGBUS). Raises LangmodelsError where the file is
        broken or holds another kind of model.
        """
        model = read_model(path, mmap=mmap)
        if not isinstance(model, cls):
            raise LangmodelsError(f"{path} holds a {type(model).__name__}, not a {cls.__name__}.")
        return model

    # Copies ---------------------------------------------------------------------------------

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        """Pickle and copy a fitted model by the contents of its file; see `pickled`."""
        return pickled(self) if self.is_fitted else super().__reduce_ex__(protocol)

    # Help for subclasses --------------------------------------------------------------------

    def adopt(
        self, corpus: AnyText, validation: AnyText | None = None
    ) -> tuple[Corpus, Corpus | None]:
        """Take over the reading of the training corpus: the first step of every `fit`.

        Returns both as corpora; a plain text is split into words, one sequence per line. Raises
        LangmodelsError for an empty text, UsageError for a validation corpus with another
        vocabulary.
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
