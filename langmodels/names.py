"""Registries: models, smoothing methods, cells, tokenizers and formats by name.

In every `Registry`, names are found whatever their hyphens, underscores and capitals; an unknown
name raises an error that suggests similar ones; and other packages can add to it by an entry point.
What a program itself registers is passed on to the processes that it starts: `additions` collects
it, and `receive` registers it there.
"""

import difflib
import functools
import importlib
import inspect
import os
import pickle
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from langmodels.errors import LangmodelsError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

IMPORTABLE = "define it at the top of a module that can be imported, or use one job"
"""Advice in errors about functions and classes that other processes cannot find."""


def nearest(name: str, names: Iterable[str], n: int = 3) -> str:
    """A suggestion that ends a sentence: `did you mean lstm?`, or the list of all names.

    >>> nearest("ltsm", ["lstm", "gru"]), nearest("x", ["lstm", "gru"])
    ('did you mean lstm?', 'choose from lstm, gru.')
    """
    names = list(names)
    keys = {_key(known): known for known in names}
    close = [keys[key] for key in difflib.get_close_matches(_key(name), keys, n)]
    return f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(names)}."


def split_names(text: str) -> list[str]:
    """Split names at commas, except within the name of an existing file.

    >>> split_names("mkn:order=3, lstm")
    ['mkn:order=3', 'lstm']
    """
    names = []
    parts = text.split(",")
    while parts:
        n = len(parts)
        while n > 1 and not os.path.exists(",".join(parts[:n]).strip()):  # noqa: PTH110 - never raises
            n -= 1
        names.append(",".join(parts[:n]).strip())
        parts = parts[n:]
    return names


def file_labels(names: Iterable[str], *, endings: bool = False) -> dict[str, str]:
    """What files are called in tables: by their names without the folder, and without `endings`.

    A file is called by its whole path where the short name is that of another, too.

    >>> file_labels(["old/kn.lm", "new/kn.lm", "new/lstm.lm", "lstm"])
    {'old/kn.lm': 'old/kn.lm', 'new/kn.lm': 'new/kn.lm', 'new/lstm.lm': 'new/lstm.lm', \
'lstm': 'lstm'}
    """
    short = {name: Path(name).name if endings else Path(name).stem for name in names}
    often = Counter(short.values())
    return {name: name if often[label] > 1 else label for name, label in short.items()}


class Late:
    """A class or function of the package that is imported when it is first used.

    Args:
        module: the module that it is in.
        name: its name there.
        options: keyword arguments that are always passed to it.
    """

    def __init__(self, module: str, name: str, **options: Any) -> None:
        self._module, self._name, self._options = module, name, options

    @functools.cached_property
    def target(self) -> Callable[..., Any]:
        """The class or function itself, with `options` applied."""
        found: Callable[..., Any] = getattr(importlib.import_module(self._module), self._name)
        return functools.partial(found, **self._options) if self._options else found

    def __call__(self, **options: Any) -> Any:
        return self.target(**options)


def first_line(thing: Any) -> str:
    """The first line of a docstring, without its full stop."""
    return (inspect.getdoc(thing) or "").partition("\n")[0].rstrip(".")


@dataclass(frozen=True)
class Handed:
    """A registered object, on its way to another process; `content` is the pickled object."""

    name: str
    aliases: tuple[str, ...]
    content: bytes
    error: str = ""

    @classmethod
    def of(cls, name: str, aliases: tuple[str, ...], item: Any) -> "Handed":
        """Pickle an object; if that fails, `load` raises the error in the other process."""
        try:
            return cls(name, aliases, pickle.dumps(item))
        except Exception as error:
            return cls(name, aliases, b"", str(error))

    def load(self, what: str) -> Any:
        """The object itself. Raises LangmodelsError where it cannot be unpickled."""
        error = self.error
        if not error:
            try:
                return pickle.loads(self.content)
            except Exception as failure:
                error = str(failure)
        raise LangmodelsError(
            f"The {what} {self.name!r} is not known to other processes ({error}); {IMPORTABLE}."
        )


class Registry(Mapping[str, T], Generic[T]):
    """Objects of one kind by name, in the order in which they were registered.

    Args:
        what: what one of them is called in errors, such as "smoothing method".
        items: the built-in ones.
        aliases: other names, mapped to the names that they stand for.
        group: the group of entry points by which other packages add to the registry; these are
            imported at their first use.
        derived: other registries whose items also have a meaning here, as a smoothing method stands
            for an n-gram model with it: (registry, function from name and item to the item here,
            prefix of the names here). Names that exist here take precedence.
    """

    def __init__(
        self,
        what: str,
        items: Mapping[str, T] | None = None,
        *,
        aliases: Mapping[str, str] | None = None,
        group: str = "",
        derived: Iterable[tuple["Registry[Any]", Callable[[str, Any], T], str]] = (),
    ) -> None:
        self.what = what
        self.group = group
        self._items: dict[str, T | Handed] = dict(items or {})
        self._first = dict(items or {})
        self._aliases = {_key(alias): name for alias, name in (aliases or {}).items()}
        self._derived = tuple(derived)
        self._made: dict[str, tuple[Any, T]] = {}
        if group:
            _open[group] = self
            for handed in _received.pop(group, ()):
                self._put(handed.name, handed, handed.aliases)

    def register(self, name: str, item: Any, *aliases: str) -> T:
        """Add an item, or replace the one of that name; return what is stored, see `adapt`."""
        adapted = self.adapt(name, item)
        self._put(name, adapted, aliases)
        return adapted

    def _put(self, name: str, item: T | Handed, aliases: Iterable[str]) -> None:
        self._items[self._own(name) or name] = item
        for alias in aliases:
            self._aliases[_key(alias)] = name

    def built_in(self) -> dict[str, T]:
        """The built-in items by name."""
        return dict(self._first)

    def registered(self) -> dict[str, T]:
        """Built-in and registered items by name, without derived ones and other packages'."""
        return {name: self._load(name) for name in self._items}

    def unregister(self, name: str) -> None:
        """Remove an item; a built-in one that it replaced comes back.

        Raises KeyError where it was not registered.
        """
        known = self._own(name) or name
        if self._items.pop(known) is not self._first.get(known) and known in self._first:
            self._items[known] = self._first[known]

    def is_added(self, name: str) -> bool:
        """Whether a name stands for an item that is not built in."""
        known = self.canonical(name)
        if known is None:
            return False
        if known in self._items:
            return self._items[known] is not self._first.get(known)
        sources = ((r, known.removeprefix(p)) for r, _, p in self._derived if known.startswith(p))
        return all(registry.is_added(there) for registry, there in sources if there in registry)

    def additions(self) -> list[Handed]:
        """The items that were registered in this process, to be sent to another one."""
        return [
            Handed.of(name, tuple(a for a, of in self._aliases.items() if of == name), item)
            for name, item in self._items.items()
            if item is not self._first.get(name)
        ]

    @property
    def aliases(self) -> dict[str, str]:
        """Aliases, mapped to the names that they stand for; derived ones included."""
        found = dict(self._aliases)
        for registry, _, prefix in self._derived:
            found |= {prefix + k: prefix + _typed(v) for k, v in registry.aliases.items()}
        return found

    def canonical(self, name: str) -> str | None:
        """The name as it is listed, from any spelling or alias; None for an unknown name."""
        key = _key(name)
        key = _key(self.aliases.get(key, key))
        return next((known for known in self._names() if _key(known) == key), None)

    def find(self, name: str) -> T:
        """The item of this name. Raises UsageError, which suggests similar names, if there is none.

        Raises LangmodelsError if it belongs to another package that cannot be imported.
        """
        known = self.canonical(name)
        if known is None:
            raise UsageError(f"There is no {self.what} {name!r}; {self.hint(name)}")
        return self._load(known)

    def hint(self, name: str) -> str:
        """A suggestion of similar names that ends a sentence; see `nearest`."""
        if "=" in name:
            return f"write a colon before every option of a {self.what}, name:option=value."
        hint = nearest(name, [*self, *self.aliases])
        return hint if hint.startswith("did") else nearest(name, self)

    def working(self) -> Iterator[tuple[str, T]]:
        """(name, item) of all that can be imported; the others are left out with a warning."""
        for name in self:
            try:
                yield name, self._load(name)
            except LangmodelsError as error:
                warnings.warn(str(error), stacklevel=2)

    def __getitem__(self, name: str) -> T:
        known = self.canonical(name)
        if known is None:
            raise KeyError(name)
        return self._load(known)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.canonical(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names()))

    def __len__(self) -> int:
        return len(list(self._names()))

    def __repr__(self) -> str:
        return f"<{self.what}: {', '.join(self)}>"

    # Where names come from --------------------------------------------------------------------

    def _names(self) -> Iterator[str]:
        """All names, each once; those that cost nothing to look up come first."""
        yield from self._items
        seen = set(map(_key, self._items))
        for registry, _, prefix in self._derived:
            for name in (prefix + _typed(known) for known in registry):
                if _key(name) not in seen:
                    seen.add(_key(name))
                    yield name
        yield from (name for name in self._others() if _key(name) not in seen)

    def _load(self, name: str) -> T:
        if name in self._items:
            item = self._items[name]
            if isinstance(item, Handed):
                item = self._items[name] = item.load(self.what)
            return item
        for registry, make, prefix in self._derived:
            there = name.removeprefix(prefix)
            if name.startswith(prefix) and there in registry:
                return self._once(name, registry[there], functools.partial(make, there))
        return self._once(name, self._others()[name], self._imported)

    def _once(self, name: str, source: Any, make: Callable[[Any], T]) -> T:
        """What `make` returns for a source, made again only if the source changes."""
        if name not in self._made or self._made[name][0] is not source:
            self._made[name] = source, make(source)
        return self._made[name][1]

    def _own(self, name: str) -> str | None:
        return next((known for known in self._items if _key(known) == _key(name)), None)

    def _others(self) -> dict[str, "EntryPoint"]:
        """The entry points of other packages by name; nothing is imported yet."""
        return _offered(tuple(sys.path)).get(self.group, {}) if self.group else {}

    def _imported(self, point: "EntryPoint") -> T:
        """Import an entry point's item. Raises LangmodelsError where that fails."""
        try:
            return self.adapt(point.name, point.load())
        except Exception as error:
            package = point.dist.name if point.dist else point.module
            raise LangmodelsError(
                f"The {self.what} {point.name!r} of the package {package} cannot be used "
                f"({type(error).__name__}: {error}); mend or uninstall that package."
            ) from error

    def adapt(self, name: str, found: Any) -> T:
        """Convert an item that is registered or imported to the form stored; for subclasses."""
        item: T = found
        return item


@functools.cache
def _offered(_: tuple[str, ...]) -> dict[str, dict[str, "EntryPoint"]]:
    """The entry points of all packages by group and name; the argument is `sys.path`.

    Looking through all packages takes longer than most commands, so it is done once for all groups.
    """
    from importlib.metadata import distributions  # slow to import

    found: dict[str, dict[str, EntryPoint]] = {}
    for point in (point for package in distributions() for point in package.entry_points):
        found.setdefault(point.group, {}).setdefault(point.name, point)
    return found


_open: dict[str, Registry[Any]] = {}
"""The registries that other packages may add to, by group."""
_received: dict[str, list[Handed]] = {}
"""By group, items that were received before their registry was made."""


def additions() -> dict[str, list[Handed]]:
    """All that was registered in this process, by group of the registry."""
    found = {group: registry.additions() for group, registry in _open.items()}
    return {group: handed for group, handed in found.items() if handed}


def receive(additions: Mapping[str, list[Handed]]) -> None:
    """Register what was registered in the process that started this one."""
    for group, some in additions.items():
        if group not in _open:
            _received[group] = some
        for handed in some if group in _open else ():
            _open[group]._put(handed.name, handed, handed.aliases)


def is_added(name: str) -> bool:
    """Whether a name stands, in any registry, for an item that is not built in."""
    return any(registry.is_added(name) for registry in _open.values())


def _typed(name: str) -> str:
    """A Python name as it is typed on a command line: with hyphens."""
    return name.replace("_", "-")


def _key(name: str) -> str:
    """The form of a name in which spellings that are equal coincide."""
    return _typed(name.strip().lower())
