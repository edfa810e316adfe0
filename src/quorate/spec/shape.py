"""What the models take, place by place: the fields that are known there, and whether a value fits."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from quorate.spec.tree import Where


def fields_at(where: Where, root: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of the model that holds a place, by name; empty where anything is allowed."""
    model = next(_models(kind_at(where, root)), None)
    named = get_origin(_bare(kind_at(where, root))) is dict
    return dict(model.model_fields) if model and not named else {}


def kind_at(where: Where, root: type[BaseModel]) -> Any:
    """The type of what stands at a place, with its limits; None where there is no such place, or anything goes."""
    kind: Any = root
    for step in where:
        inner = _bare(kind)
        model = next(_models(inner), None)
        if get_origin(inner) is dict:  # under a key of the user's
            kind = get_args(inner)[1]
        elif isinstance(step, int):
            kind = next((part for part in get_args(inner) if part is not Ellipsis), None)
        else:
            info = model.model_fields.get(step) if model else None
            kind = kind_of(info) if info else None
    return kind


def kind_of(info: FieldInfo) -> Any:
    """The type of a field, with its limits."""
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def fits(kind: Any, given: object) -> bool:
    """Whether a type takes a value of the file."""
    try:
        TypeAdapter(kind).validate_json(json.dumps(given), strict=True)
    except ValidationError:
        return False
    return True


def pattern_of(kind: Any) -> str:
    """The pattern of a short text; empty where there is none."""
    for each in get_args(kind):
        if pattern := getattr(each, "pattern", None) or pattern_of(each):
            return str(pattern)
    return ""


def has(data: object, where: Where) -> bool:
    """Whether the file has a value at a place."""
    for step in where:
        match data, step:
            case dict(), str() if step in data:
                data = data[step]
            case list(), int() if step < len(data):
                data = data[step]
            case _:
                return False
    return True


def _bare(kind: Any) -> Any:
    """The type without its limits, and without None beside it."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    parts = [part for part in get_args(kind) if part is not type(None)]
    return _bare(parts[0]) if len(parts) == 1 and get_origin(kind) not in (dict, tuple) else kind


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _models(part)
