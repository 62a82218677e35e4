"""The lessons: they run as notebooks, and their exercises know right from wrong."""

import json
import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langmodels
from langmodels.cli.main import main
from langmodels.errors import UsageError
from langmodels.neural import RNNModel
from langmodels.notebooks import Bars, escaped
from langmodels.teaching.exercises import EXERCISES, check, through_time
from langmodels.teaching.lessons import copy_lessons, lessons
from langmodels.teaching.prediction import predict_next

FILES = [lesson.file for lesson in lessons()]


def cells(file: Path) -> list[str]:
    return ["".join(c["source"]) for c in json.loads(file.read_text(encoding="utf-8"))["cells"]]


def test_there_are_eight_and_every_exercise_is_in_one() -> None:
    assert [int(file.name[0]) for file in FILES] == list(range(1, 9))
    pages = ["\n".join(cells(file)) for file in FILES]
    asked = [number for page in pages for number in re.findall(r'check\("(.*?)"', page)]
    assert asked == list(EXERCISES)
    for number in asked:
        assert f"**Exercise {number}" in pages[int(number[0]) - 1]


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("1.2", 2 ** ((1 + 2 + 3) / 3)),
        ("2.1", (2 + 1) / (2 + 8)),
        ("2.2", 2 / 9),  # dog sleeps and cat sleeps, of nine types of bigrams
        ("3.1", math.log2(100) / 5.2),
        ("3.2", 1000),
        ("4.1", -0.5277),
        ("4.2", 6468),
        ("5.1", 0.9**50),
        ("5.2", 0.6),
        ("6.1", 990),
        ("6.2", 3.877),
        ("7.1", 3 / 4),
        ("7.2", 1 + 2 + 3 + 4 + 5 + 6),
        ("8.1", "Mixture"),
        ("8.2", 500),
    ],
)
def test_right_answers(number: str, answer: Any) -> None:
    verdict = check(number, answer)
    assert verdict.right, verdict
    wrong = check(number, "unigram" if isinstance(answer, str) else 1.5 * answer)
    assert not wrong.right
    assert EXERCISES[number].hint in str(wrong)
    assert not check(number, ...).right


def test_the_first_exercise_counts_the_tale() -> None:
    corpus = langmodels.Corpus.from_text(langmodels.find_source("wonderland.txt").read(), "word")
    words = [corpus.vocabulary.token(i) for i in corpus.targets.tolist()]
    after = [b for a, b in pairwise(words) if a == "it"]
    assert check("1.1", after.count("was") / len(after)).right


def test_what_is_no_exercise_or_no_number() -> None:
    with pytest.raises(UsageError, match=r"no exercise 9\.9"):
        check("9.9", 1)
    assert "asks for a number" in str(check("3.2", "many"))


def test_the_example_by_hand_is_what_differences_say() -> None:
    hs, loss, dw, du = through_time()
    assert np.round([*hs, loss, dw, du], 4).tolist() == [
        0.4621, 0.3537, -0.2137, 0.7365, 0.6482, -0.7843,
    ]  # fmt: skip
    page = "".join(cells(FILES[3]))
    for shown in ("0.4621", "0.3537", "0.2137", "0.7365", "0.6482", "0.7843"):
        assert shown in page
    e = 1e-6
    assert du == pytest.approx((through_time(u=0.8 + e)[1] - through_time(u=0.8 - e)[1]) / (2 * e))
    assert dw == pytest.approx((through_time(w=0.5 + e)[1] - through_time(w=0.5 - e)[1]) / (2 * e))


def test_weights_are_counted_as_the_exercise_does() -> None:
    text = langmodels.Corpus.from_text("".join(map(chr, range(0x4E00, 0x4E00 + 98))), "char")
    model = RNNModel(hidden=32, embedding=16, tied=False, epochs=1)
    assert len(text.vocabulary) == 100
    assert model.fit(text).n_parameters == EXERCISES["4.2"].answer()


def test_copies_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mine"
    assert main(["lessons", str(target), "--json"]) == 0
    copies = [Path(entry["file"]) for entry in json.loads(capsys.readouterr().out)]
    assert [copy.read_bytes() for copy in copies] == [file.read_bytes() for file in FILES]
    assert copy_lessons(target) == copies  # the same ones again are no loss
    assert main(["lessons", str(target)]) == 0
    assert f'jupyter notebook "{copies[0]}"' in capsys.readouterr().out
    copies[0].write_text("my answers", encoding="utf-8")
    assert main(["lessons", str(target)]) == 2
    assert "was changed" in capsys.readouterr().err
    assert copies[0].read_text(encoding="utf-8") == "my answers"


def test_what_notebooks_show_is_text() -> None:
    model = langmodels.NGramModel(order=2).fit("<b> & <i>\n<b> again")
    for shown in (
        model._repr_html_(),
        langmodels.chain_rule(model, "<b> & <i>", name="<script>")._repr_html_(),
        predict_next(model, "<b>", name="<script>")._repr_html_(),
    ):
        assert "<b>" not in shown
        assert "<script>" not in shown
    assert langmodels.UnigramModel()._repr_html_().count("nothing yet") == 1


def test_bars_show_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = Bars()
    monkeypatch.setattr(bars, "_draw", lambda: None)
    number = bars.add_task("Training <x>", total=4)
    bars.update(number, completed=1, note="loss 2")
    assert escaped("Training <x>") in bars.markup()
    assert "width:25.0%" in bars.markup()
    bars.remove_task(number)
    assert bars.markup() == ""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A kernel for all notebooks, in a folder of its own: to start one takes seconds."""
    for needed in ("nbclient", "ipykernel", "matplotlib"):
        pytest.importorskip(needed)
    manager = pytest.importorskip("jupyter_client").KernelManager()
    manager.start_kernel(cwd=str(tmp_path_factory.mktemp("notebooks")))
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_runs_as_a_notebook(file: Path, kernel: Any) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    book = nbformat.read(file, as_version=4)
    nbformat.validate(book)
    book.cells.insert(0, nbformat.v4.new_code_cell("%reset -f"))  # names of the one before
    nbclient.NotebookClient(book, km=kernel, timeout=240).execute()
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    shown = [data for out in outputs if (data := out.get("data"))]
    assert any("waits for an answer" in str(data.get("text/html")) for data in shown)
    assert not any(out.output_type == "error" for out in outputs)
