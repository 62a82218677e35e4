"""The interface of every model: h = f(h, x) and p = g(h), and all that follows from the two."""

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, SupportsIndex, TypeVar

import numpy as np

from langmodels import notebooks
from langmodels.arrays import Array, FloatArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.decoding import Decoding, beam_search, generate
from langmodels.models.files import KINDS, ModelFile, pack, pickled, read_model
from langmodels.models.scores import check_scores
from langmodels.settings import Configurable
from langmodels.tensors import save_arrays
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Reading, Text, WithReading
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import BOS, Vocabulary

S = TypeVar("S")

_SUM = 1e-3
"""How far from 1 rounding may leave a sum of probabilities."""


_TOGETHER = 1 << 20
"""Ids of a long text that are scored together."""


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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file (safetensors; nothing in it is ever executed)."""
        metadata, arrays = pack(self)
        save_arrays(path, arrays, metadata)

    @classmethod
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
        if corpus.vocabulary is not self.vocabulary and corpus.vocabulary != self.vocabulary:
            raise UsageError("The corpus must be encoded with the vocabulary of the model.")


class LanguageModel(Model, Generic[S]):
    """A probability for every sequence, by the chain rule.

    A model is two functions. `advance` folds the next symbol into the context,
    h_t = f(h_{t-1}, x_t); `log_distribution` turns the context into a distribution over the next
    symbol, g(h_t). Everything else is written once, here, on those two and on `start`, the
    context of an empty sequence.

    States are values: `advance` returns a new one and leaves the old one usable. All log
    probabilities are natural; every distribution covers the whole vocabulary, sums to one, and
    gives `<s>` zero.

    A new family implements `fit`, `start`, `advance`, `log_distribution`, and for storage
    `config`, `arrays` and `restore`; it may override `log_prob_next` and `score_sequences` where it
    can do better than the loops here.
    """

    is_distribution: ClassVar[bool] = True
    """False for a model whose scores do not sum to one (stupid backoff)."""

    reads_spelling: ClassVar[bool] = False
    """Whether what unknown tokens look like makes a difference (`Sequences.unknown`)."""

    # The two functions, and where they begin ------------------------------------------------

    @abstractmethod
    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Learn from a corpus, or from a text, which is then read in words. Returns self.

        `validation` is for what needs held-out text.
        """

    @abstractmethod
    def start(self) -> S:
        """h_0: the context at the beginning of a sequence."""

    @abstractmethod
    def advance(self, state: S, token: int) -> S:
        """f: the context after one more token id."""

    @abstractmethod
    def log_distribution(self, state: S) -> FloatArray:
        """g: log p(next | context) in nats for every token id, shape (V,)."""

    def start_after(self, state: S, last: int) -> S:
        """The context at the beginning of a sequence that goes on from another of its document.

        `state` is the context in which the last token of that one, `last`, was predicted. Models
        that remember nothing beyond a sequence start afresh.
        """
        return self.start()

    # What a table says about a model ---------------------------------------------------------

    @property
    def context_length(self) -> int | None:
        """How many preceding tokens can matter; None where there is no limit."""
        return None

    @property
    def slides(self) -> bool:
        """Whether nothing but the last `context_length` tokens matters, wherever they stand."""
        return False

    @property
    def caveat(self) -> str:
        """What has to be said wherever its figures stand; nothing of most models."""
        return ""

    def context_used(self, context: Text = ()) -> int:
        """How many of the last tokens of this very context the model takes into account."""
        return self.used_in(self.state(context), len(self.encode(context)))

    def used_in(self, state: S, length: int) -> int:
        """`context_used` of a context of `length` tokens, from the state after it."""
        return length if self.context_length is None else min(length, self.context_length)

    # Fast paths: override where a model can do better than the loop ---------------------------

    def log_prob_next(self, state: S, token: int) -> float:
        """Log p(token | context) in nats."""
        self._check_id(token)
        return float(self.log_distribution(state)[token])

    def sample_next(self, state: S, rng: np.random.Generator, *, unk: bool = False) -> int:
        """A token id drawn from p(next | context), without `unk` from what is not `<unk>`."""
        return Decoding(unk=unk).choose(self.log_distribution(state), rng)

    def score_sequences(self, sequences: Sequences) -> FloatArray:
        """Log p of every target in nats, (sequences.n_tokens,), one sequence after the other.

        The one batched primitive: whatever scores text goes through here. The ids must be those of
        the model's vocabulary. Where the sequences have documents, state is carried over those.
        """
        scores = np.empty(sequences.n_tokens)
        for i, (state, token) in enumerate(self.walk(sequences)):
            scores[i] = self.log_prob_next(state, token)
        return scores

    def walk(self, sequences: Sequences) -> Iterator[tuple[S, int]]:
        """The context before each target, and the target, one sequence after the other.

        Where the sequences have documents, state is carried over those.
        """
        fresh = sequences.begins_afresh[sequences.offsets[:-1]].tolist()
        state: S | None = None
        last = 0
        for afresh, ids in zip(fresh, sequences.whole(), strict=True):
            state = self.start() if afresh or state is None else self.start_after(state, last)
            last = int(ids[-1])
            tokens = ids[1:].tolist()
            for k, token in enumerate(tokens, 1):
                yield state, token
                if k < len(tokens):
                    state = self.advance(state, token)

    # Written once ---------------------------------------------------------------------------

    def state(self, context: Text = ()) -> S:
        """The state after a context, which is taken as the beginning of a sequence."""
        tokens = self.encode(context).tolist()
        state = self.start()
        for token in tokens:
            state = self.advance(state, token)
        return state

    def prob(self, token: str | int, context: Text = ()) -> float:
        """p(token | context).

        >>> import langmodels
        >>> text = "the cat sat and the cat ran"
        >>> corpus = langmodels.Corpus.from_text(text, langmodels.make_tokenizer("word"))
        >>> model = langmodels.make_model("mle:order=2").fit(corpus)
        >>> round(model.prob("ran", context="the cat"), 6)
        0.5
        """
        return math.exp(self.log_prob(token, context))

    def log_prob(self, token: str | int, context: Text = ()) -> float:
        """Log p(token | context) in nats."""
        return self.log_prob_next(self.state(context), self._token_id(token))

    def distribution(self, context: Text = ()) -> FloatArray:
        """p(next | context) for every token id, shape (V,)."""
        return np.exp(self.log_distribution(self.state(context)))

    def predict(self, context: Text = (), k: int = 10) -> list[tuple[str, float]]:
        """The `k` most probable next tokens after a context, with their probabilities."""
        if k < 1:
            raise UsageError(f"Ask for at least one prediction, not {k}.")
        p = self.distribution(context)
        p[Vocabulary.bos_id] = -1.0  # behind everything else of probability zero
        best = np.argsort(-p, kind="stable")[: min(k, self.vocabulary.n_predictable)]
        return [(self.vocabulary.token(i), float(p[i])) for i in best.tolist()]

    def sequences_of(self, texts: Sequence[Text]) -> Sequences:
        """Texts as the model reads them, each a sequence of its own with its boundaries."""
        return self.reading.sequences(texts, unknown=self.reads_spelling)

    def scores(self, sequences: Sequences) -> FloatArray:
        """`score_sequences`, looked at: what becomes a figure comes from here.

        Raises LangmodelsError, naming the token, where one is no log probability.
        """
        scores = self._raw_scores(sequences)
        check_scores(scores, sequences.targets, self.vocabulary)
        return scores

    def _raw_scores(self, sequences: Sequences) -> FloatArray:
        with np.errstate(over="ignore", invalid="ignore"):
            return self.score_sequences(sequences)

    def scores_from_nothing(self, sequences: Sequences) -> FloatArray:
        """`scores`, where no sequence has the beginning `<s>` as its context, but nothing.

        Raises UsageError for models that know no such context: all but n-gram models.
        """
        raise UsageError(
            f"A {type(self).__name__} begins every sequence with {BOS}; only n-gram models can "
            "do without."
        )

    def token_scores(self, sequence: Text) -> FloatArray:
        """Log p of each token given those before it, in nats; `</s>` last where there are ends."""
        return self.scores(self.sequences_of([sequence]))

    def score(self, sequence: Text) -> float:
        """Log p(sequence) in nats: the chain rule's sum, `</s>` included where there are ends."""
        return float(self.token_scores(sequence).sum())

    def score_many(self, sequences: Sequence[Text]) -> FloatArray:
        """`score` of each of many sequences, (len(sequences),), in nats, together."""
        if isinstance(sequences, str):
            raise UsageError("score_many takes a list of sequences; score takes one.")
        read = self.sequences_of(list(sequences))
        return read.sums(self.scores(read))

    def score_corpus(self, corpus: Corpus) -> FloatArray:
        """Log p of every target of a corpus, in nats, shape (corpus.n_tokens,), in corpus order.

        Raises UsageError where the corpus was encoded with another vocabulary, and LangmodelsError
        where a score is no log probability.
        """
        self._check_corpus(corpus)
        return self.scores(corpus)

    def score_blocks(self, corpus: Corpus) -> Iterator[tuple[IntArray, FloatArray]]:
        """`score_corpus` some at a time: targets (n,), and log p of each in nats, (n,).

        Memory does not grow with the text, but with its longest sequence where `slides` is false.
        """
        self._check_corpus(corpus)
        reach = self.context_length if self.slides else None
        done = 0
        for part, again in corpus.blocks(_TOGETHER, reach):
            scores, targets = self._raw_scores(part)[again:], part.targets[again:]
            check_scores(scores, targets, self.vocabulary, done)
            done += len(targets)
            yield targets, scores

    def normalized(self) -> Self:
        """The model itself, or where its scores sum to anything else, that proportional to them."""
        return self

    def cross_entropy(self, corpus: Corpus) -> float:
        """Mean of -log p over the tokens of a corpus, in nats a token, of `normalized` scores."""
        return -float(self.normalized().score_corpus(corpus).mean())

    def perplexity(self, corpus: Corpus) -> float:
        """The exponential of the cross-entropy; infinite where any token has probability zero."""
        loss = self.cross_entropy(corpus)
        return math.exp(loss) if loss < 700 else math.inf

    def sample(
        self,
        prompt: Text = (),
        *,
        max_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        unk: bool = False,
        seed: int | np.random.Generator | None = None,
    ) -> list[str]:
        """Tokens drawn from the model after a prompt (which is not repeated).

        Stops at the end of the sequence or after `max_tokens`. See `Decoding` for the options;
        `greedy` is a temperature of zero. The same seed gives the same tokens.
        """
        decoding = Decoding(0.0 if greedy else temperature, top_k, top_p, unk)
        rng = np.random.default_rng(seed)
        ids = generate(self, self.state(prompt), decoding, rng, max_tokens)
        return self.vocabulary.decode(ids)

    def sample_text(self, prompt: Text = (), **options: Any) -> str:
        """`sample`, put together as running text, without the prompt."""
        return self.reading.text(self.sample(prompt, **options))

    def complete(
        self, prompt: Text = (), *, max_tokens: int = 20, width: int = 8
    ) -> list[tuple[list[str], float]]:
        """The most probable continuations that beam search finds: (tokens, log p in nats)."""
        found = beam_search(self, self.state(prompt), width=width, max_tokens=max_tokens)
        return [(self.vocabulary.decode(h.ids), h.log_prob) for h in found]

    # Help for subclasses --------------------------------------------------------------------

    def check_start(self) -> None:
        """Raise LangmodelsError where the first distribution is none; `restore` may end with it."""
        with np.errstate(all="ignore"):
            p = np.exp(self.log_distribution(self.start()))
        if self.is_distribution and not abs(float(p.sum()) - 1) < _SUM:
            raise LangmodelsError(f"its arrays are damaged: probabilities sum to {p.sum():.4g}.")
        if p[Vocabulary.bos_id] != 0:
            raise LangmodelsError(f"its arrays are damaged: {BOS} is predicted.")

    def check_walk(self, steps: int = 200) -> None:
        """Raise LangmodelsError where distributions along a text of the model's own are none.

        For files without checksums whose arrays cannot be seen to be whole in a cheaper way.
        """
        rng = np.random.default_rng(0)
        state, tokens, scores = self.start(), [], []
        with np.errstate(all="ignore"):
            for left in reversed(range(steps)):
                log_p = self.log_distribution(state)
                p = np.exp(log_p)
                if not abs(float(p.sum()) - 1) < _SUM:
                    raise LangmodelsError("its arrays are damaged: probabilities do not sum to 1.")
                tokens.append(int(rng.choice(len(p), p=p / p.sum())))
                scores.append(float(log_p[tokens[-1]]))
                if left and tokens[-1] != self.vocabulary.eos_id:
                    state = self.advance(state, tokens[-1])
                    continue
                text = [t for t in tokens if t != self.vocabulary.eos_id]
                if not np.allclose(self.token_scores(text)[: len(text)], scores[: len(text)]):
                    raise LangmodelsError("its arrays are damaged: scores disagree.")
                state, tokens, scores = self.start(), [], []

    def _check_id(self, token: int) -> None:
        """Arrays would read a negative id from the end, and some that are too large, too."""
        if not 0 <= token < len(self.vocabulary):
            raise UsageError(f"Token ids must lie between 0 and {len(self.vocabulary) - 1}.")

    def _token_id(self, token: str | int) -> int:
        if not isinstance(token, str):
            return int(self.encode([token])[0])
        if token == BOS:
            raise UsageError(f"{BOS} marks the beginning; it is never predicted.")
        if token in self.vocabulary:
            return self.vocabulary.id(token)
        tokens = self.tokenize(token)
        if len(tokens) != 1:
            raise UsageError(
                f"{token!r} is {len(tokens)} tokens, not one; use score for sequences."
            )
        return self.vocabulary.id(tokens[0])
