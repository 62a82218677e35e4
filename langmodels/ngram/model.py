"""The n-gram model: the context is the last N-1 words, as nodes of a trie."""

import functools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from langmodels.arguments import ArgumentError, checked
from langmodels.arrays import Array, BoolArray, FloatArray
from langmodels.checks import check_values
from langmodels.errors import FileWarning, LangmodelsError, UsageError, check_whole
from langmodels.models.base import LanguageModel
from langmodels.models.decoding import plain_decoding
from langmodels.models.orders import OfOrder
from langmodels.ngram.arpa import FOREIGN, is_arpa_name, read_arpa, write_arpa
from langmodels.ngram.counting import NGramCounts, count_ngrams
from langmodels.ngram.lookup import NGramLookup
from langmodels.ngram.methods import SMOOTHINGS, make_smoothing, restored_smoothing
from langmodels.ngram.normalization import context_sums, normalized
from langmodels.ngram.openfst import write_fst
from langmodels.ngram.sampling import draw
from langmodels.ngram.smoothing import Smoothing
from langmodels.ngram.tables import MAX_ORDER, NGramTables, State, longest
from langmodels.ngram.text_counts import TextCounts
from langmodels.settings import Parameter, check_options, forwards, parameters
from langmodels.tensors import StoredArrays
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading
from langmodels.text.sequences import Sequences
from langmodels.text.tokenization import SymbolTokenizer, Tokenizer
from langmodels.text.vocabulary import Vocabulary

_AT_ONCE = 1 << 17
"""Files of up to so many n-grams are checked when opened, larger ones when first used."""
_SUMS = 1e-3
"""How far from 1 rounding may move a sum of probabilities; files written by version 0.1 need it."""
_CONFIG = {
    "order": int,
    "smoothing": str,
    "options": dict[str, Any],
    "min_counts": list[int],
    "fitted": dict[str, list[list[float]]],
    "is_distribution": bool,
    "unseen_backoff": float,
}


class NGramModel(OfOrder, LanguageModel[State]):
    """p(w_t | w_1 ... w_{t-1}) = p(w_t | w_{t-N+1} ... w_{t-1}), estimated from counts.

    With `min_counts` of (1, 1, 2) n-grams of order 3 and higher that occur once are not stored: the
    last number applies to all higher orders. The first must be 1, as the vocabulary decides about
    rare words. Further keywords are options of the smoothing method, such as `alpha` for
    `"lidstone"`.

    Args:
        order: N, the length of the longest n-grams.
        smoothing: the smoothing method, a name in `SMOOTHINGS` or a `Smoothing`.
        min_counts: by order, how often an n-gram must occur to be stored; only for smoothing by
            interpolation.

    The state is a tuple of node ids, which can be compared and hashed.
    """

    kind = "ngram"

    def __init__(
        self,
        order: int = 4,
        smoothing: str | Smoothing = "modified_kneser_ney",
        min_counts: Sequence[int] = (),
        **options: Any,
    ) -> None:
        if not 1 <= order <= MAX_ORDER:
            raise UsageError(
                f"An n-gram model's order lies between 1 and {MAX_ORDER}, not {order}."
            )
        self.order = order
        if isinstance(smoothing, str):
            if smoothing in SMOOTHINGS:
                check_options(with_smoothing(smoothing), options, f"NGramModel of {smoothing}")
            smoothing = make_smoothing(smoothing, **options)
        elif options:
            raise ArgumentError(
                "Give options to the constructor of the Smoothing, not to NGramModel beside it."
            )
        if len(min_counts):
            smoothing.min_counts = _checked(min_counts, smoothing)
        self.smoothing = smoothing
        self.is_distribution = smoothing.is_distribution  # type: ignore[misc]
        # The tables of a large file that are not checked yet, and a function that verifies
        # checksums.
        self._unchecked: tuple[NGramTables, Callable[[], bool]] | None = None
        # The counts, or a function that reads them from the model's file when they are asked for.
        self._counts: TextCounts | Callable[[], TextCounts] | None = None
        self.fitted: dict[str, list[list[float]]] = {}
        """Parameters that smoothing estimated (discounts, weights) by name: a list for each
        order.
        """

    # Fitting --------------------------------------------------------------------------------

    @checked
    def fit(
        self,
        corpus: AnyText,
        validation: AnyText | None = None,
        *,
        init: "NGramModel | None" = None,
        keep_counts: bool = False,
    ) -> Self:
        """Count the n-grams of a corpus and smooth the counts; returns self.

        Methods with weights to fit (`Smoothing.uses_held_out`) fit them to `validation`; without it
        they fit them to the last tenth of the corpus, given counts of the rest, and then smooth the
        counts of the whole corpus.

        With `keep_counts` the counts are kept, in the model file too, so that text can be added
        later. `init` is a model that kept its counts, to which those of the corpus are added: the
        result is the model of both texts together, provided that the corpus was read without
        mapping rare words to `<unk>`, as a plain text then is.
        """
        if init is not None or keep_counts:
            return self._fit_kept(corpus, validation, init)
        corpus, validation = self.adopt(corpus, validation)
        size = len(corpus.vocabulary)
        counts = None
        if self.smoothing.uses_held_out:
            if validation is not None:
                counts = count_ngrams(corpus.held, size, self.order)
                self.smoothing.tune(counts, validation.ids)
            else:
                cut = len(corpus.held) * 9 // 10
                part = count_ngrams(corpus.held[: max(cut, 1)], size, self.order)
                self.smoothing.tune(part, corpus.held[cut:].astype(np.int32))
        if counts is None:
            counts = count_ngrams(corpus.held, size, self.order)
        self.tables = self.smoothing.estimate(counts)
        self.fitted, self._counts = self.smoothing.fitted(), None
        return self

    def _fit_kept(
        self, corpus: AnyText, validation: AnyText | None, init: "NGramModel | None"
    ) -> Self:
        """`fit` with `keep_counts`, on the counts of the corpus plus those of `init`, if given."""
        before = None if init is None else init.counts
        if init is not None and before is None:
            raise UsageError(
                "The model to continue did not keep its counts; train it with keep_counts=True, "
                "or --keep-counts."
            )
        if before is not None and not isinstance(corpus, Corpus):
            corpus = Corpus.extending(before.reading, corpus)
        corpus, validation = self.adopt(corpus, validation)
        counts = TextCounts.of(corpus, self.order if before is None else before.order)
        return self.fit_counts(
            counts if before is None else before + counts, validation, keep_counts=True
        )

    def fit_counts(
        self, counts: TextCounts, validation: Corpus | None = None, *, keep_counts: bool = False
    ) -> Self:
        """Estimate the model from counts, such as those of `counts_file.read_counts`.

        Raises UsageError for counts of too low an order, and where the smoothing method needs a
        validation text and there is none.
        """
        n = self.order
        if counts.order < n:
            raise UsageError(f"There are counts up to order {counts.order} only, not up to {n}.")
        known = counts.known()
        c = known.counts
        ngrams = NGramCounts(c.words[:n], c.child_start[: n - 1], c.counts[:n], c.suffixes[:n])
        if self.smoothing.uses_held_out:
            if validation is None:
                raise UsageError(
                    f"{self.smoothing.name} fits weights on held-out text, which counts are not; "
                    "give a validation text, or use another method, such as modified_kneser_ney."
                )
            self.smoothing.tune(ngrams, validation.recoded(known.reading.vocabulary).ids)
        self.tables = self.smoothing.estimate(ngrams)
        self.fitted, self.reading = self.smoothing.fitted(), known.reading
        self._counts = counts if keep_counts else None
        return self

    @property
    def counts(self) -> TextCounts | None:
        """The counts that the model was estimated from, if it kept them."""
        if callable(self._counts):
            self._counts = self._counts()
        return self._counts

    @classmethod
    def from_tables(cls, tables: NGramTables, reading: Reading, **arguments: Any) -> Self:
        """A model with given tables; `arguments` are those of the constructor without `order`."""
        if tables.vocabulary_size != len(reading.vocabulary):
            raise LangmodelsError("The tables and the vocabulary do not have the same size.")
        model = cls(tables.order, **arguments)
        model.tables, model.reading = tables, reading
        return model

    @classmethod
    @checked
    def from_arpa(
        cls,
        path: str | os.PathLike[str],
        tokenizer: Tokenizer | None = None,
        cleaning: str | None = None,
    ) -> Self:
        """Read an ARPA file of any tool; see `arpa.read_arpa`.

        `tokenizer` is that of the model's text; None: the one that `save_arpa` noted in the file,
        and in files of other tools words between ASCII white space, or `symbols` where there is no
        `</s>`. `cleaning` is how the text was cleaned; None: as noted, or not at all.
        """
        vocabulary, tables, tokenizer, noted = read_arpa(path, tokenizer)
        if tokenizer is None:
            tokenizer = FOREIGN if vocabulary.ends else SymbolTokenizer()
        reading = Reading(tokenizer, vocabulary, noted if cleaning is None else cleaning)
        return cls.from_tables(tables, reading, smoothing="given")

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """See `Model`. Raises UsageError for a name that ends in .arpa; `save_arpa` writes such
        files.
        """
        if is_arpa_name(path):
            raise UsageError(f"{path} is the name of an ARPA file; save_arpa writes one.")
        super().save(path)

    @checked
    def save_arpa(self, path: str | os.PathLike[str]) -> None:
        """Write the model as an ARPA file; see `arpa.write_arpa`."""
        write_arpa(path, self.tables, self.reading)

    @checked
    def save_fst(self, path: str | os.PathLike[str]) -> None:
        """Write the model as a weighted automaton; see `openfst.write_fst`."""
        write_fst(path, self.tables, self.vocabulary)

    def normalized(self) -> Self:
        """See `LanguageModel`; stupid backoff becomes a model with other back-off weights."""
        if self.is_distribution:
            return self
        tables = normalized(self.tables)
        model = self.from_tables(tables, self.reading, smoothing=self.smoothing)
        model.is_distribution = True  # type: ignore[misc]
        return model

    @property
    def lookup(self) -> NGramLookup:
        """The look-up that answers queries: the tables, unless a subclass has another."""
        return self.tables

    @property
    def ngram_counts(self) -> list[int]:
        """The number of distinct n-grams of each order."""
        return self.lookup.ngram_counts

    @property
    def discounts(self) -> list[list[float]]:
        """The discounts of each order, [[D1, D2, D3+], ...]; empty for methods without
        discounts.
        """
        return self.fitted.get("discounts", [])

    def facts(self) -> dict[str, Any]:
        """The numbers of n-grams, the discounts, and whether the vocabulary is closed."""
        return {
            "ngrams": self.ngram_counts,
            "discounts": self.discounts,
            "closed": self.is_closed,
        }

    # The interface --------------------------------------------------------------------------

    def start(self) -> State:
        """The context `<s>`."""
        return self.lookup.start()

    def advance(self, state: State, token: int) -> State:
        """The context after one more token."""
        self.vocabulary.check_id(token)
        return self.lookup.advance(state, token)

    def log_distribution(self, state: State) -> FloatArray:
        """Log p(next | context) in nats, (V,)."""
        return self.lookup.log_distribution(state)

    def log_prob_next(self, state: State, token: int) -> float:
        """Log p(token | context) in nats."""
        return self.score_next(state, token)[0]

    def score_next(self, state: State, token: int) -> tuple[float, int]:
        """Log p(token | context) in nats, and the length of the longest n-gram found."""
        self.vocabulary.check_id(token)
        return self.lookup.score_next(state, token)

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`."""
        every, _ = self.lookup.score(sequences.ids)
        scores: FloatArray = every[sequences.is_target]
        return scores

    def scores_from_nothing(self, sequences: Sequences) -> FloatArray:
        """See `LanguageModel`; the scores of the first N - 1 tokens of a sequence differ from
        `scores`.
        """
        scores = self.scores(sequences)
        step, reach = self.lookup.step, self.lookup.order - 1
        first = 0
        for ids in sequences.whole():
            state: State = ()
            for i, token in enumerate(ids[1 : 1 + reach].tolist()):
                scores[first + i], _, state = step(state, token)
            first += len(ids) - 1
        return scores

    def full_scores(self, corpus: Corpus) -> tuple[FloatArray, NDArray[np.int16], BoolArray]:
        """For every target: its log p in nats, the length of the n-gram found, and whether it is
        `<unk>`.

        Three arrays of shape (corpus.n_tokens,), in corpus order.
        """
        self._check_corpus(corpus)
        ids = corpus.ids
        scores, lengths = self.lookup.score(ids)
        targets = ids != Vocabulary.bos_id
        return scores[targets], lengths[targets], ids[targets] == Vocabulary.unk_id

    def sample_next(self, state: State, rng: np.random.Generator, *, unk: bool = False) -> int:
        """A token id drawn from p(next | context), in time nearly independent of the vocabulary
        size.

        `<unk>` is never drawn unless `unk` is true. See `sampling.draw`.
        """
        if not self.is_distribution:
            return plain_decoding(unk).choose(self.log_distribution(state), rng)
        return draw(self.tables, state, rng, unk=unk)

    @property
    def n_parameters(self) -> int:
        """The number of stored probabilities and back-off weights."""
        return sum(map(len, self.tables.log_prob)) + sum(map(len, self.tables.backoff))

    def used_in(self, state: State, length: int) -> int:
        """The length of the longest suffix of the context that was seen in training as a context.

        `<s>` does not count. For methods with `Smoothing.whole_contexts` it is 0 unless the whole
        context was seen.
        """
        seen = longest(state)
        whole = min(length + 1, self.order - 1)  # with <s>
        return min(length, seen) if seen == whole or not self.smoothing.whole_contexts else 0

    @property
    def caveat(self) -> str:
        """The caveat of the smoothing method."""
        return self.smoothing.caveat

    @property
    def is_closed(self) -> bool:
        """Whether `<unk>` has probability zero after every context (see `close`)."""
        return bool(np.isneginf(self.lookup.score_next((), Vocabulary.unk_id)[0]))

    # Files ----------------------------------------------------------------------------------

    def _parameters(self) -> Mapping[str, Parameter]:
        return {**parameters(NGramModel), **parameters(type(self.smoothing))}

    def _param(self, name: str) -> Any:
        if name == "smoothing":
            return self.smoothing.name
        return self.order if name == "order" else getattr(self.smoothing, name)

    def config(self) -> dict[str, Any]:
        kept = {} if self.counts is None else {"counts": self.counts.config()}
        return {
            **kept,
            "order": self.order,
            "smoothing": self.smoothing.name,
            "options": self.smoothing.get_params(),
            "min_counts": list(self.smoothing.min_counts),
            "fitted": self.fitted,
            "is_distribution": self.is_distribution,
            "unseen_backoff": self.tables.unseen_backoff,
        }

    def arrays(self) -> dict[str, Array]:
        return {**self.tables.to_arrays(), **({} if self.counts is None else self.counts.arrays())}

    @classmethod
    def restore(cls, config: dict[str, Any], arrays: Mapping[str, Array], reading: Reading) -> Self:
        check_values(config, _CONFIG)
        if not 1 <= config["order"] <= MAX_ORDER or config["unseen_backoff"] > 0:
            raise LangmodelsError("its order or its unseen_backoff is out of range.")
        whole = cls._whole(config["order"], arrays)
        tables = NGramTables.from_arrays(whole, config["order"], config["unseen_backoff"])
        smoothing = restored_smoothing(config["smoothing"], config["options"])
        smoothing.min_counts = tuple(config["min_counts"])
        model = cls.from_tables(tables, reading, smoothing=smoothing)
        model.fitted = config["fitted"]
        if "counts" in config:
            model._counts = lambda: TextCounts.restore(config["counts"], arrays, reading)
        model.is_distribution = config["is_distribution"]  # type: ignore[misc]
        verify = arrays.verify if isinstance(arrays, StoredArrays) else None
        if verify is None or sum(tables.sizes) <= _AT_ONCE:
            model._check(tables)
        else:
            del model.tables
            model._unchecked = tables, verify
        return model

    @classmethod
    def _whole(cls, order: int, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        """The arrays of the tables from those of the file; subclasses may store them otherwise."""
        return arrays

    @functools.cached_property
    def tables(self) -> NGramTables:
        """The n-grams, their probabilities and back-off weights; large files are checked at first
        use.
        """
        if self._unchecked is None:
            raise UsageError(f"This {type(self).__name__} has learnt nothing yet; call fit first.")
        tables, verify = self._unchecked
        if not verify():
            self._check(tables)
        tables.check()
        self._unchecked = None
        return tables

    def _check(self, tables: NGramTables) -> None:
        """Check all values, and that distributions sum to one.

        Raises LangmodelsError for tables that `save` cannot have written.
        """
        tables.check()
        sums = context_sums(tables if self.is_distribution else normalized(tables))
        worst = max(float(np.abs(z - 1).max(initial=0)) for z in sums)
        if worst <= _SUMS and not (self.is_distribution and tables.unseen_backoff):
            return
        if self.smoothing.name != "given":
            raise LangmodelsError("its tables are damaged: probabilities do not sum to 1.")
        warnings.warn(
            f"The probabilities of the model do not sum to 1, but to {worst:.4g} more or less "
            "after some contexts, as in the file that it was made from.",
            FileWarning,
            stacklevel=2,
        )


@functools.cache
def with_smoothing(name: str) -> Callable[..., NGramModel]:
    """`NGramModel` with `smoothing` fixed, and the options of that method in its signature."""
    return forwards(SMOOTHINGS.find(name))(functools.partial(NGramModel, smoothing=name))


def _checked(min_counts: Sequence[int], smoothing: Smoothing) -> tuple[int, ...]:
    """Valid minimum counts as a tuple. Raises UsageError for others, and for a method without
    cut-offs.
    """
    for n in min_counts:
        check_whole(min_counts=n)
    limits = tuple(min_counts)
    if limits[0] != 1 or list(limits) != sorted(limits):
        raise UsageError(
            "Minimum counts start with 1, for single words, and never fall from order to order: "
            f"1, 1, 2 for example, not {', '.join(map(str, limits))}."
        )
    if not smoothing.can_cut:
        raise UsageError(
            f"{smoothing.name} cannot leave out rare n-grams; for min_counts use a method that "
            "interpolates, such as modified_kneser_ney."
        )
    return limits
