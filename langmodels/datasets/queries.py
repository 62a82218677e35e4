"""Options after the question mark in the name of a text: `data.csv?series=price,bins=16`."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from langmodels.errors import UsageError


def parse_query(query: str, known: Iterable[str], owner: str) -> dict[str, str]:
    """Parse a query of `name=value` parts with `&` or commas between them.

    Raises UsageError, which names `owner`, for names that are not `known` or are given twice.

    >>> parse_query("order=2,seed=7", ["order", "seed"], "synthetic:markov")
    {'order': '2', 'seed': '7'}
    """
    values: dict[str, str] = {}
    for part in re.split("[&,]", query) if query else []:
        name, equals, value = part.partition("=")
        if name not in known or not equals:
            raise UsageError(
                f"{owner} has no option {part!r}; write NAME=VALUE with a name out of "
                f"{', '.join(known)}."
            )
        if name in values:
            raise UsageError(f"{owner} is given {name} twice; leave one of them out.")
        values[name] = unquote(value)
    return values
