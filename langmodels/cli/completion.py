"""Completion of commands, options and file names in a shell, by shtab."""

import argparse

from langmodels.cli.files import InputFile, OutputFile
from langmodels.errors import LangmodelsError, UsageError

OPTION = "--print-completion"
SHELLS = ("bash", "zsh", "tcsh")


def asked_for(arguments: list[str]) -> str | None:
    """The shell for which a command line requests a completion script; None if it does not."""
    option, _, shell = arguments[0].partition("=") if arguments else ("", "", "")
    return shell or " ".join(arguments[1:]) if option == OPTION else None


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script for `shell`. Raises LangmodelsError if shtab is not installed."""
    if shell not in SHELLS:
        raise UsageError(f"{OPTION} knows the shells {', '.join(SHELLS)}, not {shell!r}.")
    try:
        import shtab
    except ImportError:
        raise LangmodelsError(
            "Completion needs shtab, which is not installed: pip install 'langmodels[completion]'."
        ) from None
    _mark_files(parser)
    return str(shtab.complete(parser, shell))


def _mark_files(parser: argparse.ArgumentParser) -> None:
    """Mark the arguments that are files, so that shells complete file names."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _mark_files(command)
        elif isinstance(action.type, type) and issubclass(action.type, InputFile | OutputFile):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
