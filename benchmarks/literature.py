"""Figures that others published, beside ours, for texts that are not shipped.

    python benchmarks/literature.py FOLDER [--quick] [--output benchmarks/results/literature.md]

FOLDER holds what there is of: `ptb.train.txt`, `ptb.valid.txt`, `ptb.test.txt` (the Penn Treebank
as Mikolov prepared it), `tinyshakespeare.txt`, and files of the Calgary and Canterbury corpora
under their usual names. What is missing is left out, and named. Without FOLDER nothing is measured.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from langmodels.compression import compress
from langmodels.evaluation.compressors import compressed_sizes
from langmodels.registry import make_model
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer

PTB = ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")
PTB_FIGURES = {"kneser-ney:order=3": 148.3, "kneser-ney:order=5": 141.2}
"""Perplexities of Kneser-Ney models: Mikolov 2012, "Statistical Language Models Based on Neural
Networks", table 4.1 (SRILM's, with its cut-offs)."""

SHAKESPEARE = "tinyshakespeare.txt"
NANOGPT = 1.470
"""Nats a character, the best validation loss in nanoGPT's read-me (1.4697)."""

CORPORA = (
    *("bib", "book1", "book2", "news", "paper1", "paper2", "progc", "progl", "progp", "trans"),
    *("alice29.txt", "asyoulik.txt", "lcet10.txt", "plrabn12.txt", "cp.html", "fields.c"),
    *("grammar.lsp", "xargs.1"),
)
"""Texts of the Calgary and Canterbury corpora."""

BZIP2 = {"alice29.txt": 2.27, "asyoulik.txt": 2.53, "lcet10.txt": 2.02, "plrabn12.txt": 2.42,
         "cp.html": 2.48, "fields.c": 2.18, "grammar.lsp": 2.76, "xargs.1": 3.33,
         "bib": 1.97, "book1": 2.42, "book2": 2.06, "news": 2.52, "paper1": 2.49, "paper2": 2.44,
         "progc": 2.53, "progl": 1.74, "progp": 1.74, "trans": 1.53}  # fmt: skip
"""Bits a byte of `bzip2 -9`, as the University of Central Florida's comparisons with its transform
LIPT have them: a check that the files are the same."""


PPMD = {"alice29.txt": 39_949, "asyoulik.txt": 36_615, "lcet10.txt": 101_168,
        "plrabn12.txt": 134_795, "cp.html": 6_685, "fields.c": 2_736, "grammar.lsp": 1_073,
        "xargs.1": 1_516}  # fmt: skip
"""Bytes of Shkarin's PPMd: experiments/tables/benchmark.csv of github.com/AdamGleave/
UnicodeCompressor, for Gleave and Steinruecken 2017, "Making Compression Algorithms for Unicode
Text"."""

PPMC = {"bib": 2.11, "book1": 2.48, "book2": 2.26, "news": 2.65, "paper1": 2.48, "paper2": 2.45,
        "progc": 2.49, "progl": 1.90, "progp": 1.84, "trans": 1.77}  # fmt: skip
"""Bits a byte of Cleary and Witten's PPMC, as the read-me of github.com/michaelobi99/
PPM-C-Compression quotes them."""


def treebank(folder: Path) -> list[str]:
    """Perplexities on the Penn Treebank, the ends of lines counted."""
    train = Corpus.from_text(folder / PTB[0], make_tokenizer("whitespace"))
    validation, test = (Corpus.read_by(train.reading, folder / name) for name in PTB[1:])
    lines = ["| Penn Treebank | perplexity | published |", "| :-- | --: | --: |"]
    for name, published in PTB_FIGURES.items():
        found = make_model(name).fit(train, validation).perplexity(test)
        lines.append(f"| `{name}` | {found:.1f} | {published} |")
    return lines


def shakespeare(folder: Path) -> list[str]:
    """Nats a character of the full-context model on the last tenth."""
    text = (folder / SHAKESPEARE).read_text(encoding="utf-8")
    cut = int(0.9 * len(text))
    train = Corpus.from_text(text[:cut], make_tokenizer("char"))
    loss = make_model("full-context").fit(train).cross_entropy(
        Corpus.read_by(train.reading, text[cut:])
    )  # fmt: skip
    return [
        "| Tiny Shakespeare | nats a character | nanoGPT |",
        "| :-- | --: | --: |",
        f"| `full-context` | {loss:.3f} | {NANOGPT:.3f} |",
    ]


def by_bytes(folder: Path) -> list[str]:
    """Bits per byte of every file compressed by `langmodels compress` without a model."""
    lines = [
        "| file | bytes | `compress` | zlib | bz2 | published of bzip2 | xz | published of PPM |",
        "| :-- | --: | --: | --: | --: | --: | --: | :-- |",
    ]
    for name in CORPORA:
        if not (folder / name).is_file():
            continue
        data = (folder / name).read_bytes()
        sizes = {"own": len(compress(data).data), **compressed_sizes(data)}
        bits = {key: 8 * size / len(data) for key, size in sizes.items()}
        published = BZIP2.get(name, math.nan)
        lines.append(
            f"| {name} | {len(data):,} | {bits['own']:.2f} | {bits['zlib']:.2f} | "
            f"{bits['bz2']:.2f} | {published:.2f} | {bits['xz']:.2f} | {_ppm(name, data)} |"
        )
        print(lines[-1], flush=True)
    return lines


def _ppm(name: str, data: bytes) -> str:
    if name in PPMD:
        return f"{8 * PPMD[name] / len(data):.2f} (PPMd)"
    return f"{PPMC[name]:.2f} (PPMC)" if name in PPMC else ""


def main() -> None:
    """Measure the texts that are there; print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where the texts are")
    parser.add_argument("--quick", action="store_true", help="without the compressed files")
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    if arguments.folder is None:
        print("Nothing is measured: name the folder with the texts.")
        return
    folder: Path = arguments.folder
    parts: list[tuple[tuple[str, ...], Callable[[Path], list[str]]]] = [
        (PTB, treebank),
        ((SHAKESPEARE,), shakespeare),
    ]
    lines = ["# Figures that others published", ""]
    missing: list[str] = []
    for names, part in parts:
        absent = [name for name in names if not (folder / name).is_file()]
        missing += absent
        if not absent:
            lines += [*part(folder), ""]
            print("\n".join(lines[-3:]), flush=True)
    if not arguments.quick and any((folder / name).is_file() for name in CORPORA):
        lines += [*by_bytes(folder), ""]
    if missing:
        lines += [f"Not there: {', '.join(missing)}.", ""]
    if arguments.output:
        arguments.output.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
