"""Collected by ``check_flavor`` in a process of its own: the kit on each model that an installed flavor registers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from palate.flavors import SampleModel, sample_models
from palate.testing._contract import FlavorContract
from palate.testing._progress import request

__all__: list[str] = []


def _cases(flavor: str, formats: Sequence[str | None]) -> Iterator[tuple[str, type[FlavorContract]]]:
    for name, sample in sample_models(flavor).items():
        for format_name in formats:
            title = " as ".join(filter(None, (name, format_name)))
            yield title, _case(title, flavor, format_name, sample)


def _declared(_: FlavorContract) -> None:
    """Stand for an exception; the kit's own check is what runs."""


def _case(title: str, flavor: str, format_name: str | None, sample: SampleModel) -> type[FlavorContract]:
    def model(_: FlavorContract) -> Any:
        return sample.model

    def rows(_: FlavorContract) -> Any:
        return copy.deepcopy(sample.sample)

    members = {
        "__doc__": sample.description,
        "flavor": flavor,
        "format": format_name,
        "model": pytest.fixture(model, name="model"),
        "sample": pytest.fixture(rows, name="sample"),
        **{check: pytest.mark.xfail(reason=reason)(_declared) for check, reason in sample.exceptions.items()},
    }
    return type(f"Test{title}", (FlavorContract,), members)


for _number, (_title, _cls) in enumerate(_cases(request().flavor, request().formats or [None])):
    globals()[f"Test{_number}"] = _cls
