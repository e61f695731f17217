"""What stock MLflow accepts, Palate accepts with the same values, on pandas 2 and 3; the exceptions are MLflow's bugs.

The random cases are those of one seed. ``PALATE_CASES_SEED`` and ``PALATE_CASES`` choose others and more of them.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("scipy")

from differential.bugs import ALL_BUGS, PANDAS_2_BUGS
from differential.enumerated import enumerated_cases
from differential.examples import EXAMPLES
from differential.fidelity import changes
from differential.generated import generated_cases
from differential.judge import judge
from differential.worlds import World, ask

pytestmark = [pytest.mark.mlflow, pytest.mark.slow]

SEED = int(os.environ.get("PALATE_CASES_SEED", "20261127"))
COUNT = int(os.environ.get("PALATE_CASES", "8000"))


@pytest.fixture(scope="module", params=["pandas 3", "pandas 2"])
def world(request: pytest.FixtureRequest, mlflow_python: Path) -> World:
    """Return every case with both answers."""
    examples = [(example.kind, example.schema, example.given) for example in EXAMPLES]
    cases = list(dict.fromkeys([*examples, *enumerated_cases(), *generated_cases(SEED, COUNT)]))
    folder = request.getfixturevalue("pandas_2") if request.param == "pandas 2" else None
    answered = ask(mlflow_python, cases, folder)
    assert answered.pandas.startswith(request.param.removeprefix("pandas ") + ".")
    return answered


def test_all_that_mlflow_accepts_is_accepted_with_the_same_values(world: World) -> None:
    """Each input that MLflow takes gives the same values and containers, but for the named bugs, which all occur."""
    strange, met = [], Counter[str]()
    for kind, schema, text, theirs, ours in world:
        bugs, unexplained = judge(kind, schema, theirs, ours)
        met.update(set(bugs))
        if unexplained:
            strange.append(f"{schema}\n{text}\n{unexplained}\nMLflow: {theirs}\nPalate: {ours}"[:2000])
    assert not strange, f"{len(strange)} cases, first:\n\n" + "\n\n".join(strange[:10])
    expected = set(ALL_BUGS) - (set() if world.pandas.startswith("2") else set(PANDAS_2_BUGS))
    assert set(met) == expected, "a bug that is gone from MLflow"


def test_all_that_palate_accepts_is_what_came_in(world: World) -> None:
    """Each input that Palate takes comes out with the same values, also where MLflow refuses it."""
    strange = [
        f"{schema}\n{text}\n{found}"[:2000]
        for kind, schema, text, _, ours in world
        if (found := changes(kind, schema, ours))
    ]
    assert not strange, f"{len(strange)} cases, first:\n\n" + "\n\n".join(strange[:10])


def test_the_comparison_is_not_empty(world: World) -> None:
    """It has the size that the decision says; many are taken and many refused by both, some taken by Palate alone."""
    made = [(theirs["accepted"], ours["accepted"]) for *_, theirs, ours in world]
    assert len(made) > 0.99 * len(world.cases)
    assert len(world.cases) > 7_000 + 0.95 * COUNT  # those made at random are not all different
    count = Counter(made)
    assert count[True, True] > 0.2 * len(made)
    assert count[False, False] > 0.2 * len(made)
    assert count[False, True] > 0.05 * len(made)
