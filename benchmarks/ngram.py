"""Speed and memory of the n-gram engine, beside other tools where they are installed.

    python benchmarks/ngram.py                            # a made-up text of 4 million tokens
    python benchmarks/ngram.py --corpus FILE              # a text of your own, one sentence a line
    python benchmarks/ngram.py --corpus FILE --tokens 50000000

Fits, saves, opens, scores and samples. Every size of text is measured in a process of its own, so
that peak memory is that of the one task. The results go to benchmarks/results/ngram.md. Time is
given in seconds and in units of sorting: one unit is `np.argsort` of as many random 64-bit integers
as the text has tokens, timed in the same run, which makes figures from different machines
comparable.

Peers that are used where they are found: the Python module `kenlm` (queries), `lmplz` on the PATH
(estimation), IRSTLM as `tlm` or `irstlm` on the PATH (estimation), and `nltk`. A large text of real
language is quickly made of whatever is at hand: dictionaries, encyclopaedias, documentation; the
tokens separated by spaces.
"""

import argparse
import importlib.util
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
HELD_OUT = 200_000  # tokens that no model is fitted on
PEER_TOKENS = 1_000_000
NLTK_TOKENS = 50_000
FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1)

Result = dict[str, Any]


# The text ------------------------------------------------------------------------------------


def make_text(path: Path, n_tokens: int, seed: int = 0) -> None:
    """Write sentences of made-up words whose phrases come again as those of a language do.

    Words follow Zipf's law; phrases of one to eight words are drawn once and then reused, after a
    law of the same kind.
    """
    rng = np.random.default_rng(seed)
    n_words = int(30 * n_tokens**0.6)
    n_phrases = max(10, n_tokens // 12)
    lengths = rng.integers(1, 9, n_phrases)
    words = _zipf(rng, n_words, int(lengths.sum()))
    starts = np.append(0, np.cumsum(lengths))
    pieces = words.tolist()
    phrases = [" ".join(f"w{w}" for w in pieces[a:b]) for a, b in pairwise(starts.tolist())]
    with path.open("w") as file:
        written = 0
        while written < n_tokens:
            chosen = _zipf(rng, n_phrases, 200_000)
            ends = rng.random(len(chosen)) < 0.25
            tokens = np.cumsum(lengths[chosen])
            n = min(len(chosen), int(np.searchsorted(tokens, n_tokens - written)) + 1)
            marks = np.where(ends, "\n", " ").tolist()
            file.write(
                "".join(phrases[i] + m for i, m in zip(chosen[:n].tolist(), marks, strict=False))
            )
            written += int(tokens[n - 1])
        file.write("\n")


def _zipf(rng: np.random.Generator, n: int, size: int) -> Any:
    """Ranks 0 to n-1 with probability about 1 / (rank + 3)."""
    low, high = np.log(3), np.log(n + 3)
    return np.minimum(np.exp(low + rng.random(size) * (high - low)) - 3, n - 1).astype(np.int64)


def cut_text(source: Path, train: Path, held_out: Path, n_tokens: int) -> int:
    """Hold out the beginning, train on at most `n_tokens` after it; returns how many there were."""
    with source.open(errors="replace") as lines:
        _copy(lines, held_out, HELD_OUT)
        return _copy(lines, train, n_tokens)


def _copy(lines: Iterator[str], target: Path, n_tokens: int) -> int:
    copied = 0
    with target.open("w") as file:
        for line in lines:
            file.write(line)
            copied += line.count(" ") + 1
            if copied >= n_tokens:
                break
    return copied


# Measuring -----------------------------------------------------------------------------------


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def best(call: Callable[[], Any], n: int = 3) -> float:
    return min(seconds(call)[0] for _ in range(n))


def peak() -> int:
    """Peak memory of this process so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def argsort_unit(n: int) -> float:
    keys = np.random.default_rng(0).integers(0, 2**63, n, dtype=np.uint64)
    return best(lambda: np.argsort(keys), 2)


def measure_unit(args: argparse.Namespace) -> Result:
    return {"argsort": argsort_unit(args.tokens)}


def measure_fit(args: argparse.Namespace) -> Result:
    """Text file to saved model."""
    from langmodels import Corpus, NGramModel, make_tokenizer
    from langmodels.datasets import read_chunks

    baseline = peak()
    read, corpus = seconds(
        lambda: Corpus.from_text(read_chunks(str(args.text)), make_tokenizer("whitespace"))
    )
    fit, model = seconds(lambda: NGramModel(args.order).fit(corpus))
    memory = peak() - baseline
    tables = sum(a.nbytes for a in model.tables.to_arrays().values())
    save, _ = seconds(lambda: model.save(args.model))
    return {
        "tokens": corpus.n_tokens,
        "types": corpus.n_types,
        "ngrams": model.ngram_counts,
        "discounts": model.discounts,
        "read": read,
        "fit": fit,
        "save": save,
        "peak": memory,
        "tables": tables,
        "bytes": Path(args.model).stat().st_size,
    }


def measure_use(args: argparse.Namespace) -> Result:
    """Opening, scoring, asking, sampling."""
    from langmodels import Corpus, NGramModel
    from langmodels.compat import kenlm
    from langmodels.datasets import read_chunks

    opened = best(lambda: NGramModel.load(args.model))
    model = NGramModel.load(args.model)

    def score_text() -> Any:
        text = Corpus.from_text(
            read_chunks(str(args.held_out)), model.tokenizer, vocabulary=model.vocabulary
        )
        return text, model.score_corpus(text)

    from_text = best(score_text)
    text, scores = score_text()
    encoded = best(lambda: model.score_corpus(text))
    asked = kenlm.Model(args.model)
    words = args.held_out.read_text().split()[:20_000]

    def ask() -> None:
        state, out = kenlm.State(), kenlm.State()
        asked.BeginSentenceWrite(state)
        for word in words:
            asked.BaseScore(state, word, out)
            state, out = out, state

    sentences = args.held_out.read_text().splitlines()[:1000]
    n_words = sum(len(s.split()) + 1 for s in sentences)
    states = [model.state(s.split()[:4]) for s in sentences[:50]]
    return {
        "open": opened,
        "score_tokens": text.n_tokens,
        "perplexity": float(np.exp(-scores.mean())),
        "score_text": text.n_tokens / from_text,
        "score_ids": text.n_tokens / encoded,
        "full_scores": n_words / best(lambda: [list(asked.full_scores(s)) for s in sentences]),
        "base_score": best(ask) / len(words),
        "distribution": best(lambda: [model.log_distribution(s) for s in states]) / len(states),
        "sample": best(lambda: _sample(model)),
    }


def _sample(model: Any) -> None:
    """A hundred tokens, whatever ends in between."""
    n, seed = 0, 0
    while n < 100:
        n += len(model.sample(max_tokens=100 - n, seed=seed)) + 1
        seed += 1


def measure_quantize(args: argparse.Namespace) -> Result:
    from langmodels import Corpus, NGramModel
    from langmodels.datasets import read_chunks
    from langmodels.ngram import quantize

    model = NGramModel.load(args.model)
    took, small = seconds(lambda: quantize(model))
    path = Path(f"{args.model}.small")
    small.save(path)
    text = Corpus.from_text(
        read_chunks(str(args.held_out)), model.tokenizer, vocabulary=model.vocabulary
    )
    return {
        "quantize": took,
        "bytes": path.stat().st_size,
        "open": best(lambda: NGramModel.load(path)),
        "perplexity": small.perplexity(text),
    }


def measure_arpa(args: argparse.Namespace) -> Result:
    from langmodels import NGramModel

    path = Path(f"{args.model}.arpa")
    write, _ = seconds(lambda: NGramModel.load(args.model).save_arpa(path))
    read, model = seconds(lambda: NGramModel.from_arpa(path))
    return {"write": write, "read": read, "ngrams": sum(model.ngram_counts)}


def measure_kenlm(args: argparse.Namespace) -> Result:
    """KenLM's own module on the same model and text."""
    import kenlm  # the real one

    took, model = seconds(lambda: kenlm.Model(f"{args.model}.arpa"))
    sentences = args.held_out.read_text().splitlines()
    n_words = sum(len(s.split()) + 1 for s in sentences)
    words = args.held_out.read_text().split()[:20_000]

    def ask() -> None:
        state, out = kenlm.State(), kenlm.State()
        model.BeginSentenceWrite(state)
        for word in words:
            model.BaseScore(state, word, out)
            state, out = out, state

    return {
        "open_arpa": took,
        "score": n_words / best(lambda: [model.score(s) for s in sentences]),
        "full_scores": n_words / best(lambda: [list(model.full_scores(s)) for s in sentences]),
        "base_score": best(ask) / len(words),
        "perplexity": 10 ** (-sum(model.score(s) for s in sentences) / n_words),
    }


def measure_nltk(args: argparse.Namespace) -> Result:
    """NLTK's interpolated Kneser-Ney, order 3, on a small text: it works in plain Python."""
    from nltk.lm import KneserNeyInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline, padded_everygrams

    sentences, n = [], 0
    for line in args.text.open():
        sentences.append(line.split())
        n += len(sentences[-1])
        if n >= NLTK_TOKENS:
            break
    order = min(args.order, 3)

    def fit() -> Any:
        ngrams, words = padded_everygram_pipeline(order, sentences)
        model = KneserNeyInterpolated(order)
        model.fit(ngrams, words)
        return model

    took, model = seconds(fit)
    asked, began = 0, time.perf_counter()
    for line in args.held_out.open():
        for ngram in padded_everygrams(order, line.split()):
            if len(ngram) == order:
                model.logscore(ngram[-1], ngram[:-1])
                asked += 1
                if time.perf_counter() - began > 20:
                    return {"fit": n / took, "score": asked / (time.perf_counter() - began)}
    return {"fit": n / took, "score": asked / (time.perf_counter() - began)}


def measure_ours_small(args: argparse.Namespace) -> Result:
    """What NLTK does, at the same order, on the same tokens."""
    from langmodels import Corpus, NGramModel, make_tokenizer

    lines, n = [], 0
    for line in args.text.open():
        lines.append(line)
        n += len(line.split())
        if n >= NLTK_TOKENS:
            break
    took, model = seconds(
        lambda: NGramModel(min(args.order, 3), "kneser_ney").fit(
            Corpus.from_text("".join(lines), make_tokenizer("whitespace"))
        )
    )
    held_out = args.held_out.read_text()

    def score() -> int:
        text = Corpus.from_text(held_out, model.tokenizer, vocabulary=model.vocabulary)
        return len(model.score_corpus(text))

    return {"fit": n / took, "score": score() / best(score)}


def measure_lmplz(args: argparse.Namespace) -> Result:
    command = ["lmplz", "-o", str(args.order), "--discount_fallback", "-S", "40%"]
    with args.text.open("rb") as text, Path(os.devnull).open("wb") as out:
        took, _ = seconds(
            lambda: subprocess.run(command, stdin=text, stdout=out, stderr=out, check=True)
        )
    return {"fit": took, "peak": _peak_of_children()}


def measure_irstlm(args: argparse.Namespace) -> Result:
    """Modified shift-beta, IRSTLM's modified Kneser-Ney, nothing pruned."""
    tool = ["tlm"] if shutil.which("tlm") else ["irstlm", "tlm"]
    with tempfile.TemporaryDirectory() as folder:
        text, out = Path(folder, "text"), Path(folder, "out.arpa")
        with args.text.open() as lines, text.open("w") as padded:
            padded.writelines(f"<s> {line.strip()} </s>\n" for line in lines)
        options = [f"-tr={text}", f"-n={args.order}", "-lm=msb", "-ps=no", f"-oarpa={out}"]
        took, _ = seconds(
            lambda: subprocess.run([*tool, *options], check=True, capture_output=True)
        )
    return {"fit": took, "peak": _peak_of_children()}


def _peak_of_children() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


MEASURES: dict[str, Callable[[argparse.Namespace], Result]] = {
    name.removeprefix("measure_"): function
    for name, function in list(globals().items())
    if name.startswith("measure_")
}


def in_process(name: str, args: argparse.Namespace, **values: Any) -> Result | None:
    """Run one measurement in a new process; None where it fails, after saying so."""
    settings = {**vars(args), **values}
    command = [sys.executable, __file__, "--measure", name, "--order", str(args.order)]
    for option in ("text", "held_out", "model", "tokens"):
        if settings.get(option) is not None:
            command += [f"--{option.replace('_', '-')}", str(settings[option])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {name} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}", flush=True)
        return None
    result: Result = json.loads(done.stdout.splitlines()[-1])
    shown = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in result.items()}
    print(f"  {name}: {shown}", flush=True)
    return result


# The report ----------------------------------------------------------------------------------


def run_all(args: argparse.Namespace, folder: Path) -> str:
    source = args.corpus
    if source is None:
        source = folder / "source.txt"
        print("Making a text", flush=True)
        make_text(source, args.tokens + 2 * HELD_OUT)
    rows = []
    text, held_out = folder / "train.txt", folder / "held_out.txt"
    for fraction in FRACTIONS:
        n = cut_text(source, text, held_out, int(args.tokens * fraction))
        print(f"{n:,} tokens", flush=True)
        model = folder / "model.lm"
        paths = {"text": text, "held_out": held_out, "model": model}
        row = {"unit": in_process("unit", args, tokens=n), "n": n}
        row["fit"] = in_process("fit", args, **paths)
        row["use"] = in_process("use", args, **paths)
        rows.append(row)
        if row["fit"] is None:
            break
    quantized = in_process("quantize", args, **paths)
    sections = [
        heading(args, rows),
        scaling_table(rows),
        use_table(rows),
        files_table(rows[-1], quantized),
        peers(args, source, folder),
    ]
    return "\n".join(sections)


def heading(args: argparse.Namespace, rows: list[Result]) -> str:
    name = args.corpus.name if args.corpus else "made up (Zipfian words and phrases)"
    return (
        "# Speed and memory of the n-gram engine\n\n"
        f"{args.order}-gram models, modified Kneser-Ney. "
        f"Text: {name}, up to {rows[-1]['n']:,} tokens. Python {platform.python_version()}, "
        f"NumPy {np.__version__}, {os.cpu_count()} processors.\n\n"
        "One *sort* is `np.argsort` of as many random 64-bit integers as the text has tokens.\n"
    )


def scaling_table(rows: list[Result]) -> str:
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
    lines = [
        "## Model to scores\n",
        "| tokens | open | score, from text | from ids | `full_scores` | `BaseScore` | "
        "distribution | sample of 100 | perplexity |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if not row["use"]:
            continue
        u = row["use"]
        lines.append(
            f"| {row['n']:,} | {1e3 * u['open']:.0f} ms | {u['score_text'] / 1e6:.2f} M/s | "
            f"{u['score_ids'] / 1e6:.2f} M/s | {u['full_scores'] / 1e6:.2f} M/s | "
            f"{1e6 * u['base_score']:.1f} us | {1e3 * u['distribution']:.2f} ms | "
            f"{1e3 * u['sample']:.1f} ms | {u['perplexity']:.2f} |"
        )
    lines.append(
        "\nM/s are millions of tokens a second; `full_scores` and `BaseScore` are those of "
    )
    lines.append("`langmodels.compat.kenlm`.\n")
    return "\n".join(lines)


def files_table(row: Result, quantized: Result | None) -> str:
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


def peers(args: argparse.Namespace, source: Path, folder: Path) -> str:
    """Other tools on one smaller text, and our own figures of the same minute."""
    text, held_out, model = folder / "train.txt", folder / "held_out.txt", folder / "peer.lm"
    n = cut_text(source, text, held_out, min(PEER_TOKENS, args.tokens))
    print(f"Peers, {n:,} tokens", flush=True)
    paths = {"text": text, "held_out": held_out, "model": model}
    fit, use = in_process("fit", args, **paths), in_process("use", args, **paths)
    lines = [
        f"## Beside other tools, {n:,} tokens\n",
        "| | other | langmodels | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    missing = []
    if fit and use:
        ours = fit["read"] + fit["fit"]
        for tool, found in (
            ("lmplz", shutil.which("lmplz")),
            ("irstlm", shutil.which("tlm") or shutil.which("irstlm")),
        ):
            theirs = in_process(tool, args, **paths) if found else None
            if theirs:
                lines.append(
                    f"| {tool}: text to model | {theirs['fit']:.2f} s | {ours:.2f} s | "
                    f"{theirs['fit'] / ours:.1f} times as fast |"
                )
            else:
                missing.append(tool)
        arpa = in_process("arpa", args, **paths)
        has_kenlm = arpa and importlib.util.find_spec("kenlm")
        theirs = in_process("kenlm", args, **paths) if has_kenlm else None
        if theirs and arpa:
            ratio = use["score_text"] / theirs["full_scores"]
            lines += [
                f"| kenlm `full_scores`: tokens a second | {theirs['full_scores'] / 1e6:.2f} M | "
                f"{use['score_text'] / 1e6:.2f} M (from text) | {ratio:.2f} |",
                f"| kenlm `score`: tokens a second | {theirs['score'] / 1e6:.2f} M | "
                f"{use['score_text'] / 1e6:.2f} M (from text) | "
                f"{use['score_text'] / theirs['score']:.2f} |",
                f"| kenlm `BaseScore` | {1e6 * theirs['base_score']:.2f} us | "
                f"{1e6 * use['base_score']:.2f} us | "
                f"{theirs['base_score'] / use['base_score']:.2f} |",
                f"| reading ARPA, {arpa['ngrams']:,} n-grams | {theirs['open_arpa']:.1f} s | "
                f"{arpa['read']:.1f} s | {theirs['open_arpa'] / arpa['read']:.2f} |",
                f"| perplexity of the held-out text | {theirs['perplexity']:.4f} | "
                f"{use['perplexity']:.4f} | |",
            ]
        else:
            missing.append("kenlm")
    if importlib.util.find_spec("nltk"):
        theirs, ours_small = (
            in_process("nltk", args, **paths),
            in_process("ours_small", args, **paths),
        )
        if theirs and ours_small:
            for what in ("fit", "score"):
                lines.append(
                    f"| nltk Kneser-Ney, order {min(args.order, 3)}, {NLTK_TOKENS:,} tokens: "
                    f"{what}, tokens a second | {theirs[what]:,.0f} | {ours_small[what]:,.0f} | "
                    f"{ours_small[what] / theirs[what]:,.0f} times as fast |"
                )
    else:
        missing.append("nltk")
    if missing:
        lines.append(f"\nNot found here: {', '.join(missing)}.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--corpus", type=Path, help="a text, one sentence a line (default: made up)"
    )
    parser.add_argument("--tokens", type=int, default=4_000_000, help="the largest size measured")
    parser.add_argument("--quick", action="store_true", help="a tenth of the tokens")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "ngram.md")
    for option in ("--measure", "--model"):
        parser.add_argument(option, help=argparse.SUPPRESS)
    for option in ("--text", "--held-out"):
        parser.add_argument(option, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.tokens //= 10
    if args.measure:
        print(json.dumps(MEASURES[args.measure](args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        report = run_all(args, Path(folder))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(report)
    print(f"\n{report}\nWritten to {args.output}")


if __name__ == "__main__":
    main()
