"""Networks that several models of a comparison contain: trained once, with the same figures."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

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
from langmodels.neural import LSTMModel
from langmodels.presets import Setting
from langmodels.text.corpus import Corpus
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
    order: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        run_trials(
            trials,
            material,
            replace(PLAN, growth=()),
            jobs=pool,
            expected=[Work(9.0), Work(1.0), Work(2.0), Work(3.0)],
            tell=lambda trial, _: order.append(trial.candidate.name),
        )
    assert order == ["modified-kneser-ney", "gru", "lstm", "mixture"]
