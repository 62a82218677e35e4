"""N-gram models estimated in partitions on disk are those of memory, bit for bit."""

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langmodels.cli import on_disk
from langmodels.cli.main import main
from langmodels.columns import Column, ColumnWriter
from langmodels.errors import LangmodelsError, UsageError
from langmodels.ngram import SMOOTHINGS, ClassModel, NGramModel, Smoothing, count_ngrams
from langmodels.ngram.partitions import counting, fitting, merging, plan, running, workplace
from langmodels.ngram.partitions.counting import count_windows
from langmodels.ngram.partitions.fitting import check_in_parts, fit_on_disk
from langmodels.ngram.partitions.plan import make_plan
from langmodels.ngram.partitions.workplace import Workplace
from langmodels.storage import work_folder
from langmodels.tensors import open_columns, save_arrays
from langmodels.text.corpus import Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.stored_text import StoredText
from langmodels.text.vocabulary import Vocabulary


def made_up(words: int = 1500) -> str:
    """Lines of words of which some are frequent and most rare; blank lines, and no last end."""
    rng = np.random.default_rng(1)
    ids = rng.zipf(1.4, words).clip(max=400)
    lines = np.split(ids, np.sort(rng.integers(0, words, words // 9)))
    return "\n".join(" ".join(f"w{i}" for i in line) for line in lines)


TEXT = made_up()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in so small pieces that a small text has many of each."""
    monkeypatch.setattr(counting, "_PIECE", 64)
    monkeypatch.setattr(plan, "_BLOCK", 300)
    monkeypatch.setattr(merging, "_CONTEXTS", 97)
    monkeypatch.setattr(merging, "_NGRAMS", 150)


def pieces(text: str) -> list[str]:
    return [text[i : i + 1000] for i in range(0, len(text), 1000)]


def stored(text: str, level: str, folder: Path, **options: Any) -> StoredText:
    return StoredText.read(pieces(text), make_tokenizer(level), "none", folder, **options)


def check(
    folder: Path,
    model: Callable[[], NGramModel],
    capacity: int,
    text: str = TEXT,
    level: str = "whitespace",
    **options: Any,
) -> plan.Plan:
    """Both ways give one file; returns how the text was divided."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    corpus = Corpus.from_text(text, level, **options)
    model().fit(corpus).save(folder / "memory.lm")
    here = stored(text, level, folder, **options)
    assert np.array_equal(here.ids[:], corpus.ids)
    assert (here.n_tokens, here.n_types, here.n_oov, here.n_sequences) == (
        (corpus.n_tokens, corpus.n_types, corpus.n_oov, corpus.n_sequences)
    )
    fit_on_disk(model(), here, folder, capacity).save(folder / "disk.lm")
    assert (folder / "disk.lm").read_bytes() == (folder / "memory.lm").read_bytes()
    return make_plan(here, model().order, capacity)


@pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_every_smoothing_method(smoothing: str, tmp_path: Path) -> None:
    options = {"weight": 0.3} if smoothing == "jelinek_mercer" else {}
    found = check(tmp_path, lambda: NGramModel(3, smoothing, **options), 400)
    assert len(found.partitions) > 5


@pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")
@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("min_counts", [(), (1, 1, 2), (1, 2, 2, 3)])
def test_orders_and_count_cutoffs(order: int, min_counts: tuple[int, ...], tmp_path: Path) -> None:
    model = lambda: NGramModel(order, min_counts=min_counts)  # noqa: E731
    check(tmp_path, model, 600, min_count=2)


@pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")
@pytest.mark.parametrize("smoothing", ["modified_kneser_ney", "lidstone"])
def test_words_and_pairs_of_words_that_are_too_much_for_a_partition(
    smoothing: str, tmp_path: Path
) -> None:
    found = check(tmp_path, lambda: NGramModel(4, smoothing), 30, "ab ab ba b\na b\n" * 60)
    stems = {branch.stem for branch in found.branches}
    assert max(map(len, stems)) == 2
    whole = [part for part in found.partitions if not part.leaf]
    assert any(part.stem[0] == Vocabulary.bos_id for part in whole)
    assert any(len(part.stem) == 3 for part in whole)
    assert all(part.size <= 30 for part in found.partitions if part.leaf)


@pytest.mark.filterwarnings("ignore::langmodels.ngram.SmoothingWarning")
def test_streams_and_given_vocabularies(tmp_path: Path) -> None:
    check(tmp_path, lambda: NGramModel(6, "kneser_ney"), 500, TEXT[:4000], "char")
    given = Vocabulary(["w1", "w2", "w7", "never"])
    check(tmp_path, lambda: NGramModel(4), 500, vocabulary=given)
    check(tmp_path, lambda: NGramModel(3, "katz"), 500, max_size=50)


@settings(max_examples=60)
@given(ids=st.lists(st.integers(0, 6), min_size=1, max_size=50), order=st.integers(2, 5))
def test_windows_are_counted_as_texts_are(ids: list[int], order: int) -> None:
    text = np.array([1, *ids], np.int32)
    padded = np.concatenate([np.ones(order - 2, np.int32), text, [1]])
    places = np.arange(len(text)) + order - 1
    windows = np.stack([padded[places - i] for i in range(order)], axis=1).astype(np.int32)
    whole = count_ngrams(text, 8, order)
    part = count_windows(windows, 2, 8, np.arange(8, dtype=np.int32))
    for k in range(2, order + 1):
        for name in ("words", "counts", "suffixes"):
            assert np.array_equal(getattr(part, name)[k - 1], getattr(whole, name)[k - 1])
        assert np.array_equal(part.child_start[k - 2], whole.child_start[k - 2])
        assert np.array_equal(part.context_counts[k - 1], whole.counts[k - 2])
        for ours, theirs in (
            (part.initial_range(k), whole.initial_range(k)),
            (part.initial_contexts(k), whole.initial_contexts(k)),
        ):
            assert ours == theirs or (ours[0] == ours[1] and theirs[0] == theirs[1])


@pytest.mark.parametrize("failing", ["_shuffle", "smooth", "merge_partitions"])
def test_a_run_that_was_killed_goes_on(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = stored(TEXT, "whitespace", tmp_path)
    expected = NGramModel(3).fit(Corpus.from_text(TEXT, "whitespace"))
    expected.save(tmp_path / "memory.lm")
    counted: list[int] = []
    done: list[int] = []

    def count(*arguments: Any) -> Any:
        counted.append(1)
        return count_windows(*arguments)

    monkeypatch.setattr(workplace, "count_windows", count)
    places = {"_shuffle": fitting._Fit, "smooth": Workplace, "merge_partitions": fitting}
    where: Any = places[failing]
    original = getattr(where, failing)

    def fails(*arguments: Any) -> Any:
        if len(done) == (0 if failing != "smooth" else 4):
            raise KeyboardInterrupt
        done.append(1)
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(where, failing, fails)
        with pytest.raises(KeyboardInterrupt):
            fit_on_disk(NGramModel(3), text, tmp_path, 400)
    before = len(counted)
    again = StoredText.open(tmp_path)
    assert again is not None
    fit_on_disk(NGramModel(3), again, tmp_path, 400).save(tmp_path / "disk.lm")
    assert (tmp_path / "disk.lm").read_bytes() == (tmp_path / "memory.lm").read_bytes()
    n = len(make_plan(text, 3, 400).partitions)
    assert (before, len(counted) - before) == ((0, n) if failing == "_shuffle" else (n, 0))


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["count", "estimate"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_what_a_killed_run_left_damaged_is_made_again(
    stage: str, harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    NGramModel(3).fit(Corpus.from_text(TEXT, "whitespace")).save(tmp_path / "memory.lm")
    monkeypatch.setattr(running, "_capacity", lambda *_: 500)
    original, done = getattr(fitting, stage), []

    def fails(*arguments: Any) -> Any:
        done.append(1)
        if len(done) > 2:
            raise KeyboardInterrupt
        return original(*arguments)

    left = tmp_path / "left"
    left.mkdir()
    text = stored(TEXT, "whitespace", left)
    with monkeypatch.context() as patch:
        patch.setattr(fitting, stage, fails)
        with pytest.raises(KeyboardInterrupt):
            fit_on_disk(NGramModel(3), text, left, 500)
    assert len(list(left.iterdir())) > 5
    # Of files that differ in their numbers alone the first and the last.
    kinds: dict[str, list[Path]] = {}
    for path in sorted(left.iterdir()):
        kinds.setdefault(re.sub(r"\d+", "", path.name), []).append(path)
    for path in {each for some in kinds.values() for each in (some[0], some[-1])}:
        with work_folder(tmp_path, "key") as work:
            pass
        shutil.copytree(left, work)
        data = bytearray(path.read_bytes())
        if harm == "gone":
            (work / path.name).unlink()
        elif data:
            data[len(data) * 3 // 4] ^= 16
            (work / path.name).write_bytes(data if harm == "flipped" else data[:-9])

        def read(folder: Path) -> StoredText:
            return stored(TEXT, "whitespace", folder)

        given: Any = {"memory": 1 << 30, "folder": tmp_path, "key": "key"}
        with running.fitted_within(NGramModel(3), read, **given) as (model, _):
            model.save(tmp_path / "disk.lm")
        assert (tmp_path / "disk.lm").read_bytes() == (tmp_path / "memory.lm").read_bytes()


@pytest.mark.slow
def test_processes_share_the_partitions(tmp_path: Path) -> None:
    text = stored(TEXT, "whitespace", tmp_path)
    NGramModel(3).fit(Corpus.from_text(TEXT, "whitespace")).save(tmp_path / "memory.lm")
    fit_on_disk(NGramModel(3), text, tmp_path, 400, jobs=2).save(tmp_path / "disk.lm")
    assert (tmp_path / "disk.lm").read_bytes() == (tmp_path / "memory.lm").read_bytes()


# The command -------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    monkeypatch.setattr(running, "_capacity", lambda *_: 500)
    return tmp_path


@pytest.mark.parametrize("name", ["model.lm", "model.arpa", "model.arpa.gz"])
def test_train_within_memory(name: str, folder: Path) -> None:
    common = ["train", "--corpus", "text.txt", "--order", "3", "--prune", "0", "0", "1"]
    assert main([*common, "--output", f"a.{name}"]) == 0
    Path("work").mkdir()
    limited = ["--memory", "1G", "--work", "work", "--output", f"b.{name}"]
    assert main([*common, *limited]) == 0
    assert Path(f"a.{name}").read_bytes() == Path(f"b.{name}").read_bytes()
    assert not list(Path("work").iterdir())


def test_only_the_same_text_and_settings_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str | None] = []

    def note(*_: Any, key: str | None, **__: Any) -> Any:
        keys.append(key)
        raise KeyboardInterrupt

    monkeypatch.setattr(on_disk, "fitted_within", note)

    def key(*arguments: str) -> str | None:
        command = ["train", "--memory", "1G", "--output", "model.lm", *arguments]
        assert main(command) == 130
        return keys[-1]

    first = key("--corpus", "text.txt")
    assert first == key("--corpus", "text.txt") is not None
    others = [["--order", "2"], ["--prune", "0", "1"], ["--min-count", "1"], ["--lower"]]
    found = {first, *(key("--corpus", "text.txt", *other) for other in others)}
    Path("text.txt").write_text(TEXT + "more\n")
    assert len(found | {key("--corpus", "text.txt")}) == 6
    by_lines = [key("--corpus", "text.txt", "--level", "char", *o) for o in ([], ["--lines"])]
    assert by_lines[0] != by_lines[1]
    assert key("--corpus", "-") is None


def test_an_interrupt_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        assert list(folder.glob("langmodels-work-*/counts.*"))
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "merge_partitions", interrupted)
    monkeypatch.setattr(Workplace, "estimate", interrupted)
    command = ["train", "--corpus", "text.txt", "--memory", "1G", "--output", "model.lm"]
    assert main(command) == 130
    assert [path.name for path in folder.iterdir()] == ["text.txt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--memory", "lots"], "4G or 500M"),
        (["--memory", "0"], "4G or 500M"),
        (["--work", "."], "--work is for --memory"),
        (["--jobs", "2"], "--jobs is for --memory"),
        (["--memory", "1G", "--model", "jelinek-mercer"], "held-out"),
        (["--memory", "1G", "--model", "class"], "plain n-gram models"),
        (["--memory", "1G", "--model", "lstm"], "plain n-gram models"),
        (["--memory", "1G", "--quantize"], "--quantize"),
        (["--memory", "1G", "--split", "contiguous"], "--split"),
        (["--memory", "1G", "--level", "bpe"], "learns its tokens"),
    ],
)
def test_what_cannot_be_done_in_partitions(
    arguments: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--corpus", "text.txt", "--output", "model.lm", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["text.txt"]


def test_too_little_of_memory_disk_or_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(memory: int) -> None:
        read = lambda work: stored(TEXT, "whitespace", work)  # noqa: E731
        with running.fitted_within(NGramModel(3), read, memory=memory, folder=tmp_path):
            pass

    with pytest.raises(LangmodelsError, match="of memory are too little"):
        fit(1 << 20)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(running.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(LangmodelsError, match=r"needs at least .* of disk"):
        fit(1 << 40)
    assert not list(tmp_path.iterdir())
    with pytest.raises(LangmodelsError, match="more than 1,000 tokens"):
        stored(TEXT, "whitespace", tmp_path, limit=1000)
    with pytest.raises(LangmodelsError, match="over 500 partitions"):
        make_plan(stored(made_up(9000), "whitespace", tmp_path), 3, 2)


def test_a_method_of_its_own_estimate_is_refused() -> None:
    class Whole(Smoothing):
        name = "whole"

        def estimate(self, counts: Any) -> Any:
            raise AssertionError

    with pytest.raises(UsageError, match="all counts at once"):
        check_in_parts(NGramModel(2, Whole()))
    with pytest.raises(UsageError, match="plain n-gram models"):
        check_in_parts(ClassModel())


def test_columns_are_files_of_numbers(tmp_path: Path) -> None:
    numbers = np.arange(100, dtype=np.int32)
    with ColumnWriter(tmp_path / "numbers", np.int32) as writer:
        for part in np.split(numbers, [10, 70]):
            writer.append(part)
        column = writer.column
    assert column[3] == 3
    assert column[95:200].tolist() == [95, 96, 97, 98, 99]
    save_arrays(tmp_path / "arrays", {"a": numbers, "b": numbers}, {})
    save_arrays(tmp_path / "columns", {"a": column, "b": column}, {})  # type: ignore[dict-item]
    assert (tmp_path / "arrays").read_bytes() == (tmp_path / "columns").read_bytes()
    assert open_columns(tmp_path / "columns")["b"][40:42].tolist() == [40, 41]
    longer = Column(tmp_path / "numbers", np.dtype(np.int32), 101)
    with pytest.raises(LangmodelsError, match="cut short"):
        longer[90:]
