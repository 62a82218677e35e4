"""Whether 95 % intervals cover the truth 95 % of the time.

    python benchmarks/coverage.py [--quick] [--output benchmarks/results/coverage.md]

A source whose entropy rate is known exactly makes one long text; its pieces are test texts. The
source's own probabilities are the model: its expected loss is the entropy rate. Each piece gives
an interval, the one that `compare` prints. A unigram model is the second case: its losses depend
on one another along the text, and its true loss is known from the long text; so is the difference
of the two models, the quantity of the paired tests.
"""

import argparse
import math
from pathlib import Path

import numpy as np

from langmodels.arrays import FloatArray
from langmodels.datasets.synthetic import make_generator
from langmodels.evaluation.statistics import (
    block_edges,
    block_sums,
    bootstrap_interval,
    paired_p_value,
    resample,
)

SOURCES = ("markov?order=1", "markov?order=3", "reber", "hmm")
SIZES = (4_000, 16_000)


def block_bits(costs: FloatArray) -> FloatArray:
    """Bits per character of each block of a piece."""
    edges = block_edges(len(costs))
    ends = np.arange(1, len(costs) + 1)
    return block_sums(costs, ends, edges) / np.diff(edges) / math.log(2)


def coverage(costs: FloatArray, truth: float, size: int) -> float:
    """Share of pieces of `size` characters whose interval contains the true value, in bits."""
    pieces = costs[: len(costs) // size * size].reshape(-1, size)
    found = [bootstrap_interval(block_bits(p), seed=i) for i, p in enumerate(pieces)]
    return sum(low <= truth <= high for low, high in found) / len(pieces)


def unigram_costs(text: str) -> FloatArray:
    """Cross-entropy of a unigram model of the text at each character, in nats."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    costs: FloatArray = -np.log(counts / counts.sum())[inverse]
    return costs


def table(pieces: int) -> list[str]:
    """Markdown rows: coverage by source and size of the test text."""
    lines = [
        "| source | characters | the source itself | unigram | difference |",
        "| :-- | --: | --: | --: | --: |",
    ]
    for name in SOURCES:
        length = pieces * max(SIZES)
        separator = "&" if "?" in name else "?"
        generator = make_generator(f"synthetic:{name}{separator}length={length}&seed=1")
        text = generator.generate()
        own = -generator.log_probs(text)
        unigram = unigram_costs(text)
        for size in SIZES:
            shown = pieces * size
            # A hidden Markov source's rate is known within bounds only.
            bound = generator.entropy_is_bound
            truth = float(own.mean()) / math.log(2) if bound else generator.entropy_bits
            mean = float(unigram.mean()) / math.log(2)
            shares = (
                coverage(own[:shown], truth, size),
                coverage(unigram[:shown], mean, size),
                coverage((unigram - own)[:shown], mean - truth, size),
            )
            figures = " | ".join(f"{100 * share:.1f} %" for share in shares)
            lines.append(f"| {name} | {size:,} | {figures} |")
            print(lines[-1], flush=True)
    return lines


def sizes_table(pieces: int) -> list[str]:
    """Markdown rows: how often the paired test finds a difference between equal models.

    The difference of the losses of two pieces of a source, block by block, has mean zero.
    """
    lines = ["| source | characters | p < 0.05 |", "| :-- | --: | --: |"]
    for name in SOURCES:
        separator = "&" if "?" in name else "?"
        size = min(SIZES)
        length = 2 * pieces * size
        generator = make_generator(f"synthetic:{name}{separator}length={length}&seed=2")
        own = -generator.log_probs(generator.generate())
        n = len(own) // (2 * size)  # some sources end with a whole sentence
        one, other = own[: 2 * n * size].reshape(2, n, size)
        differences = [block_bits(a) - block_bits(b) for a, b in zip(one, other, strict=True)]
        wrong = np.mean([paired_p_value(d, seed=i) < 0.05 for i, d in enumerate(differences)])
        lines.append(f"| {name} | {size:,} | {100 * wrong:.1f} % |")
        print(lines[-1], flush=True)
    return lines


SEEDS = (2, 3, 5)
SPREADS = (0.0, 1.0, 3.0, 10.0)


def seeds_table(trials: int) -> list[str]:
    """Markdown rows: the hierarchical bootstrap of two models that are alike but for their seeds.

    Losses of 100 blocks are skewed and shared by both models; what a model adds to each block and
    what a seed adds to all of them is drawn from normal distributions. Both models have seeds, or
    the first one alone.
    """
    lines = [
        "| seeds | spread of seeds | intervals that hold 0 | p < 0.05 | of one model: hold 0 "
        "| p < 0.05 |",
        "| --: | --: | --: | --: | --: | --: |",
    ]
    rng = np.random.default_rng(7)
    n = 100
    for n_seeds in SEEDS:
        for spread in SPREADS:
            shares = []
            for n_others in (n_seeds, 1):
                held = wrong = 0
                for trial in range(trials):
                    shared = rng.gamma(2, 1, n)
                    error = 0.5 / math.sqrt(n)
                    models = [
                        shared
                        + rng.normal(0, 0.5, n)
                        + rng.normal(0, spread * error if seeded else 0, (seeds, 1))
                        for seeds, seeded in ((n_seeds, True), (n_others, n_others > 1))
                    ]
                    found = resample(models, (-1.0, 1.0), np.ones(n), seed=trial)
                    assert found is not None, "blocks are finite"
                    low, high = found.interval()
                    held += low <= 0 <= high
                    wrong += found.p_value() < 0.05
                shares += [held / trials, wrong / trials]
            figures = " | ".join(f"{100 * share:.1f} %" for share in shares)
            lines.append(f"| {n_seeds} | {spread:.0f} | {figures} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Run, print, and write the tables if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="100 pieces instead of 500")
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    pieces = 100 if arguments.quick else 500
    error = 100 * math.sqrt(0.95 * 0.05 / pieces)
    note = (
        f"Share of 95 % intervals that hold the true value, over {pieces} texts; "
        f"a true 95 % would be measured with a standard error of {error:.1f} %."
    )
    lines = ["# Coverage of the intervals", "", *table(pieces), "", note, ""]
    lines += ["## Size of the paired test", "", *sizes_table(pieces), ""]
    lines += [
        "How often approximate randomization says at the level of 5 % that two models differ which "
        "do not.",
        "",
        "## Several seeds",
        "",
        *seeds_table(pieces),
        "",
        "The hierarchical bootstrap over seeds and blocks, for two models that do not differ, of "
        "which both or one were trained with several seeds; the spread of seeds is in standard "
        "errors of a mean over the blocks. Two seeds that differ far more than blocks do are too "
        "few.",
        "",
    ]
    if arguments.output:
        arguments.output.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
