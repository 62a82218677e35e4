"""Networks that several models of a comparison contain: trained once, with the same figures."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from langmodels.datasets import find_source
from langmodels.evaluation import compare, measuring
from langmodels.evaluation.candidates import Trial, make_candidates
from langmodels.evaluation.forecast import Work
from langmodels.evaluation.levels import Material
from langmodels.evaluation.measuring import Plan
from langmodels.evaluation.results import ModelResult
from langmodels.evaluation.running import run_trials
from langmodels.evaluation.shared_networks import SharedNetworks, Training, containing
from langmodels.evaluation.speeds import expected_times
from langmodels.execution import Jobs
from langmodels.models.mixture import MixtureModel
from langmodels.neural import LSTMModel
from langmodels.presets import Setting
from langmodels.registry import MODELS, ModelSpec
from langmodels.text.corpus import AnyText, Corpus
from langmodels.text.levels import make_tokenizer
from langmodels.text.splits import Splits

TEXT = find_source("wonderland.txt").read()[:12_000]
PLAN = Plan(growth=(0.5,), contexts=(1, 4), calibration=30, sample=40, blanks=0)
OPTIONS = "hidden=8:epochs=1:batch_size=4"
LSTM, MIXTURE, DYNAMIC = f"lstm:{OPTIONS}", f"mixture:{OPTIONS}:order=2", f"dynamic:{OPTIONS}"


def parts() -> Splits:
    return Splits.from_text(TEXT, make_tokenizer("word"))


def trials_of(*names: str, seed: int = 0) -> list[Trial]:
    return [Trial(candidate, seed) for candidate in make_candidates(names, ["word"], Setting())]


def by_name(*names: str, jobs: int = 1) -> dict[str, ModelResult]:
    found = compare(names, parts(), plan=PLAN, jobs=jobs).results.models
    return {model.name: model for model in found}


def test_a_network_is_trained_once_with_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = by_name(MIXTURE)["mixture"]
    trained: list[int] = []
    fit = LSTMModel.fit

    def counted(self: LSTMModel, corpus: Corpus, validation: Corpus) -> LSTMModel:
        trained.append(corpus.n_tokens)
        return fit(self, corpus, validation)

    monkeypatch.setattr(measuring, "_QUICK_FIT", 0.0)  # a short fit is not repeated to be timed
    monkeypatch.setattr(LSTMModel, "fit", counted)
    both = by_name(LSTM, MIXTURE)
    assert len(trained) == len(set(trained)) == 2, "once for each size of the text"
    assert replace(both["mixture"], timing=alone.timing) == alone
    costs = zip(both["mixture"].timing.growth, both["lstm"].timing.growth, strict=True)
    for whole, part in costs:
        assert whole.seconds > part.seconds, "the training of the network counts"


def test_processes_share_networks_with_the_same_figures() -> None:
    here = by_name(LSTM, MIXTURE, DYNAMIC)
    there = by_name(LSTM, MIXTURE, DYNAMIC, jobs=2)
    for name, model in here.items():
        assert replace(there[name], timing=model.timing) == model


def test_networks_are_found_in_models_of_models() -> None:
    trials = trials_of(LSTM, DYNAMIC, MIXTURE, f"{LSTM}:dropout=0.5")
    assert containing(trials) == {1: [0], 2: [0]}
    other_seed = [trials[0], replace(trials[2], seed=4)]
    assert containing(other_seed) == {}
    with SharedNetworks.among(other_seed) as networks:
        assert networks == SharedNetworks()


def test_networks_that_cannot_be_kept_are_trained_again() -> None:
    lstm, mixture = trials_of(LSTM, MIXTURE)
    train = parts().train
    model = lstm.make().fit(train)
    with SharedNetworks.among([lstm, mixture]) as networks:
        networks.keep(lstm, model, train, Training(2.0, 100))
        whole, cost = networks.complete(mixture.make(), "word", train)
        assert [part.is_fitted for part in whole.parts] == [False, True]
        assert cost == Training(2.0, 100)
        shorter = train.head(500)
        assert networks.complete(mixture.make(), "word", shorter)[1] == Training()
        (file,) = Path(networks.folder).iterdir()
        file.write_bytes(file.read_bytes()[:1000])
        whole, cost = networks.complete(mixture.make(), "word", train)
        assert not any(part.is_fitted for part in whole.parts)
        assert cost == Training()
    assert not Path(networks.folder).exists()
    networks.keep(lstm, model, train, Training())  # as on another machine
    assert not Path(networks.folder).exists()


def test_models_that_contain_others_start_and_are_expected_after_them() -> None:
    material = Material(parts())
    trials = trials_of(MIXTURE, LSTM, f"gru:{OPTIONS}", "mkn")
    shared, _ = expected_times(trials, material, PLAN, jobs=2)
    alone, _ = expected_times(trials, material, PLAN, jobs=3)
    assert shared[0] == Work(alone[0].seconds - sum(alone[1].told), kind=True)
    assert shared[1:] == alone[1:]
    assert expected_times(trials, material, PLAN, jobs=1)[0] == shared

    def order(jobs: Jobs) -> list[str]:
        names: list[str] = []
        run_trials(
            trials,
            material,
            replace(PLAN, growth=()),
            jobs=jobs,
            expected=[Work(9.0), Work(1.0), Work(2.0), Work(3.0)],
            tell=lambda trial, _: names.append(trial.candidate.name),
        )
        return names

    with ThreadPoolExecutor(1) as pool:
        assert order(pool) == ["modified-kneser-ney", "gru", "lstm", "mixture"]
    assert order(1) == ["lstm", "gru", "modified-kneser-ney", "mixture"]


class HalfReader(LSTMModel):
    """An LSTM that learns from half of the text, and has the kind of its base class."""

    def fit(self, corpus: AnyText, validation: AnyText | None = None) -> Self:
        assert isinstance(corpus, Corpus)
        return super().fit(corpus.head(corpus.n_tokens // 2), validation)


class Unstorable(LSTMModel):
    """An LSTM that cannot be restored."""

    kind = "unstorable"

    @classmethod
    def restore(cls, *_: Any) -> Self:
        raise NotImplementedError


class Unpacked(LSTMModel):
    """An LSTM that cannot be written to a file."""

    kind = "unpacked"

    def config(self) -> dict[str, Any]:
        return {**super().config(), "words": {"a set"}}


@pytest.mark.parametrize("own", [HalfReader, Unstorable, Unpacked])
def test_models_that_no_file_can_hold_are_trained_again(
    own: type[LSTMModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixed(**options: Any) -> MixtureModel:
        return MixtureModel([own(**options)])

    for name, build in (("own", own), ("mixed", mixed)):
        spec: ModelSpec[Any] = ModelSpec(name, "test", "A test.", build)
        monkeypatch.setitem(MODELS._items, name, spec)
    names = [f"{name}:hidden=8:epochs=1:batch_size=4:seed=1" for name in ("own", "lstm", "mixed")]
    mixtures = [f"{MIXTURE}:seed=1"]
    together = by_name(*names, *mixtures)
    for name in (*names, *mixtures):
        ((key, alone),) = by_name(name).items()
        assert replace(together[key], timing=alone.timing) == alone


def test_parts_that_were_fitted_before_are_left_as_they_are() -> None:
    lstm, mixture = trials_of(LSTM, MIXTURE)
    train = parts().train
    fitted = lstm.make().fit(train.head(500))
    whole = MixtureModel([MixtureModel([fitted], [1.0]), lstm.make()])
    with SharedNetworks.among([lstm, mixture]) as networks:
        networks.keep(lstm, lstm.make().fit(train), train, Training())
        completed, _ = networks.complete(whole, "word", train)
        assert completed.models[0] is whole.models[0]
        assert completed.models[1].is_fitted
        assert networks.complete(MixtureModel([fitted]), "word", train)[0].models == [fitted]


def test_nothing_is_shared_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    with SharedNetworks.among(trials_of(LSTM, MIXTURE)) as networks:
        assert networks == SharedNetworks()
