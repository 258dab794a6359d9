"""YAML files as checked forms, with errors that name the place and the nearest right name."""

from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from ingestion.errors import MappingError
from ingestion.exports.records import nearest_hint

Form = TypeVar("Form", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML in which a name given twice is an error; the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, form: type[Form]) -> Form:
    """Read a file into a form.

    Raises:
        MappingError: naming the file, the place in it and, where there is one, the nearest
            right name.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except FileNotFoundError:
        raise MappingError(f"no mapping file {path}") from None
    except OSError as error:
        raise MappingError(f"{path.name} cannot be read: {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MappingError(f"{path.name} is not valid YAML: {error}") from None
    try:
        return form.model_validate(raw)
    except ValidationError as error:
        raise MappingError(_explain(path, form, error)) from None


def _explain(path: Path, form: type[BaseModel], error: ValidationError) -> str:
    lines: dict[str, str] = {}  # of a value that may be of several kinds, what is said first
    for problem in error.errors():
        *parents, last = [str(p) for p in problem["loc"] if p != "[key]"] or [""]
        # where a field may be a text or a `FieldOf`, pydantic names the form it tried after it
        of_field = len(parents) > 1 and parents[-2] == "fields" and last == "str"
        if of_field and isinstance(problem["input"], dict):
            continue
        place = [p for p in [*parents, last] if p not in ("str", "int", "float", "bool", "FieldOf")]
        text = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            text = f"unknown setting{nearest_hint(place[-1], _settings_at(form, place[:-1]))}"
        if problem["type"] == "string_type" and isinstance(problem["input"], bool):
            text += "; YAML reads yes, no, on and off as truth values: put it in quotes"
        lines.setdefault(".".join(place) or "the file", text)
    return f"{path.name} is not a valid mapping:" + "".join(
        f"\n  {place}: {text}" for place, text in lines.items()
    )


def _settings_at(form: type[BaseModel], place: list[str]) -> list[str]:
    """Names of the settings that a form has at a place."""
    found: Any = form
    for part in place:
        if isinstance(found, type) and issubclass(found, BaseModel):
            found = found.model_fields[part].annotation
        else:  # a name in a dict, or a position in a list
            found = get_args(found)[-1]
        found = (
            next((a for a in get_args(found) if _is_form(a)), found)
            if get_origin(found) not in (dict, list)
            else found
        )
    return list(found.model_fields) if _is_form(found) else []


def _is_form(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
