"""Verdicts of the paired tests, in sentences and as a matrix."""

import math
from collections.abc import Sequence

from langmodels.evaluation.results import PairedTest, Results
from langmodels.evaluation.significance import ALL
from langmodels.formatting import Table, figure, p_value


def verdicts(results: Results) -> list[str]:
    """A sentence for each pair tested; none if all pairs were tested, which are in a table."""
    if results.settings.get("against") == ALL:
        return []
    return [verdict(t, results.per) for t in results.tests]


def verdict(test: PairedTest, per: str) -> str:
    """The verdict of a test in a sentence."""
    by = f"{figure(test.difference, 3)} bits/{per}, {p_value(test.corrected)}"
    if test.significant:
        return f"{test.better} is better than {test.worse} (by {by})."
    return f"{test.better} and {test.worse} cannot be told apart ({by})."


def verdict_note(results: Results) -> str:
    """A note on how the tests were made."""
    against = results.settings.get("against")
    which = f"{against} and each other model" if against else "Neighbours in the ranking"
    which = "All pairs" if against == ALL else which
    note = (
        f"{which}, paired over {results.text.resampled} of the test text by approximate "
        "randomization, p after Holm's correction"
    )
    if any(len(m.seeds) > 1 for m in results.models):
        note += "; where there are several seeds, by the hierarchical bootstrap over these, too"
    elif any("seed" in m.options for m in results.models):
        note += "; networks as they were trained, whatever another random start would give"
    return f"{note}.{_power(results)}"


def _power(results: Results) -> str:
    """A note on the smallest differences that the test text can show."""
    found = (t.detectable for t in results.tests)
    least = sorted(d for d in found if d > 0 and math.isfinite(d))  # 0: of models that are alike
    if not least:
        return ""
    low, high = (figure(bits, 3) for bits in (least[0], least[-1]))
    shown = low if low == high else f"{low} to {high}"
    return (
        f" The smallest difference that as much text would show four times in five: {shown} "
        f"bits/{results.per}{'' if low == high else ', depending on the pair'}."
    )


def pairs_table(results: Results) -> Table | None:
    """The tests of all pairs as a matrix; None if not all pairs were tested."""
    if results.settings.get("against") != ALL or not results.tests:
        return None
    return pairs_matrix(results.tests, results.per)


def pairs_matrix(tests: Sequence[PairedTest], per: str) -> Table:
    """Tests of all pairs as a table: rows against columns."""
    found = {(t.better, t.worse): t for t in tests}
    names = list(dict.fromkeys(name for pair in found for name in pair))

    def cell(i: int, j: int) -> str:
        if i >= j:
            return ""
        test = found[names[i], names[j]]
        return figure(test.difference, 3) + ("*" if test.significant else "")

    n = len(names)
    rows = [[f"{i + 1}", names[i], *(cell(i, j) for j in range(1, n))] for i in range(n)]
    notes = [
        f"By how many bits/{per} the model of a row is better than that of a column. "
        "* p < 0.05 after Holm's correction; the others cannot be told apart."
    ]
    columns = ["", "model", *(str(j + 1) for j in range(1, n))]
    return Table("All pairs", columns, rows, 2, notes)
