"""Some hundreds of damaged files; `python -m tests.faults` makes as many as one likes."""

from pathlib import Path

import numpy as np
import pytest

from .cases import case, run
from .outcomes import Fault, judge
from .wholes import make_wholes


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return make_wholes(tmp_path_factory.mktemp("wholes"))


def test_what_is_whole_is_sound(wholes: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in wholes.items():
        (tmp_path / name).write_bytes(data)
        assert judge(tmp_path / name) == "sound", name


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_refused_or_sound(wholes: dict[str, bytes]) -> None:
    outcomes, faults = run(wholes, 1, range(20 * len(wholes)))
    assert not faults
    assert outcomes.total() == 20 * len(wholes)


def test_cases_are_those_of_the_seed(wholes: dict[str, bytes]) -> None:
    assert case(wholes, 1, 7) == case(wholes, 1, 7)
    assert case(wholes, 1, 7) != case(wholes, 2, 7)


def test_other_outcomes_are_noticed(
    wholes: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from langmodels.models.unigram import UnigramModel

    path = tmp_path / "unigram.lm"
    path.write_bytes(wholes["unigram.lm"])
    monkeypatch.setattr(UnigramModel, "log_distribution", lambda *_: np.zeros(5))
    monkeypatch.setattr(UnigramModel, "check_start", lambda *_: None)
    with pytest.raises(Fault, match="sum to 5"):
        judge(path)
    monkeypatch.setattr(UnigramModel, "start", lambda *_: 1 // 0)
    with pytest.raises(Fault, match="ZeroDivisionError"):
        judge(path)
