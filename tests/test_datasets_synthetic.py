"""Generators: exact sampling, probabilities that sum to one, and the entropy they add up to."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langmodels.datasets import find_source, list_sources
from langmodels.datasets.synthetic import (
    GENERATORS,
    BracketSource,
    HiddenMarkovSource,
    MarkovSource,
    PeriodicSource,
    ReberSource,
    RecallSource,
    make_generator,
)
from langmodels.datasets.synthetic.automaton import run
from langmodels.errors import LangmodelsError, UsageError

VARIANTS = [
    "markov",
    "markov?order=0",
    "markov?order=1,alphabet=2,concentration=0.3",
    "markov?order=3,alphabet=6",
    "periodic",
    "periodic?noise=0",
    "periodic?noise=1,period=1",
    "reber",
    "reber?depth=0",
    "reber?depth=2",
    "recall",
    "recall?lag=2,spread=3,cues=3",
    "recall?lag=0,cues=1,distractors=1,spread=4",
    "recall?lag=60",
    "brackets",
    "brackets?types=1,p=0.3",
    "brackets?p=0.6,depth=3",
    "brackets?p=0.7,depth=1,types=2",
    "process",
    "seasonal",
    "seasonal?period=2.5,damping=0.3",
]
SLOW_MIXING = ["dna", "dna?island=50,sea=80"]
BOUNDED = ["hmm", "hmm?states=1", "hmm?states=3,alphabet=2,stay=0"]


def loop(step, inputs, start):
    states = [start]
    for i in range(len(inputs)):
        states.append(int(step(np.array(states[-1:]), inputs[i : i + 1])[0]))
    return states


@given(st.integers(0, 200), st.integers(1, 6), st.integers(0, 5), st.integers(0, 10**6))
@settings(max_examples=60)
def test_run_is_the_plain_loop(length, n_states, start, seed):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, n_states, (n_states, 3))
    inputs = rng.integers(0, 3, length)

    def step(states, symbols):
        return table[states, symbols]

    start = start % n_states
    assert run(step, inputs, start).tolist() == loop(step, inputs, start)


def test_run_is_right_where_paths_never_meet():
    def step(states, symbols):  # a counter: the worst case
        return (states + symbols) % 97

    inputs = np.random.default_rng(0).integers(0, 97, 5000)
    assert run(step, inputs, 5).tolist() == ((5 + np.append(0, inputs.cumsum())) % 97).tolist()


@pytest.mark.parametrize("variant", VARIANTS)
def test_true_code_length_of_a_sample_is_the_stated_entropy(variant):
    generator = make_generator(f"synthetic:{variant}{',' if '?' in variant else '?'}length=300000")
    text = generator.generate()
    assert abs(len(text) - 300_000) < 3000
    bits = -generator.log_probs(text) / math.log(2)
    assert np.isfinite(bits).all()
    blocks = bits[: len(bits) // 500 * 500].reshape(-1, 500).mean(axis=1)
    error = blocks.std(ddof=1) / math.sqrt(len(blocks))
    # Five standard errors, and 1e-4 for what the ends of the text do.
    assert abs(bits.mean() - generator.entropy_bits) < 5 * error + 1e-4
    assert not generator.entropy_is_bound
    assert generator.entropy_note.startswith("exact")


@pytest.mark.parametrize("variant", BOUNDED)
def test_true_code_length_of_a_hidden_markov_source_is_within_the_bounds(variant):
    generator = make_generator(f"synthetic:{variant}{',' if '?' in variant else '?'}length=300000")
    bits = -generator.log_probs(generator.generate()) / math.log(2)
    error = bits.reshape(-1, 500).mean(axis=1).std() / math.sqrt(600)
    lower, upper = generator.entropy_bounds
    assert lower <= upper + 1e-12
    assert upper - lower < 0.01
    assert lower - 5 * error < bits.mean() < upper + 5 * error
    assert (generator.entropy_bits, generator.entropy_is_bound) == (lower, True)


@pytest.mark.parametrize("variant", SLOW_MIXING)
def test_true_code_length_of_dna_is_within_wider_bounds(variant):
    generator = make_generator(f"synthetic:{variant}{',' if '?' in variant else '?'}length=300000")
    text = generator.generate()
    bits = -generator.log_probs(text) / math.log(2)
    error = bits.reshape(-1, 3000).mean(axis=1).std() / 10
    lower, upper = generator.entropy_bounds
    assert lower - 4 * error < bits.mean() < upper + 4 * error
    assert upper - lower < 0.05
    # Rare CpG in the sea, and the memory of the region, are what there is to learn.
    pairs = text.count("CG") / text.count("C") / (text.count("G") / len(text))
    assert 0.3 < pairs < 0.9
    assert bits.mean() < 1.97


def alphabet_of(generator):
    text = generator.generate()
    return sorted(set(text))


@pytest.mark.parametrize("variant", VARIANTS + BOUNDED + SLOW_MIXING)
def test_true_probabilities_sum_to_one_after_every_prefix(variant):
    generator = make_generator(f"synthetic:{variant}{',' if '?' in variant else '?'}length=3000")
    symbols = alphabet_of(generator)
    text = generator.generate()
    for cut in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55]:
        prefix = text[:cut]
        after = [np.exp(generator.log_probs(prefix + c)[-1]) for c in symbols]
        assert sum(after) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("variant", VARIANTS + BOUNDED + SLOW_MIXING)
def test_same_parameters_same_text(variant):
    name = f"synthetic:{variant}{',' if '?' in variant else '?'}length=2000"
    first, again = find_source(name), find_source(name)
    assert first.read() == again.read()
    assert first == again
    assert make_generator(first.name) == first.generator  # the name says everything
    assert first.level == first.generator.level
    if "noise=0" not in variant and "noise=1" not in variant and "cues=1" not in variant:
        assert find_source(name + ",seed=1").read() != first.read()


def test_log_probs_of_an_empty_text():
    for generator in GENERATORS.values():
        assert generator().log_probs("").shape == (0,)


@pytest.mark.parametrize("text", ["a\tb", "é", "\ud800", "\x7f", "🪲", "_"])
def test_foreign_characters_are_refused(text):
    for generator in GENERATORS.values():
        with pytest.raises(LangmodelsError, match="never makes"):
            generator().log_probs(text)


# Each generator against a direct computation.


def test_markov_order_one_against_its_closed_form():
    source = MarkovSource(order=1, alphabet=2, seed=3)
    (_, b), (c, _) = source.conditionals
    np.testing.assert_allclose(source.stationary, [c / (b + c), b / (b + c)])
    h = [-(p * math.log2(p) + (1 - p) * math.log2(1 - p)) for p in (b, c)]
    assert source.entropy_bits == pytest.approx((c * h[0] + b * h[1]) / (b + c))


def test_markov_strings_have_their_stationary_probability():
    source = MarkovSource(order=2, alphabet=3)
    p = {
        s: math.exp(source.log_probs("".join(s)).sum()) for s in itertools.product("abc", repeat=4)
    }
    assert sum(p.values()) == pytest.approx(1.0)
    # Stationary: the probability of "ab" is the same one place further on.
    early = sum(q for s, q in p.items() if s[:2] == ("a", "b"))
    late = sum(q for s, q in p.items() if s[2:] == ("a", "b"))
    assert early == pytest.approx(late)
    assert p["a", "b", "c", "a"] == pytest.approx(
        source.stationary[1] * source.conditionals[1, 2] * source.conditionals[5, 0]
    )


def test_markov_text_follows_its_conditionals():
    source = MarkovSource(order=1, alphabet=3, length=100_000, concentration=2.0)
    text = source.generate()
    for i, a in enumerate("abc"):
        after = [text.count(a + b) for b in "ac"]  # "bb" overlaps itself
        n = text[:-1].count(a)
        for b, count in zip((0, 2), after, strict=True):
            if b != i:
                assert count / n == pytest.approx(source.conditionals[i, b], abs=0.02)


def test_large_markov_chain_agrees_with_power_iteration():
    source = MarkovSource(order=4, alphabet=7, seed=1)  # 2401 contexts: the sparse way
    shares = np.full(7**4, 7.0**-4)
    for _ in range(500):
        shares = (shares[:, None] * source.conditionals).reshape(7, -1).sum(axis=0)
    np.testing.assert_allclose(source.stationary, shares, atol=1e-9)


def reber_strings(limit):
    """All plain Reber strings up to a length with their probabilities."""
    graph = {
        "start": [("B", "a")],
        "a": [("T", "b"), ("P", "c")],
        "b": [("S", "b"), ("X", "d")],
        "c": [("T", "c"), ("V", "e")],
        "d": [("X", "c"), ("S", "f")],
        "e": [("P", "d"), ("V", "f")],
        "f": [("E", None)],
    }
    todo = [("", "start", 1.0)]
    while todo:
        text, node, p = todo.pop()
        if node is None:
            yield text, p
        elif len(text) < limit:
            todo += [(text + s, n, p / len(graph[node])) for s, n in graph[node]]


def test_reber_against_enumeration():
    strings = list(reber_strings(22))
    plain, embedded = ReberSource(depth=0), ReberSource()
    for text, p in strings[:200]:
        assert plain.log_probs(text + "\n").sum() == pytest.approx(math.log(p))
        for c in "TP":
            wrapped = f"B{c}{text}{c}E\n"
            assert embedded.log_probs(wrapped).sum() == pytest.approx(math.log(p / 2))
    long = list(reber_strings(28))
    assert sum(p for _, p in long) > 0.997
    bits = sum(-p * math.log2(p) for _, p in long)
    mean = sum(p * len(text) for text, p in long)
    assert plain.entropy_bits == pytest.approx(bits / (mean + 1), abs=4e-3)
    assert embedded.entropy_bits == pytest.approx((bits + 1) / (mean + 5), abs=4e-3)


def test_reber_lines_are_embedded_strings():
    for line in ReberSource(length=5000).generate().splitlines():
        assert line[:1] + line[-1:] == "BE"
        assert line[1] == line[-2]
        assert line[2] + line[-3] == "BE"


@pytest.mark.parametrize("wrong", ["BTBTXSEPE\n", "BTXSE\n", "TB", "BTBTXSETE\n\n", "BTBTXSETEB"])
def test_reber_refuses_what_is_not_in_the_language(wrong):
    assert ReberSource().log_probs(wrong).sum() == -math.inf


def test_reber_recovers_after_a_wrong_line():
    right = "BTBPVVETE\n"
    together = ReberSource().log_probs("BTBB\n" + right)
    np.testing.assert_array_equal(together[5:], ReberSource().log_probs(right))


def test_recall_lines_repeat_their_cue_after_the_lag():
    source = RecallSource(cues=5, lag=3, spread=2, distractors=2, length=20_000)
    lines = source.generate().splitlines()
    assert {len(line) for line in lines} == {5, 6, 7}
    for line in lines:
        assert line[0] == line[-1]
        assert line[0] in "ABCDE"
        assert set(line[1:-1]) <= set("ab")


def test_recall_against_a_hand_computation():
    source = RecallSource(cues=5, lag=1, spread=1, distractors=2)
    expected = [1 / 5, 1 / 2, 1 / 2 * 1 / 2, 1, 1]  # cue, first distractor, one more, recall, end
    np.testing.assert_allclose(np.exp(source.log_probs("CabC\n")), expected)
    np.testing.assert_allclose(np.exp(source.log_probs("CaC\n")), [1 / 5, 1 / 2, 1 / 2, 1])
    wrong = ["CaD\n", "CC\n", "CaaaC\n", "aaC\n", "\n", "CaCC\n", "CaCa\n", "Ca\n"]
    for text in wrong:
        assert source.log_probs(text).sum() == -math.inf
    fixed = RecallSource(cues=8, lag=10, distractors=4)
    assert fixed.entropy_bits == pytest.approx((3 + 20) / 13)
    assert fixed.forgetful_bits == pytest.approx((6 + 20) / 13)


def is_balanced(line, depth=None):
    stack = []
    for c in line:
        if c in "([{<":
            stack.append(c)
            if depth and len(stack) > depth:
                return False
        elif not stack or stack.pop() + c not in ("()", "[]", "{}", "<>"):
            return False
    return not stack and bool(line)


@pytest.mark.parametrize(("p", "depth"), [(0.4, 0), (0.49, 0), (0.6, 3), (0.8, 2)])
def test_bracket_lines_are_balanced(p, depth):
    source = BracketSource(types=4, p=p, depth=depth, length=20_000)
    lines = source.generate().splitlines()
    assert len(lines) > 50
    assert all(is_balanced(line, depth) for line in lines)


def bracket_strings(n):
    """Every string of round and square brackets of length n."""
    return map("".join, itertools.product("()[]", repeat=n))


@pytest.mark.parametrize("depth", [0, 2])
def test_brackets_against_enumeration(depth):
    source = BracketSource(types=2, p=0.3, depth=depth)
    for line in itertools.chain.from_iterable(bracket_strings(n) for n in range(7)):
        score = source.log_probs(line + "\n").sum()
        if not is_balanced(line, depth):
            assert score == -math.inf
            continue
        expected, nested = -math.log(2), 1  # the first bracket is certain but for its type
        for c in line[1:] + "\n":
            forced = nested == depth and depth
            if c in "([":
                expected += math.log(0.3 / 2)
                nested += 1
            else:
                expected += 0.0 if forced else math.log(0.7)
                nested -= 1
        assert score == pytest.approx(expected)


def test_brackets_entropy_of_a_line():
    """Unlimited: a line is one bracket type and 2 / (1 - 2p) choices on average."""
    p = 0.25
    choice = -(p * math.log2(p / 2) + (1 - p) * math.log2(1 - p))
    expected = (1 + choice * 2 / (1 - 2 * p)) / (1 + 2 / (1 - 2 * p))
    assert BracketSource(types=2, p=p).entropy_bits == pytest.approx(expected)
    assert BracketSource(types=2, p=p, depth=60).entropy_bits == pytest.approx(expected)


def test_hidden_markov_log_probs_against_a_plain_forward_loop():
    source = HiddenMarkovSource(states=3, alphabet=3, length=700, seed=2)
    text = source.generate()
    belief, expected = source.stationary, []
    for c in text:
        joint = belief * source.emissions[:, "abc".index(c)]
        expected.append(math.log(joint.sum()))
        belief = joint / joint.sum() @ source.transitions
    np.testing.assert_allclose(source.log_probs(text), expected, atol=1e-12)


def test_hidden_markov_bounds_of_a_source_without_memory():
    source = HiddenMarkovSource(states=1, alphabet=4)
    p = source.emissions[0]
    np.testing.assert_allclose(source.entropy_bounds, -(p * np.log2(p)).sum())


def test_periodic_pattern_has_no_shorter_period():
    for seed in range(20):
        pattern = PeriodicSource(period=4, alphabet=2, seed=seed).pattern
        assert not np.array_equal(pattern, np.roll(pattern, 2))
    text = PeriodicSource(period=12, noise=0, length=100).generate()
    assert text[12:] == text[:-12]
    assert text[6:] != text[:-6]


# Names and parameters.


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("synthetic:markow", "did you mean markov"),
        ("synthetic:", "choose from markov, hmm"),
        ("synthetic:xyz?order=2", "no generator 'xyz'"),
        ("synthetic:markov?ordre=2", "no option 'ordre=2'.*order, alphabet"),
        ("synthetic:markov?order", "NAME=VALUE"),
        ("synthetic:markov?order=two", "whole number for order, not 'two'"),
        ("synthetic:markov?order=1.5", "whole number"),
        ("synthetic:markov?order=1&order=2", "order twice"),
        ("synthetic:markov?order=-1", "order from 0 to 12"),
        ("synthetic:markov?order=12&alphabet=26", "contexts; at most"),
        ("synthetic:markov?concentration=nan", "concentration from"),
        ("synthetic:markov?length=0", "length from 1"),
        ("synthetic:markov?length=1e9", "whole number"),
        ("synthetic:brackets?p=0.6", "nests without end"),
        ("synthetic:recall?lag=100&length=50", "length of at least 103"),
        ("synthetic:periodic?alphabet=1", "alphabet from 2"),
    ],
)
def test_bad_names_get_a_sentence(name, message):
    with pytest.raises(UsageError, match=message):
        find_source(name)


def test_listing_names_every_generator_with_parameters_that_work():
    listed = [entry for entry in list_sources() if entry.kind == "generated"]
    assert [entry.name for entry in listed] == [f"synthetic:{kind}" for kind in GENERATORS]
    for entry in listed:
        query = entry.description.split("(")[-1].rstrip(")")
        assert find_source(f"{entry.name}?{query}").name == entry.name  # the defaults


def test_generators_can_make_a_single_character():
    for kind in ("markov", "hmm", "periodic", "reber", "brackets"):
        assert len(make_generator(f"synthetic:{kind}?length=1").generate()) == 1
