"""The measurements of the n-gram benchmark, each made in a process of its own.

    python benchmarks/ngram_parts/measures.py NAME --text FILE --held-out FILE --model FILE

prints one line of JSON. Peak memory is that of the one task, and a tool that fails takes nothing
else with it.
"""

import argparse
import functools
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

QUERIES = 20_000
NLTK_TOKENS = 50_000
NLTK_SECONDS = 20

Result = dict[str, Any]


# Time and memory -----------------------------------------------------------------------------


def seconds(
    call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> tuple[float, Any]:
    """How long a call takes, and what it returns."""
    began = clock()
    result = call()
    return clock() - began, result


def best(call: Callable[[], Any], n: int = 3) -> float:
    """The shortest time of `n` calls."""
    return min(seconds(call)[0] for _ in range(n))


def best_by_turns(calls: dict[str, Callable[[], Any]], n: int = 5) -> dict[str, float]:
    """The shortest time of each call; they take turns, so that conditions are the same."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(n):
        for name, call in calls.items():
            times[name].append(seconds(call)[0])
    return {name: min(values) for name, values in times.items()}


def peak() -> int:
    """Peak memory of this process so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


# Our own -------------------------------------------------------------------------------------


def measure_unit(args: argparse.Namespace) -> Result:
    """Time of sorting as many 64-bit integers as the text has tokens, as a yardstick."""
    keys = np.random.default_rng(0).integers(0, 2**63, args.tokens, dtype=np.uint64)
    return {"argsort": best(lambda: np.argsort(keys))}


def measure_fit(args: argparse.Namespace) -> Result:
    """Time and memory from a text file to a saved model."""
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
    """Times of opening a model, scoring, single queries and sampling."""
    from langmodels import NGramModel
    from langmodels.compat import kenlm

    opened = best(lambda: NGramModel.load(args.model))
    model = NGramModel.load(args.model)
    from_text = best(lambda: score_text(model, args.held_out))
    text, scores = score_text(model, args.held_out)
    asked = kenlm.Model(args.model)
    sentences = args.held_out.read_text().splitlines()
    words = args.held_out.read_text().split()[:QUERIES]
    states = [model.state(s.split()[:4]) for s in sentences[:50]]
    return {
        "types": text.vocabulary.n_predictable,
        "open": opened,
        "perplexity": float(np.exp(-scores.mean())),
        "score_text": text.n_tokens / from_text,
        "score_ids": text.n_tokens / best(lambda: model.score_corpus(text)),
        "base_score": best(lambda: ask(kenlm, asked, words)) / len(words),
        "distribution": best(lambda: [model.log_distribution(s) for s in states]) / len(states),
        "sample": best(lambda: sample(model, 100)),
    }


def score_text(model: Any, path: Path) -> tuple[Any, Any]:
    """A text file as a corpus, and its scores."""
    from langmodels import Corpus
    from langmodels.datasets import read_chunks

    text = Corpus.from_text(read_chunks(str(path)), model.tokenizer, vocabulary=model.vocabulary)
    return text, model.score_corpus(text)


def ask(module: Any, model: Any, words: list[str]) -> None:
    """Single queries to a model of KenLM's module or of its stand-in, one after another."""
    state, out = module.State(), module.State()
    model.BeginSentenceWrite(state)
    for word in words:
        model.BaseScore(state, word, out)
        state, out = out, state


def sample(model: Any, n_tokens: int) -> None:
    """Draw tokens, starting again after each end of a sequence."""
    n, seed = 0, 0
    while n < n_tokens:
        n += len(model.sample(max_tokens=n_tokens - n, seed=seed)) + 1
        seed += 1


def measure_quantize(args: argparse.Namespace) -> Result:
    """Times of making and using a quantized file."""
    from langmodels import NGramModel
    from langmodels.ngram import quantize

    model = NGramModel.load(args.model)
    took, small = seconds(lambda: quantize(model))
    path = Path(f"{args.model}.small")
    small.save(path)
    _, scores = score_text(small, args.held_out)
    return {
        "quantize": took,
        "bytes": path.stat().st_size,
        "open": best(lambda: NGramModel.load(path)),
        "perplexity": float(np.exp(-scores.mean())),
    }


# Other tools ---------------------------------------------------------------------------------


def measure_kenlm(args: argparse.Namespace) -> Result:
    """KenLM's own module and ours by turns, on the same model and text."""
    import kenlm as theirs

    from langmodels import NGramModel
    from langmodels.compat import kenlm as ours

    arpa = f"{args.model}.arpa"
    model = NGramModel.load(args.model)
    write, _ = seconds(lambda: model.save_arpa(arpa))
    quiet = theirs.Config()
    quiet.show_progress = False
    read = best_by_turns(
        {
            "theirs": lambda: theirs.Model(arpa, quiet),
            "ours": lambda: NGramModel.from_arpa(arpa),
        },
        n=3,
    )
    their_model, our_model = theirs.Model(arpa, quiet), ours.Model(args.model)
    sentences = args.held_out.read_text().splitlines()
    n_words = sum(len(s.split()) + 1 for s in sentences)
    times = best_by_turns(
        {
            "score": lambda: [their_model.score(s) for s in sentences],
            "full_scores": lambda: [list(their_model.full_scores(s)) for s in sentences],
            "our_full_scores": lambda: [list(our_model.full_scores(s)) for s in sentences],
            "our_text": lambda: score_text(model, args.held_out),
        },
        n=5,
    )
    return {
        "ngrams": sum(model.ngram_counts),
        "write": write,
        "read": read["theirs"],
        "our_read": read["ours"],
        "score": n_words / times["score"],
        "full_scores": n_words / times["full_scores"],
        "our_full_scores": n_words / times["our_full_scores"],
        "our_text": n_words / times["our_text"],
        "perplexity": 10 ** (-sum(their_model.score(s) for s in sentences) / n_words),
    }


def measure_words(args: argparse.Namespace) -> Result:
    """The stand-in for KenLM's module and, where it is there, that module, by turns.

    Each round asks a model that was opened for it and has answered one question ("new"), and asks
    it the same once more ("again"). Times are the processor's.
    """
    from langmodels import NGramModel
    from langmodels.compat import kenlm as ours

    modules: dict[str, Any] = {"ours": ours}
    files = {"ours": str(args.model)}
    if importlib.util.find_spec("kenlm") is not None:
        modules["theirs"] = importlib.import_module("kenlm")
        files["theirs"] = f"{args.model}.arpa"
        NGramModel.load(args.model).save_arpa(files["theirs"])
    sentences = args.held_out.read_text().splitlines()
    n_words = sum(len(s.split()) + 1 for s in sentences)
    words = args.held_out.read_text().split()
    some = words[:QUERIES]
    asks: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
        "score": (n_words, lambda _, model: [model.score(s) for s in sentences]),
        "base_score": (len(words), lambda module, model: ask(module, model, words)),
        "beam": (len(some) // 10 * 200, lambda module, model: beam(module, model, some)),
    }
    result: Result = {"n_words": n_words, "n_sentences": len(sentences)}
    totals: dict[str, float] = {}
    for what, (n, call) in asks.items():
        for _ in range(3):
            for name, module in modules.items():
                model = module.Model(files[name])
                began, totals[name] = seconds(functools.partial(model.score, ""), time.process_time)
                for when in ("new", "again"):
                    took, _ = seconds(functools.partial(call, module, model), time.process_time)
                    key = f"{name}_{what}_{when}"
                    result[key] = min(took / n, result.get(key, took))
                result[f"{name}_began"] = min(began, result.get(f"{name}_began", began))
    model = ours.Model(files["ours"])
    many = [seconds(lambda: model.score_many(sentences), time.process_time)[0] for _ in range(3)]
    result["ours_score_many"] = min(many) / n_words
    result["bytes"] = Path(args.model).stat().st_size
    result["ngrams"] = sum(NGramModel.load(args.model).ngram_counts)
    for name in modules:
        model = modules[name].Model(files[name])
        result[f"{name}_total"] = sum(model.score(s) for s in sentences)
    return result


def beam(module: Any, model: Any, words: list[str], kept: int = 8, tried: int = 25) -> None:
    """Queries as a decoder makes them: 25 words after each of the 8 best states at a time."""
    state = module.State()
    model.BeginSentenceWrite(state)
    states = [state] * kept
    for at in range(0, len(words) // 10 * 10, 10):
        scored = []
        for state in states:
            for word in words[at : at + tried]:
                out = module.State()
                scored.append((model.BaseScore(state, word, out), out))
        scored.sort(key=itemgetter(0), reverse=True)
        states = [state for _, state in scored[:kept]]


def measure_nltk(args: argparse.Namespace) -> Result:
    """NLTK's interpolated Kneser-Ney, which is plain Python, on a small text; and ours."""
    from nltk.lm import KneserNeyInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline, padded_everygrams

    from langmodels import Corpus, NGramModel, make_tokenizer

    lines, n = [], 0
    for line in args.text.open():
        lines.append(line)
        n += len(line.split())
        if n >= NLTK_TOKENS:
            break
    order = min(args.order, 3)

    def their_fit() -> Any:
        ngrams, words = padded_everygram_pipeline(order, [line.split() for line in lines])
        model = KneserNeyInterpolated(order)
        model.fit(ngrams, words)
        return model

    def our_fit() -> Any:
        text = Corpus.from_text("".join(lines), make_tokenizer("whitespace"))
        return NGramModel(order, "kneser_ney").fit(text)

    fit, theirs = seconds(their_fit)
    our_fit_time, ours = seconds(our_fit)
    asked, began = 0, time.perf_counter()
    for line in args.held_out.open():
        for ngram in padded_everygrams(order, line.split()):
            if len(ngram) == order:
                theirs.logscore(ngram[-1], ngram[:-1])
                asked += 1
        if time.perf_counter() - began > NLTK_SECONDS:
            break
    score = asked / (time.perf_counter() - began)
    our_score = len(score_text(ours, args.held_out)[1]) / best(
        lambda: score_text(ours, args.held_out)
    )
    return {
        "order": order,
        "fit": n / fit,
        "our_fit": n / our_fit_time,
        "score": score,
        "our_score": our_score,
    }


def measure_lmplz(args: argparse.Namespace) -> Result:
    """KenLM's estimation."""
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


def main() -> None:
    """Make one measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=MEASURES)
    for option in ("--text", "--held-out", "--model"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--order", type=int, default=5)
    args = parser.parse_args()
    print(json.dumps(MEASURES[args.name](args)))


if __name__ == "__main__":
    main()
