"""Word classes and the class n-gram model, against direct computation."""

import itertools
import math
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.errors import LangmodelsError, UsageError
from langmodels.models.mixture import MixtureModel
from langmodels.ngram import ClassModel, NGramModel, count_ngrams
from langmodels.ngram.clustering import Exchange, cluster
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

TEXT = """the cat sat
a dog ran
the dog sat
a cat ran
the cat ran
"""

pytestmark = pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")


def corpus(text: str = TEXT) -> Corpus:
    return Corpus.from_text(text, make_tokenizer("word"))


def random_corpus(seed: int) -> Corpus:
    rng = random.Random(seed)
    words = "abcdefghij"
    lines = [" ".join(rng.choices(words, range(1, 11), k=rng.randrange(1, 9))) for _ in range(40)]
    return corpus("\n".join(lines))


def direct_objective(text: Corpus, classes: np.ndarray) -> float:
    """Sum of log p(c2 | c1) p(c2's words in it), but for what does not depend on the classes."""
    pairs = Counter[tuple[int, int]]()
    for ids in text.whole():
        pairs.update(itertools.pairwise(classes[ids].tolist()))
    first, second = Counter[int](), Counter[int]()
    for (g, h), n in pairs.items():
        first[g] += n
        second[h] += n
    return sum(n * math.log(n / (first[g] * second[h])) for (g, h), n in pairs.items())


def exchange(text: Corpus, n_classes: int) -> Exchange:
    size = len(text.vocabulary)
    return Exchange(count_ngrams(text.ids, size, 2), n_classes, text.vocabulary.n_special)


@pytest.mark.parametrize("seed", range(4))
def test_words_move_to_where_the_likelihood_is_highest(seed: int) -> None:
    text = random_corpus(seed)
    found = exchange(text, 4)
    likelihood = found.log_likelihood()
    assert likelihood == pytest.approx(direct_objective(text, found.classes))
    while found.sweep():
        assert found.log_likelihood() > likelihood
        likelihood = found.log_likelihood()
        assert likelihood == pytest.approx(direct_objective(text, found.classes))
        assert np.array_equal(found.bigrams, found.transposed.T)
    # No word has a better place, by trying all of them.
    for word, other in itertools.product(found.movable.tolist(), range(4)):
        moved = found.classes.copy()
        moved[word] = text.vocabulary.n_special + other
        assert direct_objective(text, moved) <= likelihood + 1e-6


def test_the_best_of_all_classes() -> None:
    text = corpus()
    fixed = text.vocabulary.n_special
    classes = cluster(count_ngrams(text.ids, len(text.vocabulary), 2), 3, fixed, 10)
    together = {
        frozenset(text.vocabulary.decode(np.flatnonzero(classes == c))) for c in range(3, 6)
    }
    assert together == {frozenset(p) for p in (("the", "a"), ("cat", "dog"), ("sat", "ran"))}
    specials = list(range(fixed))
    best = max(
        direct_objective(text, np.array([*specials, *(fixed + c for c in choice)]))
        for choice in itertools.product(range(3), repeat=6)
    )
    assert direct_objective(text, classes) == pytest.approx(best)


def test_fixed_words_and_those_that_never_occur() -> None:
    text = corpus()
    size = len(text.vocabulary)
    counts = count_ngrams(text.ids, size + 2, 2)
    classes = cluster(counts, 2, 3, 5)
    assert classes[:3].tolist() == [0, 1, 2]
    assert classes[size:].tolist() == [0, 0]
    # More classes than words: each word has its own, and none is empty.
    classes = cluster(counts, 50, 3, 5)
    assert sorted(classes[3:size].tolist()) == list(range(3, size))


def test_probabilities_by_hand() -> None:
    model = ClassModel(2, 3, smoothing="mle").fit(corpus())
    # Classes {the, a}, {cat, dog}, {sat, ran}: every line is one of each, so that the n-gram of the
    # classes is certain. Counts: the 3, a 2; cat 3, dog 2; sat 2, ran 3.
    assert model.prob("the") == pytest.approx(3 / 5)
    assert model.prob("dog", "a") == pytest.approx(2 / 5)
    assert model.prob("dog", "the") == pytest.approx(2 / 5)
    assert model.prob("sat", "a dog") == pytest.approx(2 / 5)  # "dog sat" after "a": never seen
    assert model.prob("</s>", "a dog sat") == pytest.approx(1)
    assert model.score("a dog sat") == pytest.approx(math.log((2 / 5) ** 3))
    assert model.n_classes == 6
    assert sorted(model.words_of(model.class_of[model.vocabulary.id("cat")])) == ["cat", "dog"]


def test_as_many_classes_as_words_are_an_ngram_model() -> None:
    text, other = random_corpus(1), random_corpus(2)
    other = Corpus.read_by(text.reading, "\n".join(" ".join(s) for s in ("abc", "jih", "bz")))
    words = NGramModel(3, "witten_bell").fit(text)
    classes = ClassModel(3, 1000, smoothing="witten_bell").fit(text)
    assert classes.score_corpus(other) == pytest.approx(words.score_corpus(other), abs=1e-5)


def test_classes_help_a_model_of_words() -> None:
    rng = random.Random(3)
    kinds = [[f"{k}{i}" for i in "abcdefghijklmnopqrst"] for k in ("det", "noun", "verb")]

    def lines(n: int) -> str:
        return "".join(" ".join(map(rng.choice, kinds)) + "\n" for _ in range(n))

    tokenizer = make_tokenizer("whitespace")
    train = Corpus.from_text(lines(400), tokenizer)
    held_out, test = (Corpus.read_by(train.reading, lines(100)) for _ in range(2))
    words, classes = NGramModel(3).fit(train), ClassModel(3, 3).fit(train)
    assert classes.perplexity(test) < 0.7 * words.perplexity(test)
    mixture = MixtureModel([words, classes]).fit(train, held_out)
    assert mixture.perplexity(test) < 1.05 * classes.perplexity(test)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("class_of", lambda a: a + 100),
        ("class_of", lambda a: a - 5),
        ("class_of", lambda a: a[1:]),
        ("log_share", lambda a: a + 9),
        ("log_share", lambda a: a * np.nan),
    ],
)
def test_damaged_classes_are_refused(name: str, damage: object) -> None:
    model = ClassModel(2, 3).fit(corpus())
    arrays = model.arrays()
    arrays[name] = damage(arrays[name])  # type: ignore[operator]
    with pytest.raises(LangmodelsError, match=f"{name}.*damaged"):
        ClassModel.restore(model.config(), arrays, model.reading)


@pytest.mark.parametrize(
    "options",
    [{"order": 0}, {"classes": 0}, {"sweeps": -1}, {"smoothing": "stupid_backoff"}],
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ClassModel(**options)  # type: ignore[arg-type]


def test_from_the_command_line(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    Path("text.txt").write_text(TEXT)
    assert main(["train", "--corpus", "text.txt", "--classes", "3", "--output", "c.lm"]) == 0
    model = langmodels.load("c.lm")
    assert isinstance(model, ClassModel)
    assert model.classes == 3
    assert main(["train", "--corpus", "text.txt", "--classes", "3", "--model", "mkn"]) == 2
