"""The one exception that is meant for people."""


class LangmodelsError(ValueError):
    """Something the user can mend: one sentence saying what is wrong and what to do about it.

    The command line prints the sentence without a traceback and exits with :attr:`exit_status`.
    """

    exit_status = 1


class UsageError(LangmodelsError):
    """A request that could never work as it was put: an unknown name, an impossible option."""

    exit_status = 2
