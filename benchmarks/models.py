"""Every registered model on the shipped tale, words and characters in one table.

    python benchmarks/models.py [--quick] [--output benchmarks/results/models.md]

What `langmodels compare --level word,char` prints, with all its tables, as Markdown.
"""

import argparse
from pathlib import Path

from langmodels.datasets import find_source
from langmodels.evaluation import compare
from langmodels.evaluation.report.markdown import render
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the quick budget")
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    source = find_source("wonderland.txt")
    splits = Splits.from_text(source.open(), make_tokenizer("word"), min_count=2, name=source.name)
    budget = "quick" if arguments.quick else "standard"
    comparison = compare(None, splits, levels=["word", "char"], source=source, budget=budget)
    text = render(comparison.results)
    print(text)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
