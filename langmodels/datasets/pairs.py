"""Pairs of source and target sequences, for encoder-decoders."""

from collections.abc import Iterator
from dataclasses import dataclass

from langmodels.errors import LangmodelsError
from langmodels.text.parallel_corpus import ParallelCorpus
from langmodels.text.tokenization import Tokenizer


@dataclass(frozen=True, eq=False)
class Pairs:
    """Sources and their targets, as lists of tokens.

    `alternatives`: for each source all correct targets, where there may be more than one.
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
        """All correct targets of each source."""
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


@dataclass(frozen=True)
class PublishedResult:
    """A published result on a task: error rates of tokens (None: not given) and sequences, in %.

    `data`: the test data that it was measured on.
    """

    system: str
    token_error_rate: float | None
    sequence_error_rate: float
    data: str
    source: str


@dataclass(frozen=True, eq=False)
class PairSplits:
    """A task: training, validation and test pairs without a source in common.

    The tokenizers cut texts into sources, and join targets into texts. `how`: in a few words, how
    the pairs were divided. `published`: results of others to compare with. Raises LangmodelsError
    where a part is empty.
    """

    name: str
    description: str
    train: Pairs
    validation: Pairs
    test: Pairs
    how: str
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    published: tuple[PublishedResult, ...] = ()

    def __post_init__(self) -> None:
        if not (self.train.sources and self.validation.sources and self.test.sources):
            raise LangmodelsError(
                f"The task {self.name} is too small to divide; ask for more pairs."
            )

    def corpora(self) -> tuple[ParallelCorpus, ParallelCorpus, ParallelCorpus]:
        """Training, validation and test pairs, encoded with the vocabularies of the training pairs.

        Where a source has several correct targets, the first is taken.
        """
        train = ParallelCorpus.from_pairs(
            self.train,
            self.source_tokenizer,
            self.target_tokenizer,
            name=f"{self.name} (training part)",
        )
        validation, test = (
            ParallelCorpus.from_pairs(pairs, like=train, name=f"{self.name} ({part} part)")
            for pairs, part in ((self.validation, "validation"), (self.test, "test"))
        )
        return train, validation, test
