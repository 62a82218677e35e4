"""The tables of the n-gram benchmark, as Markdown."""

import os
import platform
from typing import Any

import numpy as np

Result = dict[str, Any]


def heading(order: int, name: str, n_tokens: int) -> str:
    """The texts, the models and the machine."""
    return (
        "# Speed and memory of the n-gram engine\n\n"
        f"{order}-gram models, modified Kneser-Ney. "
        f"Text: {name}, up to {n_tokens:,} tokens. Python {platform.python_version()}, "
        f"NumPy {np.__version__}, {os.cpu_count()} processors.\n\n"
        "One *sort* is `np.argsort` of as many random 64-bit integers as the text has tokens.\n"
    )


def scaling_table(rows: list[Result]) -> str:
    """Time and memory of estimation, and how they grow."""
    lines = [
        "## Text to model\n",
        "| tokens | n-grams | read | fit | both | in sorts | save | peak | beyond the tables |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    points = []
    for row in rows:
        fit, unit = row["fit"], row["unit"]
        if not fit or not unit:
            continue
        both = fit["read"] + fit["fit"]
        beyond = (fit["peak"] - fit["tables"]) / fit["tokens"]
        points.append((fit["tokens"], both, fit["peak"]))
        lines.append(
            f"| {fit['tokens']:,} | {sum(fit['ngrams']):,} | {fit['read']:.2f} s | "
            f"{fit['fit']:.2f} s | {both:.2f} s | {both / unit['argsort']:.1f} | "
            f"{fit['save']:.2f} s | {fit['peak'] / 1e6:,.0f} MB | {beyond:.0f} bytes a token |"
        )
    if len(points) > 1:
        n, t, m = np.log(np.array(points)).T
        lines.append(
            f"\nTime grows as tokens^{np.polyfit(n, t, 1)[0]:.2f}, "
            f"peak memory as tokens^{np.polyfit(n, m, 1)[0]:.2f}.\n"
        )
    return "\n".join(lines)


def use_table(rows: list[Result]) -> str:
    """Opening, scoring, single queries, distributions and samples."""
    lines = [
        "## Model to scores\n",
        "| tokens | words | open | score, from text | from ids | `BaseScore` | distribution | "
        "sample of 100 | perplexity |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if not row["use"]:
            continue
        u = row["use"]
        lines.append(
            f"| {row['n']:,} | {u['types']:,} | {1e3 * u['open']:.0f} ms | "
            f"{u['score_text'] / 1e6:.2f} M/s | {u['score_ids'] / 1e6:.2f} M/s | "
            f"{1e6 * u['base_score']:.1f} us | {1e3 * u['distribution']:.2f} ms | "
            f"{1e3 * u['sample']:.1f} ms | {u['perplexity']:.2f} |"
        )
    lines.append(
        "\nM/s are millions of tokens a second; `BaseScore` is that of `langmodels.compat.kenlm`; "
        "a distribution is over all words.\n"
    )
    return "\n".join(lines)


def files_table(row: Result, quantized: Result | None) -> str:
    """Sizes of the files of the largest model."""
    lines = [f"## Files of the model of {row['n']:,} tokens\n", "| | |", "| --- | ---: |"]
    if row["fit"]:
        lines.append(f"| model file | {row['fit']['bytes'] / 1e6:.0f} MB |")
    if quantized:
        change = 100 * (quantized["perplexity"] / row["use"]["perplexity"] - 1)
        lines += [
            f"| quantized | {quantized['bytes'] / 1e6:.0f} MB |",
            f"| its perplexity | {change:+.2f} % |",
            f"| opening it | {1e3 * quantized['open']:.0f} ms |",
        ]
    return "\n".join(lines) + "\n"


WORDS = "## Word by word\n"


def words_table(name: str, n_tokens: int, order: int, r: Result) -> str:
    """The stand-in for KenLM's module, asked as decoders ask."""
    lines = [
        WORDS,
        f"A {order}-gram of the first {n_tokens:,} tokens of {name}, {r['ngrams']:,} n-grams, "
        f"asked about the {r['n_words']:,} after these, {r['n_sentences']:,} sentences "
        "(`python benchmarks/ngram.py --words --corpus FILE`). New: in a model just opened, after "
        "its first question, for which the stand-in makes its tables; again: the same once more. "
        "A beam search asks for 25 words after each of its 8 best states, with a new state each. "
        "Processor time.\n",
        "| | kenlm | `langmodels.compat.kenlm` | times as fast |",
        "| --- | ---: | ---: | ---: |",
    ]
    for what, shown in (
        ("score", "`score(sentence)`"),
        ("base_score", "`BaseScore`, along the text"),
        ("beam", "`BaseScore`, in a beam search"),
    ):
        for when in ("new", "again"):
            ours, theirs = r[f"ours_{what}_{when}"], r.get(f"theirs_{what}_{when}")
            cells = [
                ""
                if t is None
                else f"{1e-6 / t:.2f} M/s"
                if what == "score"
                else f"{1e6 * t:.2f} us"
                for t in (theirs, ours)
            ]
            ratio = "" if theirs is None else f"{theirs / ours:.2f}"
            lines.append(f"| {shown}, {when} | {' | '.join(cells)} | {ratio} |")
    lines.append(f"| `score_many(sentences)` | | {1e-6 / r['ours_score_many']:.2f} M/s | |")
    began, total = (
        [r.get(f"{name}_{what}") for name in ("theirs", "ours")] for what in ("began", "total")
    )
    cells = ["" if t is None else f"{t:.2f} s" for t in began]
    lines.append(f"| first question | {' | '.join(cells)} | |")
    cells = ["" if t is None else f"{t:.3f}" for t in total]
    lines.append(f"| log10 p of the whole text | {' | '.join(cells)} | |")
    return "\n".join(lines) + "\n"


class PeerTable:
    """Other tools beside ours, on one text."""

    def __init__(self, n_tokens: int) -> None:
        self._title = f"## Beside other tools, {n_tokens:,} tokens\n"
        self._rows: list[str] = []
        self._missing: list[str] = []

    def missing(self, tool: str) -> None:
        """A sentence for a tool that was not found, or did not work."""
        self._missing.append(tool)

    def estimation(self, tool: str, theirs: Result, ours: Result) -> None:
        """Text to model."""
        took = ours["read"] + ours["fit"]
        self._row(
            f"{tool}: text to model",
            f"{theirs['fit']:.2f} s, {theirs['peak'] / 1e6:,.0f} MB",
            f"{took:.2f} s, {ours['peak'] / 1e6:,.0f} MB",
            theirs["fit"] / took,
        )

    def kenlm(self, both: Result, perplexity: float) -> None:
        """KenLM's Python module."""
        for call, ours, what in (
            ("full_scores", "our_text", "from a text file"),
            ("score", "our_text", "from a text file"),
            ("full_scores", "our_full_scores", "`full_scores`"),
        ):
            self._row(
                f"kenlm `{call}`, tokens a second",
                f"{both[call] / 1e6:.2f} M",
                f"{both[ours] / 1e6:.2f} M, {what}",
                both[ours] / both[call],
            )
        self._row(
            f"kenlm: reading ARPA, {both['ngrams']:,} n-grams",
            f"{both['read']:.1f} s",
            f"{both['our_read']:.1f} s",
            both["read"] / both["our_read"],
        )
        self._row(
            "kenlm: perplexity of the held-out text",
            f"{both['perplexity']:.4f}",
            f"{perplexity:.4f}",
            None,
        )

    def nltk(self, both: Result) -> None:
        """NLTK's Kneser-Ney."""
        for what in ("fit", "score"):
            self._row(
                f"nltk Kneser-Ney, order {both['order']}: {what}, tokens a second",
                f"{both[what]:,.0f}",
                f"{both[f'our_{what}']:,.0f}",
                both[f"our_{what}"] / both[what],
            )

    def _row(self, what: str, theirs: str, ours: str, speed: float | None) -> None:
        shown = "" if speed is None else f"{speed:.2f}" if speed < 10 else f"{speed:,.0f}"
        self._rows.append(f"| {what} | {theirs} | {ours} | {shown} |")

    def __str__(self) -> str:
        lines = [
            self._title,
            "| | other | langmodels | times as fast |",
            "| --- | ---: | ---: | ---: |",
            *self._rows,
        ]
        if self._missing:
            lines.append(f"\nNot found here: {', '.join(self._missing)}.")
        return "\n".join(lines) + "\n"
