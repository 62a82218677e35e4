"""Training, looking into and experimenting with networks from the command line."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from langmodels.cli.main import main
from langmodels.neural.training.trainer import Trainer
from langmodels.registry import load

TEXT = "the cat sat on the mat, the dog sat on the log, the heron stood in the pond.\n" * 12
SMALL = "lstm:hidden=8:epochs=3:batch_size=8:steps=16:threads=1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)


def train(*arguments: str, model: str = SMALL, output: str = "m.lm") -> int:
    options = ["--corpus", "text.txt", "--level", "char", "--model", model, "--output", output]
    return main(["train", *options, *arguments])


def weights(path: str) -> np.ndarray:
    return load(path).network.parameters.flat


def stop_before(monkeypatch: pytest.MonkeyPatch, at: int, action) -> list[int]:
    """Call `action` before step `at`, counted from 1; the list grows by one every step."""
    step, steps = Trainer._step, []

    def counted(self, shards, workers):
        steps.append(self.step)
        if len(steps) == at:
            action()
        step(self, shards, workers)

    monkeypatch.setattr(Trainer, "_step", counted)
    return steps


def killed() -> None:
    raise SystemError


def test_training_prints_a_line_per_epoch_and_a_sample(capsys):
    assert train("--fractions", "0.8,0.1,0.1", "--sample", "30") == 0
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith("epoch ")]
    assert [line.split(":")[0] for line in told] == [f"epoch {k} of 3" for k in (1, 2, 3)]
    for line in told:
        for figure in ("nats a token", "validation text", "tokens/s", "gradient"):
            assert figure in line
    assert len(lines) >= 6  # and three samples


def test_a_killed_run_resumes_from_its_checkpoint_with_the_same_weights(monkeypatch, capsys):
    with monkeypatch.context() as patch:
        steps = stop_before(patch, 0, killed)
        assert train(output="whole.lm") == 0
    epoch = len(steps) // 3
    with monkeypatch.context() as patch:
        stop_before(patch, epoch + epoch // 2, killed)
        assert train("--checkpoint", "run.ckpt") == 1
    assert not Path("m.lm").exists()
    with monkeypatch.context() as patch:
        steps = stop_before(patch, 0, killed)
        capsys.readouterr()
        assert train("--checkpoint", "run.ckpt") == 0
    assert len(steps) == 2 * epoch
    assert "epoch 1 of" not in capsys.readouterr().err
    np.testing.assert_array_equal(weights("m.lm"), weights("whole.lm"))
    assert train("--checkpoint", "run.ckpt", model=SMALL.replace("hidden=8", "hidden=9")) == 1
    assert "other settings" in capsys.readouterr().err


def test_ctrl_c_keeps_the_best_weights_and_the_checkpoint(monkeypatch, capsys):
    with monkeypatch.context() as patch:
        steps = stop_before(patch, 2, lambda: signal.raise_signal(signal.SIGINT))
        assert train("--checkpoint", "run.ckpt") == 130
    assert len(steps) == 2
    assert "interrupted" in capsys.readouterr().out
    assert load("m.lm").history.stopped == "interrupted"
    assert train("--checkpoint", "run.ckpt") == 0
    assert train(output="whole.lm") == 0
    np.testing.assert_array_equal(weights("m.lm"), weights("whole.lm"))


@pytest.mark.parametrize(
    ("arguments", "model", "said"),
    [
        (["--checkpoint", "run.ckpt"], "mkn", "neural"),
        (["--sample", "9"], "mkn", "neural"),
        (["--sample", "0"], SMALL, "at least 1"),
    ],
)
def test_invalid_options_are_explained(arguments, model, said, capsys):
    assert train(*arguments, model=model) == 2
    assert said in capsys.readouterr().err


def test_diverged_training_names_the_step_and_the_norm(capsys):
    wild = "rnn:relu=true:optimizer=sgd:learning_rate=1e9:clip_norm=none:hidden=8"
    assert train(model=wild) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "step" in error
    assert "norm of the gradient" in error
    assert not Path("m.lm").exists()


def test_the_article(capsys):
    arguments = ["article", "--corpus", "text.txt", "--iterations", "2"]
    assert main([*arguments, "--output", "article.lm"]) == 0
    printed = capsys.readouterr().out
    assert "iteration 1" in printed
    assert printed.count("generating from seed: ") == 2
    assert main([*arguments, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert second["loss"] < first["loss"]
    assert len(second["generated"]) == 100
    model = load("article.lm")
    again = model.sample_text(second["seed"], max_tokens=100, greedy=True)
    assert again == second["generated"]
    assert main(["article", "--corpus", "text.txt", "--iterations", "0"]) == 2


def test_gradients_vanish_and_explode(capsys):
    """By lag: a share of lag 0 that fades. Step by step: clipping holds what otherwise explodes."""
    arguments = ["gradients", "--corpus", "text.txt", "--hidden", "16", "--steps", "12"]
    assert main([*arguments, "--cells", "rnn,relu-rnn", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    norms = found["rnn"]["gradient_by_lag"]
    assert norms[45] < 1e-3 * norms[0]
    relu = found["relu-rnn"]["courses"]
    assert relu["not clipped"]["diverged"]
    assert len(relu["clipped"]["norms"]) == 12
    assert main([*arguments, "--cells", "lstm"]) == 0
    printed = capsys.readouterr().out
    assert "not clipped" in printed
    assert "largest" in printed


def test_gradients_in_a_picture(capsys):
    pytest.importorskip("matplotlib")
    arguments = ["gradients", "--corpus", "text.txt", "--hidden", "8", "--steps", "3"]
    assert main([*arguments, "--cells", "rnn,gru", "--plot", "gradients.svg"]) == 0
    assert Path("gradients.svg").read_text().count("<svg") == 1
    assert main([*arguments, "--cells", "rnn", "--plot", "gradients.xyz"]) == 2
    assert not Path("gradients.xyz").exists()


def test_gates_of_a_trained_network(capsys):
    assert train() == 0
    capsys.readouterr()
    assert main(["gradients", "--model", "m.lm", "--gates", "the cat"]) == 0
    printed = capsys.readouterr().out
    for gate in ("input gate", "forget gate", "output gate"):
        assert gate in printed
    assert main(["gradients", "--model", "m.lm", "--gates", "the cat", "--json"]) == 0
    arrays = json.loads(capsys.readouterr().out)["m.lm"]
    assert np.shape(arrays["cell"]) == (7, 8)
    # A part of the text, or another text, may lack some of the model's tokens.
    Path("other.txt").write_text("the mat sat on the xylophone\n" * 30)
    for text in ("text.txt", "other.txt"):
        assert main(["gradients", "--model", "m.lm", "--corpus", text]) == 0
    assert train(model="mkn", output="n.lm") == 0
    assert main(["gradients", "--model", "n.lm"]) == 2
    assert main(["gradients", "--cells", "nope", "--corpus", "text.txt"]) == 2
    capsys.readouterr()
    assert main(["gradients", "--corpus", "text.txt", "--gates", "the cat"]) == 0
    assert "reset gate" in capsys.readouterr().out  # though an RNN has none
    assert main(["gradients", "--corpus", "text.txt", "--gates", "a", "--cells", "relu-rnn"]) == 2
    assert train(model="crnn:hidden=8:epochs=1", output="c.lm") == 0
    assert main(["gradients", "--model", "c.lm", "--gates", "the cat", "--json"]) == 0
    assert main(["gradients", "--steps", "0", "--corpus", "text.txt"]) == 2
