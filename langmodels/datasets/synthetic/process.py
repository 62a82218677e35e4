"""A log of events: orders on their way through a small shop."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from langmodels.datasets.synthetic.automaton import Automaton, LineSource
from langmodels.datasets.synthetic.base import LETTERS

# From each step: (event, step after it, probability); how the order came in decides how it goes
# out, and all that lies between is the same for both.
_Branches = list[tuple[str, str, float]]
_MIDDLE: dict[str, _Branches] = {
    "check": [("check", "checked", 1.0)],
    "checked": [("pay", "paid", 0.8), ("query", "queried", 0.15), ("cancel", "end", 0.05)],
    "queried": [("answer", "check", 0.9), ("cancel", "end", 0.1)],
    "paid": [("pick", "picked", 0.5), ("reorder", "reordered", 0.5)],
    "reordered": [("wait", "reordered", 0.8), ("pick", "picked", 0.2)],
    "picked": [("pack", "packed", 0.95), ("return", "paid", 0.05)],
}
_CHANNELS = (("web", 0.6, "ship"), ("shop", 0.4, "collect"))


@dataclass(frozen=True)
class ProcessSource(LineSource):
    """A log of a process: each line is a case, a sequence of events separated by spaces.

    An order comes in through the web or in the shop, is checked (again after every query), paid,
    picked and packed, with loops of any length (half of the orders wait for supplies), and then
    shipped if it came through the web and collected if it was made in the shop. That last event
    depends on the first; everything else depends on the event before.

    The process is an automaton whose state is known from the events so far, so the entropy rate is
    exact: the choices at its forks, over all characters of the log, spaces and newlines included.
    """

    kind: ClassVar[str] = "process"
    summary: ClassVar[str] = "an event log: orders in a shop; the last event depends on the first"
    level: ClassVar[str] = "whitespace"
    alphabet: ClassVar[str] = LETTERS + " \n"

    @cached_property
    def automaton(self) -> Automaton:
        """The process, letter by letter."""
        steps: dict[tuple[int, str], _Branches] = {}
        for channel, (_, _, last) in enumerate(_CHANNELS):
            for step, branches in _MIDDLE.items():
                steps[channel, step] = branches
            steps[channel, "packed"] = [(last, "end", 1.0)]
        return Automaton.of_lines(_spell_out(steps), self.alphabet)

    @property
    def entropy_note(self) -> str:
        """What `entropy_bits` is."""
        return "exact: the choices between events, over all characters of the log"


def _spell_out(
    steps: dict[tuple[int, str], _Branches],
) -> list[dict[str, tuple[int, float]]]:
    """The arcs that write the events of a process letter by letter; state 0 begins a line.

    Events at a fork must begin with different letters: the first one is the choice.
    """
    begin = {step: i + 1 for i, step in enumerate(steps)}
    arcs: list[dict[str, tuple[int, float]]] = [{} for _ in range(len(steps) + 1)]

    def write(state: int, word: str, after: int, probability: float) -> None:
        for letter in word[:-1]:
            arcs[state][letter] = (len(arcs), probability)
            state, probability = len(arcs), 1.0
            arcs.append({})
        arcs[state][word[-1]] = (after, 1.0)

    for channel, (event, probability, _) in enumerate(_CHANNELS):
        write(0, f"{event} ", begin[channel, "check"], probability)
    for (channel, step), branches in steps.items():
        for event, after, probability in branches:
            if after == "end":
                write(begin[channel, step], f"{event}\n", 0, probability)
            else:
                write(begin[channel, step], f"{event} ", begin[channel, after], probability)
    return arcs
