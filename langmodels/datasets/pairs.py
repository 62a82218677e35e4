"""Pairs of sequences: what an encoder-decoder learns to turn into what."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from langmodels.errors import LangmodelsError
from langmodels.tokenization import Tokenizer
from langmodels.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Pairs:
    """Sources and their targets, token by token.

    `alternatives`: for each pair all targets that are right, where there is more than one.
    """

    sources: list[list[str]]
    targets: list[list[str]]
    alternatives: list[list[list[str]]] | None = None

    def __post_init__(self) -> None:
        others = self.sources if self.alternatives is None else self.alternatives
        if not len(self.sources) == len(self.targets) == len(others):
            raise LangmodelsError("Every source needs a target.")

    @property
    def references(self) -> list[list[list[str]]]:
        """All right targets of each source."""
        if self.alternatives is None:
            return [[target] for target in self.targets]
        return self.alternatives

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[tuple[list[str], list[str]]]:
        return zip(self.sources, self.targets, strict=True)

    def head(self, n: int) -> "Pairs":
        """The first `n` pairs."""
        alternatives = None if self.alternatives is None else self.alternatives[:n]
        return Pairs(self.sources[:n], self.targets[:n], alternatives)


@dataclass(frozen=True, eq=False)
class PairSplits:
    """A task: training, validation and test pairs without a source in common.

    Vocabularies (both with `</s>`) come from the training pairs alone. The tokenizers turn text
    into sources and targets back into text. `how` says how the pairs were divided.
    """

    name: str
    description: str
    train: Pairs
    validation: Pairs
    test: Pairs
    how: str
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    source_vocabulary: Vocabulary
    target_vocabulary: Vocabulary

    @classmethod
    def make(
        cls,
        name: str,
        description: str,
        parts: Sequence[Pairs],
        how: str,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
    ) -> "PairSplits":
        """A task from its training, validation and test pairs.

        Raises LangmodelsError where a part is empty.
        """
        train, validation, test = parts
        if not all(map(len, parts)):
            raise LangmodelsError(f"The task {name} is too small to divide; ask for more pairs.")
        return cls(
            name,
            description,
            train,
            validation,
            test,
            how,
            source_tokenizer,
            target_tokenizer,
            _vocabulary(train.sources),
            _vocabulary(train.targets),
        )


def _vocabulary(sequences: Iterable[Iterable[str]]) -> Vocabulary:
    return Vocabulary.from_counts(Counter(chain.from_iterable(sequences)))
