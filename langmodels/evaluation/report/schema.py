"""The JSON Schema of a comparison: what `--report FILE.json` writes, made from its types."""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from langmodels.evaluation.results import Results

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBER = {"anyOf": [{"type": ["number", "null"]}, {"enum": ["Infinity", "-Infinity"]}]}
_SIMPLE: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"$ref": "#/$defs/number"},
    NoneType: {"type": "null"},
    Any: {},
}


def comparison_schema() -> dict[str, Any]:
    """The schema as JSON values (draft 2020-12). Later versions may add fields to it; they remove
    none that is required.
    """
    definitions: dict[str, Any] = {"number": _NUMBER}
    top = _schema(Results, definitions)
    return {
        "$schema": DIALECT,
        "title": "A comparison of language models",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return {"anyOf": [_schema(argument, definitions) for argument in arguments]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is tuple:
        items = [_schema(argument, definitions) for argument in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    if not is_dataclass(kind) or not isinstance(kind, type):
        raise TypeError(f"no schema for {kind!r}")
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}  # ends the recursion where a type contains itself
        hints = get_type_hints(kind)
        own = fields(kind)
        definitions[name] = {
            "type": "object",
            "description": " ".join((kind.__doc__ or "").split("\n\n")[0].split()),
            "properties": {f.name: _schema(hints[f.name], definitions) for f in own},
            "required": [
                f.name for f in own if f.default is MISSING and f.default_factory is MISSING
            ],
        }
    return {"$ref": f"#/$defs/{name}"}
