"""Recipes: found by name or path, read, overridden, checked, written back."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cifar_dist.config.mindcv import convert, is_flat
from cifar_dist.config.reader import MAX_BYTES, Document, parse_value, read_document, teach
from cifar_dist.config.render import Place, explain, nearest
from cifar_dist.config.schema import Config
from cifar_dist.errors import ConfigError

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
_EXCLUSIVE = {"batch_size": "global_batch_size", "global_batch_size": "batch_size"}


@dataclass(frozen=True)
class Recipe:
    """A checked recipe and the file it came from."""

    config: Config
    source: Path


@dataclass(frozen=True)
class _Override:
    text: str
    path: tuple[str, ...]
    value: Any


def find_recipe(name: str | Path, *, recipes: Path = RECIPES) -> Path:
    """Return the file of a recipe: a path, or the bare name of one that ships.

    Args:
        name: ``my/recipe.yaml``, ``resnet50.yaml`` or ``resnet50``. A file in the working folder
            wins over a shipped one of the same name.
        recipes: the folder of shipped recipes.

    Raises:
        ConfigError: neither exists; the message names recipes with near names.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.name == str(path):
        shipped = recipes / (path.name if path.suffix else f"{path.name}.yaml")
        if shipped.is_file():
            return shipped
    raise ConfigError(_no_such_recipe(path, recipes))


def load_config(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe, apply overrides and check everything; mindcv's flat form is converted.

    Args:
        path: the YAML file.
        overrides: ``section.key=value``, typed like YAML; the last one of a key wins. Overriding
            one of data.batch_size and data.global_batch_size replaces the other.

    Returns:
        The recipe, with data.dir made absolute.

    Raises:
        ConfigError: all errors at once, each with file and line or the override it came from.
    """
    document = read_document(path)
    if is_flat(document.values):
        document = convert(document, str(path))
    given = [_parse_override(text) for text in overrides]
    values = _apply(document.values, given)

    def place(key: tuple[str, ...]) -> Place:
        return _place(key, given, document, path)

    try:
        return Recipe(Config.model_validate(_with_absolute_dir(values)), path)
    except ValidationError as error:
        raise ConfigError(explain(error.errors(include_url=False), place)) from None


def dump_config(config: Config) -> str:
    """Return the resolved recipe as YAML that loads back to an equal value."""
    text: str = yaml.dump(
        config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, width=1000
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes text that this project's reader would take for something else."""


teach(_Dumper)


def _no_such_recipe(path: Path, recipes: Path) -> str:
    shipped = sorted(file.name for file in recipes.glob("*.yaml"))
    wanted = path.name if path.suffix else f"{path.name}.yaml"
    close = difflib.get_close_matches(wanted, shipped, n=1, cutoff=0.6)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    if path.is_dir():
        return f"recipe '{path}' is a folder: give a YAML file"
    return (
        f"no recipe '{path}'{hint}\n"
        f"  give the path of a YAML file or one that ships: {', '.join(shipped) or 'none'}"
    )


def _parse_override(text: str) -> _Override:
    key, equals, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or len(path) != 2 or not all(path):
        guess = nearest(path[-1]) if equals and len(path) == 1 else None
        hint = f" (did you mean '{guess}={value}'?)" if guess and "." in guess else ""
        raise ConfigError(f"override '{text}' is not of the form section.key=value{hint}")
    try:
        return _Override(text, path, parse_value(value))
    except ValueError as error:
        raise ConfigError(f"override '{text}': {error}") from None


def _apply(values: dict[str, Any], overrides: Sequence[_Override]) -> dict[str, Any]:
    merged = dict(values)
    for override in overrides:
        section, key = override.path
        before = merged.get(section)
        if before is not None and not isinstance(before, dict):
            continue  # reported by the check of the section itself
        now = {**(before or {}), key: override.value}
        if section == "data" and key in _EXCLUSIVE and override.value is not None:
            now = _replace_batch(now, key, overrides)
        merged[section] = now
    return merged


def _replace_batch(
    data: dict[str, Any], key: str, overrides: Sequence[_Override]
) -> dict[str, Any]:
    other = _EXCLUSIVE[key]
    both = any(one.path == ("data", other) for one in overrides)
    return data if both else {name: value for name, value in data.items() if name != other}


def _place(
    key: tuple[str, ...], overrides: Sequence[_Override], document: Document, path: Path
) -> Place:
    """Overrides are named after the lines of the file, in their own order."""
    for index, override in reversed(list(enumerate(overrides))):
        if override.path == key or (override.path[:1] == key and key not in document.lines):
            return Place(MAX_BYTES + index, f"override '{override.text}'")
    for length in range(len(key), 0, -1):
        if line := document.lines.get(key[:length]):
            return Place(line, f"{path}:{line}")
    return Place(0, str(path))


def _with_absolute_dir(values: dict[str, Any]) -> dict[str, Any]:
    data = values.get("data")
    folder = data.get("dir") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(folder, str) or not folder:
        return values
    return {**values, "data": {**data, "dir": str(Path(folder).expanduser().absolute())}}
