"""The full-context model: worked examples, a slow direct computation, and repetitive text."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import langmodels.fullcontext.fitting as fitting
from langmodels.errors import LangmodelsError, UsageError
from langmodels.fullcontext import FullContextModel
from langmodels.fullcontext.counts import ContextCounts
from langmodels.fullcontext.matching import Matcher
from langmodels.fullcontext.smoothing import N_FEATURES, N_GATES, default_weights
from langmodels.fullcontext.tree import ContextTree
from langmodels.models.base import LanguageModel
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

WORDS = """the cat sat on the mat
the cat sat on the log
the dog sat on the mat and the cat ran
a dog ran to the mat
a dog ran to the mat
a cat and a dog and a cat
"""
OTHER_WORDS = "the cat ran to the dog and the zebra sat\na dog ran to the moon\nmat\n"
CHARS = "she sells sea shells by the sea shore; the shells she sells are sea shells, I'm sure. " * 3
OTHER_CHARS = "so if she sells shells on the sea shore, then I'm sure she sells sea-shore shells"


def corpus(text: str, level: str, like: Corpus | None = None) -> Corpus:
    return Corpus.from_text(
        text, make_tokenizer(level), vocabulary=None if like is None else like.vocabulary
    )


@pytest.fixture(scope="module", params=["word", "char"])
def pair(request: pytest.FixtureRequest) -> tuple[Corpus, Corpus]:
    if request.param == "word":
        train = corpus(WORDS, "word")
        return train, corpus(OTHER_WORDS, "word", train)
    train = corpus(CHARS, "char")
    return train, corpus(OTHER_CHARS, "char", train)


def varied_weights() -> np.ndarray:
    """Weights under which every feature matters."""
    return default_weights() + 0.2 * np.random.default_rng(5).normal(size=(N_FEATURES, N_GATES))


class Direct:
    """The recursion of the smoothed model over dictionaries, one probability at a time."""

    def __init__(self, train: Corpus, weights: np.ndarray, unk_share: float) -> None:
        self.weights, self.unk_share = weights, unk_share
        self.n_predictable = train.vocabulary.n_predictable
        self.before: dict[tuple[int, ...], set[object]] = defaultdict(set)
        self.occurrences: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        self.branches: dict[tuple[int, ...], dict[int, set[object]]] = {}
        for number, (a, b) in enumerate(zip(train.offsets, train.offsets[1:], strict=False)):
            ids = train.ids[a:b].tolist()
            for end in range(1, len(ids) + 1):
                for length in range(end + 1):
                    context = tuple(ids[end - length : end])
                    left = ids[end - length - 1] if length < end else ("start", number)
                    self.before[context].add(left)
                    if end < len(ids):
                        self.occurrences[context][ids[end]] += 1
                        by_symbol = self.branches.setdefault(context, defaultdict(set))
                        by_symbol[ids[end]].add(left)

    def p(self, history: list[int], x: int) -> float:
        chain = [tuple(history[len(history) - k :]) for k in range(len(history) + 1)]
        known = [c for c in chain if c in self.before]
        used = [c for c in known[:-1] if len(self.before[c]) > 1] + [known[-1]]
        p = self.unk_share if x == 0 else (1 - self.unk_share) / (self.n_predictable - 1)
        above = 0
        for context in used:
            p = self.step(context, above, x, p)
            above = len(context)
        return p

    def step(self, context: tuple[int, ...], above: int, x: int, below: float) -> float:
        n = self.occurrences[context]
        if not n:
            return below
        lower = self.lower_end(context)
        on_edge = len(self.before[context]) == 1
        count = {y: len(lefts) for y, lefts in self.branches[context].items()}
        sizes = self.branches[lower] if lower else self.branches[context]
        total = sum(n.values())
        length = min(len(context), 64)
        logs = [
            (math.log(1 + length) - 1.7) / 0.6,
            (math.log(len(n)) - 1.5) / 1.2,
            (math.log(sum(len(b) for b in sizes.values())) - 3) / 2,
            (math.log(total) - 4) / 3,
        ]
        f = [1.0, *logs, *(logs[i] * logs[j] for i in range(4) for j in range(i, 4))]
        once = on_edge and not lower
        f += [on_edge, once, math.log(length - above) if on_edge else 0]
        f += [float(length == k) for k in range(7)]
        gate = expit(np.array(f) @ self.weights)
        discount = {y: gate[min(c, 3) - 1] * min(c, 3) for y, c in count.items()}
        free = sum(discount.values()) / sum(count.values())
        p = free * below
        if x in n:
            p += gate[3] * (count[x] - discount[x]) / sum(count.values())
            p += (1 - gate[3]) * (1 - free) * n[x] / total
        return float(p)

    def lower_end(self, context: tuple[int, ...]) -> tuple[int, ...] | None:
        """The shortest branching context that ends with this one, if there is one."""
        while len(self.before[context]) == 1:
            (left,) = self.before[context]
            if isinstance(left, tuple):
                return None
            context = (left, *context)
        return context


def test_smoothed_probabilities_against_direct_computation(
    pair: tuple[Corpus, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, other = pair
    fitted = varied_weights(), 0.3
    monkeypatch.setattr("langmodels.fullcontext.model.fit_weights", lambda *_: fitted)
    model = FullContextModel().fit(train)
    direct = Direct(train, *fitted)
    fast, target = model.score_corpus(other), 0
    symbols = [i for i in range(len(train.vocabulary)) if i != 1]
    for a, b in zip(other.offsets, other.offsets[1:], strict=False):
        ids, state = other.ids[a:b].tolist(), model.start()
        for end in range(1, len(ids)):
            expected = [direct.p(ids[:end], x) for x in symbols]
            assert sum(expected) == pytest.approx(1)
            assert np.exp(model.log_distribution(state)[symbols]) == pytest.approx(expected)
            one = direct.p(ids[:end], ids[end])
            assert math.exp(fast[target]) == pytest.approx(one)
            assert math.exp(model.log_prob_next(state, ids[end])) == pytest.approx(one)
            state, target = model.advance(state, ids[end]), target + 1
    assert target == len(fast)


def test_unsmoothed_is_the_relative_frequency_of_the_whole_history() -> None:
    model = FullContextModel("none").fit(corpus(WORDS, "word"))
    assert model.prob("cat", "the") == pytest.approx(2 / 3)
    assert model.prob("mat", "the cat sat on the") == pytest.approx(1 / 2)
    assert model.prob("cat", "a dog ran to the") == 0
    assert model.score("a dog ran to the mat") == pytest.approx(math.log(3 / 6 * 2 / 3))
    # "on the" was seen, but never from the start of a sequence.
    others = model.vocabulary.n_predictable
    assert model.distribution("on the")[2:] == pytest.approx(1 / others)
    assert model.context_used("on the") == 0
    assert model.context_used("the cat sat") == 3


def test_unsmoothed_against_direct_counts(pair: tuple[Corpus, Corpus]) -> None:
    train, other = pair
    model = FullContextModel("none").fit(train)
    begun: Counter[tuple[int, ...]] = Counter()
    for a, b in zip(train.offsets, train.offsets[1:], strict=False):
        begun.update(tuple(train.ids[a:end]) for end in range(a + 1, b + 1))
    scores, known = [], []
    for a, b in zip(other.offsets, other.offsets[1:], strict=False):
        for end in range(a + 1, b):
            history = tuple(other.ids[a:end])
            after = {h: n for h, n in begun.items() if h[:-1] == history}
            known.append(bool(after))
            n = after.get((*history, other.ids[end]), 0)
            p = n / sum(after.values()) if after else 1 / train.vocabulary.n_predictable
            scores.append(math.log(p) if p else -math.inf)
    assert model.score_corpus(other) == pytest.approx(scores)
    assert np.array_equal(model.known_histories(other), known)
    assert model.score_corpus(train) == pytest.approx(LanguageModel.score_sequences(model, train))


def test_the_gradient_of_the_held_out_likelihood(pair: tuple[Corpus, Corpus]) -> None:
    train, other = pair
    counts = ContextCounts(
        Matcher(ContextTree.build(train.ids, train.offsets, len(train.vocabulary)), bos=1)
    )
    matches = counts.matcher.match(other.ids, other.offsets)
    paths = fitting.Paths.of(counts, matches, other.targets, unk=0)
    likelihood = fitting.Likelihood(paths, train.vocabulary.n_predictable)
    at = np.append(varied_weights().ravel(), -1.5)
    loss, gradient = likelihood(at)
    step = 1e-5 * np.eye(len(at))
    numeric = [(likelihood(at + s)[0] - likelihood(at - s)[0]) / 2e-5 for s in step]
    assert gradient == pytest.approx(np.array(numeric), rel=1e-5, abs=1e-5)
    direct = Direct(train, varied_weights(), float(expit(-1.5)))
    expected = 0.0
    for a, b in zip(other.offsets, other.offsets[1:], strict=False):
        ids = other.ids[a:b].tolist()
        expected -= sum(math.log(direct.p(ids[:end], ids[end])) for end in range(1, len(ids)))
    assert loss == pytest.approx(expected)


@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_the_likelihood_is_finite_far_out(pair: tuple[Corpus, Corpus], size: float) -> None:
    train, other = pair
    model = FullContextModel(held_out=0).fit(train)
    likelihood = fitting.Likelihood(
        model._paths(model._model.counts, other), train.vocabulary.n_predictable
    )
    loss, gradient = likelihood(np.full(N_FEATURES * N_GATES + 1, size))
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


def test_fitting_lowers_the_held_out_loss() -> None:
    train, held_out = corpus(CHARS, "char"), corpus(OTHER_CHARS, "char")
    held_out = corpus(OTHER_CHARS, "char", train)
    unfitted = FullContextModel(held_out=0).fit(train)
    fitted = FullContextModel().fit(train, held_out)
    assert fitted.cross_entropy(held_out) < unfitted.cross_entropy(held_out)


def test_smoothed_beats_the_unigram_and_knows_long_contexts() -> None:
    train = corpus(CHARS, "char")
    model = FullContextModel().fit(train)
    assert model.prob("l", "she sel") > 0.8
    assert model.context_used("xyz she sel") == 8
    assert model.context_used("she") == 3
    assert model.prob("<unk>", "she sells") > 0
    assert model.context_length is None
    assert model.n_parameters > len(set(CHARS))


@pytest.mark.parametrize("smoothing", ["kneser_ney", "none"])
@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("a" * 20_000, "a" * 3000 + "b" + "a" * 100),
        ("once upon a time there was a text. " * 50, "upon a time there was a time. " * 50),
        ("ab", "ba"),
        ("a", "a"),
        ("a", "b"),
    ],
    ids=["all the same", "repeated", "two tokens", "one token", "one unknown token"],
)
def test_odd_texts(smoothing: str, text: str, other: str) -> None:
    train = corpus(text, "char")
    test = corpus(other, "char", train)
    model = FullContextModel(smoothing).fit(train)
    fast = model.score_corpus(test)
    assert len(fast) == test.n_tokens
    assert not np.isnan(fast).any()
    if smoothing == "kneser_ney":
        assert np.isfinite(fast).all()
    some = test.head(150)
    assert fast[: some.n_tokens] == pytest.approx(LanguageModel.score_sequences(model, some))
    state = model.start()
    for token in test.targets[:20].tolist():
        assert np.exp(model.log_distribution(state)).sum() == pytest.approx(1)
        state = model.advance(state, token)


@settings(max_examples=25)
@given(
    lines=st.lists(st.text("ab ", max_size=8), min_size=1, max_size=5),
    level=st.sampled_from(["word", "char"]),
)
def test_every_smoothed_distribution_is_positive_and_sums_to_one(
    lines: list[str], level: str
) -> None:
    train = corpus("\n".join(["a", *lines, ""]), level)
    model = FullContextModel().fit(train)
    unk = model.vocabulary.unk_id
    for history in ([], [unk], *(ids[:-1].tolist() for ids in train.sequences())):
        p = np.exp(model.log_distribution(model.state(history)))
        assert (np.delete(p, model.vocabulary.bos_id) > 0).all()
        assert p.sum() == pytest.approx(1.0, abs=1e-9)
    assert np.isfinite(model.score_corpus(train)).all()


def test_empty_sequences_and_many_of_them() -> None:
    tokenizer = make_tokenizer("word")
    like = corpus(WORDS, "word")
    sequences = [[], ["the", "cat"], [], ["the"]] * 3
    train = Corpus.from_sequences(sequences, tokenizer, like.vocabulary)
    model = FullContextModel().fit(train)
    assert model.score([]) > model.score(["cat"])
    assert model.score_corpus(train) == pytest.approx(LanguageModel.score_sequences(model, train))
    plain = FullContextModel("none").fit(train)
    assert plain.score(["the"]) == pytest.approx(math.log(1 / 2 * 1 / 2))


def test_sequences_without_an_end() -> None:
    like = corpus("abcab", "char")
    train = Corpus.from_sequences(
        [list("abc"), list("ab"), list("ab"), []], like.tokenizer, like.vocabulary
    )
    model = FullContextModel("none").fit(train)
    assert model.prob("c", "ab") == 1  # two more ended there, which is no token
    assert model.distribution("abc")[[0, 2]] == pytest.approx(1 / 4)
    smoothed = FullContextModel().fit(train)
    assert np.exp(smoothed.log_distribution(smoothed.state("abc"))).sum() == pytest.approx(1)
    direct = Direct(train, smoothed._weights, smoothed._unk_share)
    ids = [1, *train.vocabulary.encode(list("abc")).tolist()]
    assert smoothed.prob("c", "ab") == pytest.approx(direct.p(ids[:3], ids[3]))


@pytest.mark.parametrize("smoothing", ["kneser_ney", "none"])
def test_saved_and_loaded_exactly(
    pair: tuple[Corpus, Corpus], smoothing: str, tmp_path: object
) -> None:
    train, other = pair
    model = FullContextModel(smoothing).fit(train)
    model.save(f"{tmp_path}/model")
    loaded = FullContextModel.load(f"{tmp_path}/model")
    assert np.array_equal(loaded.score_corpus(other), model.score_corpus(other))
    assert loaded.n_parameters == model.n_parameters
    state = loaded.state(other.targets[:5])
    assert np.array_equal(loaded.log_distribution(state), model.log_distribution(state))


def test_wrong_arguments() -> None:
    with pytest.raises(UsageError, match="kneser_ney"):
        FullContextModel("good_turing")
    with pytest.raises(UsageError, match=r"between 0 and 0\.5"):
        FullContextModel(held_out=0.9)
    train = corpus(WORDS, "word")
    nothing = Corpus.from_sequences([], train.tokenizer, train.vocabulary)
    with pytest.raises(LangmodelsError, match="empty"):
        FullContextModel().fit(nothing)
