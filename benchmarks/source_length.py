"""Quality against the length of the source: an encoder-decoder with and without attention.

    python benchmarks/source_length.py [--quick] [--output FILE]

Without attention, all that the decoder gets of a source is one vector, and long sources suffer;
read backwards, their beginnings come through better. The task is numbers in words to digits.
"""

import argparse
from pathlib import Path
from typing import Any

from langmodels.datasets.pairs import PairSplits
from langmodels.datasets.tasks import make_task
from langmodels.evaluation.error_rates import sequence_error_rate
from langmodels.neural.encoder_decoder.model import EncoderDecoderModel

MODELS: dict[str, dict[str, Any]] = {
    "no attention": {},
    "no attention, source reversed": {"reverse": True},
    "no attention, source from both sides": {"bidirectional": True},
    "attention (Luong)": {"attention": "luong"},
    "attention (Bahdanau)": {"attention": "bahdanau"},
}
OPTIONS: dict[str, Any] = {"bidirectional": False, "attention": None, "patience": None}
GROUPS = ((1, 4), (5, 8), (9, 11), (12, 14), (15, 17))


def errors(model: EncoderDecoderModel, task: PairSplits) -> list[float]:
    """Share of test targets that are wrong, greedily decoded: all, then by length of the source."""
    found, references = model.translate(task.test.sources), task.test.references
    lengths = [len(source) for source in task.test.sources]
    rates = []
    for low, high in ((1, max(lengths)), *GROUPS):
        chosen = [i for i, n in enumerate(lengths) if low <= n <= high]
        rates.append(
            sequence_error_rate([found[i] for i in chosen], [references[i] for i in chosen])
        )
    return rates


def main() -> None:
    """Train, measure, write a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer pairs and epochs")
    parser.add_argument("--output", type=Path, help="where to write the table, as Markdown")
    arguments = parser.parse_args()
    size, epochs = (4_000, 4) if arguments.quick else (20_000, 8)
    task = make_task(f"numbers?size={size}")
    train, validation, _ = task.corpora()
    titles = ["all", *(f"{low}-{high}" for low, high in GROUPS)]
    lines = [
        "# The bottleneck: wrong targets by the length of the source",
        "",
        f"Numbers in words to digits; {len(task.train):,} training and {len(task.test):,} test "
        f"pairs; GRUs of 64 units, {epochs} epochs; greedy decoding. Columns: "
        "words in the source.",
        "",
        f"| model | {' | '.join(titles)} |",
        f"| :-- |{' --: |' * len(titles)}",
    ]
    for name, options in MODELS.items():
        model = EncoderDecoderModel(**OPTIONS | options, epochs=epochs).fit(train, validation)
        cells = " | ".join(f"{100 * rate:.1f} %" for rate in errors(model, task))
        lines.append(f"| {name} | {cells} |")
        print(lines[-1], flush=True)
    if arguments.output is not None:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
