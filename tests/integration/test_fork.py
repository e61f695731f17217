"""Fork after load: a child predicts with what its parent has loaded, whatever the parent's threads are doing."""

from __future__ import annotations

import pytest
from zoo import NAMES

# GNU's OpenMP, which comes with most of the frameworks, waits in a child for threads that stayed with the parent.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def family_of(name: str) -> str:
    """Return the family of a model."""
    return next(family for family, names in NAMES.items() if name in names)


@pytest.mark.parametrize("family", ["python", "sklearn", "xgboost", "torch"])
def test_a_forked_child_predicts_the_same(family, saved, run_script) -> None:
    """Before and after the parent has predicted, and while threads of the parent hold every lock there is."""
    printed = run_script("forked.py", "loaded,asked,busy", saved(family), *NAMES[family], env=ONE_THREAD)
    assert printed.split() == ["same"] * len(NAMES[family]) * 3


@pytest.mark.parametrize("name", ["linear", "graph", "pickled"])
def test_threads_of_the_parent_do_not_stop_a_child(name, saved, run_script) -> None:
    """However many threads the parent has computed with; of torch this holds because a child computes in one."""
    assert run_script("forked.py", "asked", saved(family_of(name)), name) == "same\n"


def test_loading_starts_no_threads_that_a_child_would_wait_for(saved, run_script) -> None:
    """A process that only loads models of xgboost leaves predicting, in any number of threads, to its children."""
    names = NAMES["xgboost"]
    assert run_script("forked.py", "loaded", saved("xgboost"), *names).split() == ["same"] * len(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["histogram", "booster"])
def test_openmp_in_a_child_is_the_frameworks_limit(name, saved, run_script) -> None:
    """Where a child hangs with Palate's model, it hangs with the framework's own as well."""
    folder, env = saved(family_of(name)), {"PATIENCE": "8"}
    with_palate = run_script("forked.py", "asked", folder, name, env=env)
    assert with_palate == "same\n" or run_script("forked.py", "bare", folder, name, env=env) == "hung\n"
