"""Pydantic models of JSON Schemas, as source text."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Any

_HEAD = '''"""What the sessions hold. Made by `python -m dialstack_sessions types`: make it anew when a definition changes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
'''

_SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
# A field of such a name would hide a type from the fields after it, or an attribute of BaseModel.
_TAKEN = {
    *("Any Literal BaseModel ConfigDict Field str int float bool list dict").split(),
    *("copy json schema construct validate from_orm parse_obj parse_raw parse_file schema_json update_forward_refs").split(),
}


def pydantic_models(schemas: Mapping[str, Any]) -> str:
    """A module with a model for each schema; the class is named after the key."""
    writer = _Writer()
    for tag, schema in schemas.items():
        writer.root(tag, schema)
    return "\n\n".join([_HEAD, *writer.classes])


class _Writer:
    def __init__(self) -> None:
        self.classes: list[str] = []
        self._names: set[str] = set()
        self._document: Any = None
        self._references: dict[str, str] = {}

    def root(self, tag: str, schema: Any) -> None:
        self._document, self._references = schema, {}
        name = self._name(tag)
        kind = self._type(schema, name, named=True)
        if kind != name:
            self.classes.append(f"{name} = {kind}\n")

    def _name(self, words: str) -> str:
        """A class name that is not used yet."""
        name = "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", words)) or "Data"
        if name[0].isdigit() or name in _TAKEN or keyword.iskeyword(name):
            name = f"Session{name}"
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name}{number}"
        self._names.add(unique)
        return unique

    def _type(self, schema: Any, name: str, named: bool = False) -> str:
        """The type that a schema describes. What Python's types cannot say is `Any`."""
        if not isinstance(schema, dict):
            return "Any"
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        if "const" in schema:
            return _literal([schema["const"]])
        if "enum" in schema:
            return _literal(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return _union([self._type(one, name) for one in schema[word]])
        if "allOf" in schema or "not" in schema:
            return "Any"
        kinds = schema.get("type", "object" if "properties" in schema else [])
        if isinstance(kinds, list):
            return _union([self._type({**schema, "type": kind}, name) for kind in kinds])
        if kinds == "array":
            return f"list[{self._type(schema.get('items'), f'{name}Item')}]"
        if kinds != "object":
            return _SIMPLE.get(kinds, "Any")
        if schema.get("properties"):
            return self._class(schema, name if named else self._name(name))
        values = schema.get("additionalProperties")
        return f"dict[str, {self._type(values, f'{name}Value')}]"

    def _reference(self, reference: str) -> str:
        """The type of another place of the document, which may be where we are."""
        if reference in self._references:
            return self._references[reference]
        place: Any = self._document
        for step in reference.removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            place = place.get(step) if isinstance(place, dict) else None
        if not reference.startswith("#") or not isinstance(place, dict):
            return "Any"
        if not place.get("properties"):
            # A type that is no class cannot name itself.
            self._references[reference] = "Any"
            kind = self._references[reference] = self._type(place, "Data")
            return kind
        name = self._references[reference] = self._name(reference.rsplit("/", 1)[-1])
        return self._type(place, name, named=True)

    def _class(self, schema: dict[str, Any], name: str) -> str:
        required = set(schema.get("required", ()))
        fields, used, aliased = [], set(_TAKEN) | self._names, False
        for key, what in schema["properties"].items():
            kind = self._type(what, f"{name} {key}")
            field = _field_name(key, used)
            used.add(field)
            alias = f"alias={key!r}" if field != key else ""
            aliased = aliased or bool(alias)
            if key in required:
                fields.append(f"    {field}: {kind}" + (f" = Field({alias})" if alias else ""))
            else:
                optional = kind if kind in ("Any", "None") or kind.endswith("| None") else f"{kind} | None"
                fields.append(f"    {field}: {optional} = " + (f"Field(None, {alias})" if alias else "None"))
        extra = "forbid" if schema.get("additionalProperties") is False else "allow"
        options = f'extra="{extra}"' + (", populate_by_name=True" if aliased else "")
        head = f"class {name}(BaseModel):\n    model_config = ConfigDict({options})\n\n"
        self.classes.append(head + "\n".join(fields) + "\n")
        return name


def _field_name(key: str, used: set[str]) -> str:
    name = re.sub(r"\W", "_", key, flags=re.ASCII).lstrip("_") or "field"
    if name[0].isdigit():
        name = f"field_{name}"
    if keyword.iskeyword(name) or name.startswith("model_"):
        name += "_"
    while name in used:
        name += "_"
    return name


def _literal(values: list[Any]) -> str:
    if values and all(isinstance(value, (str, int, bool)) or value is None for value in values):
        return f"Literal[{', '.join(map(repr, values))}]"
    return "Any"


def _union(kinds: list[str]) -> str:
    kinds = list(dict.fromkeys(kinds))
    if not kinds or "Any" in kinds:
        return "Any"
    if "None" in kinds:
        kinds = [kind for kind in kinds if kind != "None"] + ["None"]
    return " | ".join(kinds)
