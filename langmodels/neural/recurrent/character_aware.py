"""The character-aware language model: words are predicted as such, but read by their characters."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from langmodels.arrays import IntArray
from langmodels.errors import UsageError, check_whole
from langmodels.neural.layers.spelling import SpelledEmbedding, Spellings
from langmodels.neural.recurrent.model import RecurrentModel, RecurrentState
from langmodels.neural.recurrent.network import RecurrentNetwork, RecurrentShape
from langmodels.neural.training.batches import Batches, Chunk, StreamBatches
from langmodels.settings import forwards
from langmodels.text.corpus import Corpus
from langmodels.text.reading import Text
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import Vocabulary


class CharacterAwareNetwork(RecurrentNetwork):
    """A recurrent network whose input vectors are a `SpelledEmbedding`."""

    def __init__(
        self,
        shape: RecurrentShape,
        dtype: str,
        spellings: Spellings,
        characters: int,
        filters: dict[int, int],
        highways: int,
    ) -> None:
        self.spellings = spellings
        self._sizes = (characters, filters, highways)
        super().__init__(shape, dtype)

    def _make_embedding(self) -> SpelledEmbedding:
        return SpelledEmbedding(self.spellings, *self._sizes)


class CharacterAwareModel(RecurrentModel):
    """The model of Kim, Jernite, Sontag and Rush (2016), "Character-Aware Neural Language Models".

    It predicts words of the vocabulary, but reads a word as a string of characters: a convolution
    with filters of several widths, max-pooling over the word, highway layers; then recurrent
    layers. Words outside the vocabulary are predicted as `<unk>`, but read by their spelling where
    it is known: from text or tokens, not from ids.

    Args:
        widths: the greatest width of a filter, in characters; there are filters of every width from
            1.
        filters: number of filters of width w, divided by w.
        most: greatest number of filters of one width.
        characters: width of the character vectors.
        highways: number of highway layers after the max-pooling.
    """

    kind = "char-cnn-lstm"

    @forwards(without=("embedding", "one_hot", "tied", "window"))
    def __init__(
        self,
        *,
        widths: int = 6,
        filters: int = 25,
        most: int = 200,
        characters: int = 15,
        highways: int = 1,
        **options: Any,
    ) -> None:
        if min(widths, filters, most, characters) < 1 or highways < 0:
            raise UsageError(
                "widths, filters, most and characters must be at least 1, and highways at least 0."
            )
        self.widths, self.filters, self.most = widths, filters, most
        self.characters, self.highways = characters, highways
        super().__init__(**options)

    @property
    def _filters(self) -> dict[int, int]:
        """The number of filters of each width."""
        return {w: min(self.most, w * self.filters) for w in range(1, self.widths + 1)}

    def make_network(self, vocabulary: int) -> CharacterAwareNetwork:
        shape = replace(self._shape(vocabulary), embedding=sum(self._filters.values()))
        return CharacterAwareNetwork(
            shape,
            self.dtype,
            Spellings(self.vocabulary),
            self.characters,
            self._filters,
            self.highways,
        )

    def make_batches(self, corpus: Corpus, n_shards: int) -> Batches[Chunk]:
        o = self.options
        return _SpelledBatches(
            self._spelled(corpus),
            len(corpus.vocabulary),
            o.batch_size,
            o.steps,
            n_shards=n_shards,
            seed=o.seed,
            shuffled=o.shuffled,
        )

    def _check_extends(self, init: Any) -> None:
        super()._check_extends(init)
        if self._alphabet(self.vocabulary) != self._alphabet(init.vocabulary):
            raise UsageError(
                "the new words have characters that it does not know; a higher min_count drops "
                "rare words"
            )

    def _alphabet(self, vocabulary: Vocabulary) -> set[str]:
        """The characters of the words of a vocabulary."""
        return set("".join(vocabulary.tokens[vocabulary.n_special :]))

    @property
    def reads_spelling(self) -> bool:
        return True

    @property
    def reads_streams(self) -> bool:
        """False: a word outside the vocabulary has one id as an input and another as a target."""
        return False

    @property
    def spellings(self) -> Spellings:
        """The character codes of all words of the vocabulary, and of others that have been read."""
        network = self._network
        assert isinstance(network, CharacterAwareNetwork)
        return network.spellings

    def read(self, text: Text) -> IntArray:
        """The input ids of a text, (n,): as `encode`, but words outside the vocabulary have ids of
        their own, from len(vocabulary) on, in place of that of `<unk>`.
        """
        return self._spelled(self.sequences_of([text])).ids[1:][: len(self.encode(text))]

    def _spelled(self, sequences: Sequences) -> Sequences:
        """The sequences with ids for unknown words as in `read`, if their spelling is known."""
        if not sequences.unknown:
            return sequences
        return sequences.with_unknown(self.spellings.ids(sequences.unknown))

    def state(self, context: Text = ()) -> RecurrentState:
        """See `LanguageModel`."""
        state = self.start()
        for token in self.read(context).tolist():
            state = self.advance(state, token)
        return state

    def walk(self, sequences: Sequences) -> Iterator[tuple[RecurrentState, int]]:
        """See `Contexts`; unknown words are read by their spelling, if it is known."""
        walk = super().walk(self._spelled(sequences))
        return ((s, t) for (s, _), t in zip(walk, sequences.targets.tolist(), strict=True))

    def _check_input(self, token: int) -> None:
        """Raise UsageError unless `token` is the id of a word whose spelling is known."""
        known = len(self.spellings.codes)
        check_whole(token=token)
        if not 0 <= token < known:
            raise UsageError(f"Ids of words must lie between 0 and {known - 1}.")

    def _streams(self, sequences: Sequences) -> list[tuple[IntArray, IntArray]]:
        """See `RecurrentModel`; inputs have ids for unknown words as in `read`."""
        pairs = zip(self._spelled(sequences).streams(), sequences.streams(), strict=True)
        return [(read, targets) for (read, _), (_, targets) in pairs]


class _SpelledBatches(StreamBatches):
    """Stream batches of sequences with ids as in `CharacterAwareModel.read`.

    Targets that are not below `vocabulary` are replaced by `<unk>`, inputs are kept.
    """

    def __init__(
        self,
        sequences: Sequences,
        vocabulary: int,
        batch_size: int,
        steps: int,
        **options: Any,
    ) -> None:
        super().__init__(sequences, batch_size, steps, **options)
        unknown = self._targets >= vocabulary
        self._targets = np.where(unknown, np.int32(Vocabulary.unk_id), self._targets)
