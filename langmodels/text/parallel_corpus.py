"""Corpora of pairs: target sequences, each with a source sequence."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from langmodels.arguments import checked
from langmodels.errors import LangmodelsError
from langmodels.text.corpus import Corpus
from langmodels.text.sequences import Sequences
from langmodels.text.tokenization import SymbolTokenizer, Tokenizer
from langmodels.text.vocabulary import Vocabulary

Side = str | Sequence[str]
"""One side of a pair: a string, which is tokenized, or tokens."""


@dataclass(frozen=True, eq=False)
class ParallelCorpus(Corpus):
    """A corpus of targets; sequence i is conditional on sequence i of the corpus `source`."""

    source: Corpus = field(kw_only=True)

    @classmethod
    @checked
    def from_pairs(
        cls,
        pairs: Iterable[tuple[Side, Side]],
        source_tokenizer: Tokenizer | None = None,
        target_tokenizer: Tokenizer | None = None,
        *,
        like: "ParallelCorpus | None" = None,
        name: str = "",
    ) -> "ParallelCorpus":
        """Encode (source, target) pairs; by default every character is a token.

        The sequences of both sides end in `</s>`, whatever the tokenizer. Vocabularies and
        tokenizers are those of `like` (validation and test pairs need those of training), or are
        made from the pairs. Raises LangmodelsError if there are none.
        """
        source_tokenizer = source_tokenizer or SymbolTokenizer(1, lines=True)
        target_tokenizer = target_tokenizer or SymbolTokenizer(1, lines=True)
        if like is not None:
            source_tokenizer, target_tokenizer = like.source.tokenizer, like.tokenizer
        sides: tuple[list[Sequence[str]], list[Sequence[str]]] = ([], [])
        for source, target in pairs:
            sides[0].append(_tokens(source, source_tokenizer))
            sides[1].append(_tokens(target, target_tokenizer))
        if not sides[0]:
            raise LangmodelsError("There are no pairs to learn from.")
        vocabularies = (
            (like.source.vocabulary, like.vocabulary) if like else tuple(map(_vocabulary, sides))
        )
        first = Corpus.from_sequences(
            sides[0], source_tokenizer, vocabularies[0], name=f"{name} (source)".strip()
        )
        second = Corpus.from_sequences(sides[1], target_tokenizer, vocabularies[1], name=name)
        return cls(
            second.ids, second.offsets, second.reading, second.characters, name, source=first
        )

    def blocks(self, size: int, reach: int | None = None) -> Iterator[tuple[Sequences, int]]:
        """See `Sequences`: a single part, since the sources are needed with the targets."""
        yield self, 0

    def head(self, n_tokens: int) -> "ParallelCorpus":
        """See `Corpus.head`; the sources are cut accordingly."""
        targets = cast(ParallelCorpus, super().head(n_tokens))
        offsets = self.source.offsets[: targets.n_sequences + 1]
        source = replace(self.source, held=self.source.held[: int(offsets[-1])], offsets=offsets)
        return replace(targets, source=source)


def _tokens(side: Side, tokenizer: Tokenizer) -> Sequence[str]:
    return tokenizer.tokenize(side) if isinstance(side, str) else side


def _vocabulary(sequences: list[Sequence[str]]) -> Vocabulary:
    return Vocabulary.from_counts(Counter(token for tokens in sequences for token in tokens))
