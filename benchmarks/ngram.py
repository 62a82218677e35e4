"""Speed and memory of the n-gram engine, beside other tools where they are installed.

    python benchmarks/ngram.py                            # a made-up text of 4 million tokens
    python benchmarks/ngram.py --corpus FILE              # a text of your own, one sentence a line
    python benchmarks/ngram.py --corpus FILE --tokens 50000000
    python benchmarks/ngram.py --corpus FILE --words      # queries word by word alone

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
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ngram_parts.report import (
    WORDS,
    PeerTable,
    files_table,
    heading,
    scaling_table,
    use_table,
    words_table,
)
from ngram_parts.texts import HELD_OUT, cut_end, cut_text, make_text

HERE = Path(__file__).resolve().parent
PEER_TOKENS = 1_000_000
FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1)

Result = dict[str, Any]


def measured(name: str, **options: Any) -> Result | None:
    """Make a measurement in a new process; None, after a message, if it fails."""
    command = [sys.executable, str(HERE / "ngram_parts" / "measures.py"), name]
    for option, value in options.items():
        command += [f"--{option.replace('_', '-')}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {name} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}", flush=True)
        return None
    result: Result = json.loads(done.stdout.splitlines()[-1])
    shown = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in result.items()}
    print(f"  {name}: {shown}", flush=True)
    return result


def run_all(args: argparse.Namespace, folder: Path) -> str:
    """All measurements; returns the report."""
    source = args.corpus
    if source is None:
        source = folder / "source.txt"
        print("Making a text", flush=True)
        make_text(source, args.tokens + 2 * HELD_OUT)
    paths = {name: folder / name for name in ("text", "held_out", "model")}
    rows = []
    for fraction in FRACTIONS:
        n = cut_text(source, paths["text"], paths["held_out"], int(args.tokens * fraction))
        print(f"{n:,} tokens", flush=True)
        row: dict[str, Any] = {
            "n": n,
            "unit": measured("unit", tokens=n),
            "fit": measured("fit", order=args.order, **paths),
        }
        if row["fit"] is None:
            break
        row["use"] = measured("use", **paths)
        rows.append(row)
    if not rows:
        sys.exit("Not even the smallest text could be measured; see above.")
    quantized = measured("quantize", **paths)
    name = args.corpus.name if args.corpus else "made up (Zipfian words and phrases)"
    sections = [
        heading(args.order, name, rows[-1]["n"]),
        scaling_table(rows),
        use_table(rows),
        files_table(rows[-1], quantized),
        str(peers(args, source, paths)),
    ]
    return "\n".join(sections)


def peers(args: argparse.Namespace, source: Path, paths: dict[str, Path]) -> PeerTable:
    """Other tools on a smaller text, and our own figures measured beside them."""
    tokens = min(PEER_TOKENS, args.tokens)
    n = cut_text(source, paths["text"], paths["held_out"], tokens)
    print(f"Peers, {n:,} tokens", flush=True)
    table = PeerTable(n)
    fit, use = measured("fit", order=args.order, **paths), measured("use", **paths)
    if fit is None or use is None:
        return table
    for tool, commands in (("lmplz", ("lmplz",)), ("irstlm", ("tlm", "irstlm"))):
        found = any(map(shutil.which, commands))
        theirs = measured(tool, order=args.order, **paths) if found else None
        if theirs:
            table.estimation(tool, theirs, fit)
        else:
            table.missing(tool)
    for tool in ("kenlm", "nltk"):
        found = importlib.util.find_spec(tool) is not None
        both = measured(tool, order=args.order, **paths) if found else None
        if both is None:
            table.missing(tool)
        elif tool == "kenlm":
            table.kenlm(both, use["perplexity"])
        else:
            table.nltk(both)
    return table


def words_alone(args: argparse.Namespace, folder: Path) -> str:
    """The report as it stands, with queries word by word measured anew: the text's end held out."""
    paths = {name: folder / name for name in ("text", "held_out", "model")}
    n = cut_end(args.corpus, paths["text"], paths["held_out"], args.tokens)
    if measured("fit", order=args.order, **paths) is None:
        sys.exit("The text could not be measured; see above.")
    result = measured("words", **paths)
    if result is None:
        sys.exit("The queries could not be measured; see above.")
    table = words_table(args.corpus.name, n, args.order, result)
    report = args.output.read_text() if args.output.exists() else ""
    before, _, after = report.partition(WORDS)
    rest = after.partition("\n## ")
    return f"{before.rstrip()}\n\n{table}" + (f"\n## {rest[2]}" if rest[1] else "")


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--corpus", type=Path, help="a text, one sentence a line (default: made up)"
    )
    parser.add_argument("--tokens", type=int, default=4_000_000, help="the largest size measured")
    parser.add_argument("--quick", action="store_true", help="a tenth of the tokens")
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--words", action="store_true", help="queries word by word alone")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "ngram.md")
    args = parser.parse_args()
    if args.quick:
        args.tokens //= 10
    if args.words and args.corpus is None:
        parser.error("--words asks about a text of yours: give --corpus FILE.")
    with tempfile.TemporaryDirectory() as folder:
        report = (words_alone if args.words else run_all)(args, Path(folder))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(report)
    print(f"\n{report}\nWritten to {args.output}")


if __name__ == "__main__":
    main()
