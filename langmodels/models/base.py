"""The interface of every model: h = f(h, x) and p = g(h), and all that follows from the two."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from langmodels.arguments import checked
from langmodels.arrays import FloatArray, IntArray
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.contexts import Contexts, S
from langmodels.models.decoding import Decoding, beam_search, generate
from langmodels.models.model import Model
from langmodels.models.scores import check_scores
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.reading import Text
from langmodels.text.sequences import Sequences
from langmodels.text.vocabulary import BOS, Vocabulary

_SUM = 1e-3
"""How far from 1 rounding may leave a sum of probabilities."""


_TOGETHER = 1 << 20
"""Ids of a long text that are scored together."""


class LanguageModel(Model, Contexts[S]):
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

    # The two functions, and where they begin ------------------------------------------------

    @abstractmethod
    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        """Learn from a corpus, or from a text, which is then read in words. Returns self.

        `validation` is for what needs held-out text.
        """

    # What a table says about a model ---------------------------------------------------------

    @property
    def reads_spelling(self) -> bool:
        """Whether what unknown tokens look like makes a difference (`Sequences.unknown`)."""
        return False

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

    def score_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """`score_sequences` of a document that comes some sequences at a time.

        Args:
            sequences: the next ones of the document, over which state is carried.
            memory: what the call before this one gave beside the scores; none: it begins here.

        Scores are those of the whole document, but for the rounding of networks.
        """
        if not self.remembers:
            return self.score_sequences(sequences), None
        scores, i = np.empty(sequences.n_tokens), 0
        for ids in sequences.whole():
            state = self.start() if memory is None else self.start_after(*memory)
            tokens = ids[1:].tolist()
            for k, token in enumerate(tokens, 1):
                scores[i] = self.log_prob_next(state, token)
                i += 1
                if k < len(tokens):
                    state = self.advance(state, token)
            memory = state, int(ids[-1])
        return scores, memory

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

    @checked
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

    def scores_on(self, sequences: Sequences, memory: Any = None) -> tuple[FloatArray, Any]:
        """`score_on`, looked at as `scores` does."""
        with np.errstate(over="ignore", invalid="ignore"):
            scores, memory = self.score_on(sequences, memory)
        check_scores(scores, sequences.targets, self.vocabulary)
        return scores, memory

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
        """Log p(sequence) in nats: the chain rule's sum, `</s>` included where there are ends.

        Where a line is a sequence, a text of several is one nevertheless, of which a warning says
        so; `score_texts` scores a text line by line.
        """
        return float(self.token_scores(sequence).sum())

    @checked
    def score_many(self, sequences: Sequence[Text]) -> FloatArray:
        """`score` of each of many sequences, (len(sequences),), in nats, together."""
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

    @checked
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
        if max_tokens < 0:
            raise UsageError(f"max_tokens must be 0 or more, not {max_tokens}.")
        decoding = Decoding(0.0 if greedy else temperature, top_k, top_p, unk)
        rng = np.random.default_rng(seed)
        ids = generate(self, self.state(prompt), decoding, rng, max_tokens)
        return self.vocabulary.decode(ids)

    def sample_text(self, prompt: Text = (), **options: Any) -> str:
        """`sample`, put together as running text, without the prompt."""
        return self.reading.text(self.sample(prompt, **options))

    @checked
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
