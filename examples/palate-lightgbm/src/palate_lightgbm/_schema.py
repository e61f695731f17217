"""What a model itself knows of its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palate.errors import UnsupportedModel
from palate.schema import AnyType, ColSpec, FieldType, Schema
from palate_lightgbm._boosters import find_booster

__all__ = ["are_numbered", "infer_input_schema"]


def infer_input_schema(model: Any) -> Schema | None:
    """Return the columns by name; None for a model that was trained on an array, and for what is no model.

    LightGBM turns spaces in names into underscores, so a name with an underscore may have been another in the data:
    such a model says nothing.
    """
    try:
        booster = find_booster(model)
    except UnsupportedModel:  # save_model is the one to say so
        return None
    names = booster.feature_name()
    if are_numbered(names) or any("_" in name for name in names):
        return None
    ranges = _first_lines(booster)["feature_infos"].split(" ")
    return Schema(tuple(ColSpec(name=name, type=_type_of(seen)) for name, seen in zip(names, ranges, strict=True)))


def are_numbered(names: Sequence[str]) -> bool:
    """Return whether these are the names that LightGBM gives to columns without names."""
    return list(names) == [f"Column_{number}" for number in range(len(names))]


def _type_of(seen: str) -> FieldType:
    """Return the type of a column by the values that LightGBM saw in it: ``[least:greatest]`` of numbers.

    Of categories, which it lists, of a column that it left out, and of zeros and ones, which may have been truth
    values, the type is not known.
    """
    return "double" if seen.startswith("[") and seen != "[0:1]" else AnyType()


def _first_lines(booster: Any) -> Mapping[str, str]:
    """Return the keys and values of a model's text that stand before its trees."""
    head, _, _ = booster.model_to_string(num_iteration=1).partition("\n\n")
    return {key: value for key, _, value in (line.partition("=") for line in head.splitlines())}
