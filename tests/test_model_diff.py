"""Two real models compared: files, environments, flavors, trust, and what both predict."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from environment_models import rewrite
from sklearn.linear_model import LinearRegression, LogisticRegression

import palate
from palate.errors import InvalidOption, ModelChanged, ModelNotFound
from palate.model_diff import Change, ModelDiff, Replay, compare_model_files, diff_models
from palate.model_file import parse_model_file
from palate.signature import Signature

MLFLOW_MODELS = Path(__file__).parent / "data" / "mlflow_models"
FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 0.0, 2.0]})

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save a regression, or another model, under a name."""

    def save_as(
        name: str, model: object = None, *, target: Any = (1, 2, 3), frame: pd.DataFrame = FRAME, **options: Any
    ) -> Path:
        fitted = LinearRegression().fit(frame, target) if model is None else model
        palate.save_model(fitted, tmp_path / name, **{"input_example": frame, **options})
        return tmp_path / name

    return save_as


def of_part(found: ModelDiff, part: str) -> dict[tuple[str | int, ...], Change]:
    """Return the changes of one part by their place."""
    return {change.where: change for change in found.changes if change.part == part}


def replays(found: ModelDiff) -> dict[str, tuple[str, bool]]:
    """Return how the replay of each example ended, and whether that breaks."""
    return {replay.example: (replay.status, replay.breaks) for replay in found.replays}


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_copy_is_identical(save, tmp_path) -> None:
    """By its digest, and without anything else being looked at."""
    path = save("m")
    shutil.copytree(path, tmp_path / "copy")
    found = diff_models(path, tmp_path / "copy")
    assert found.verdict == "identical"
    assert found.digests[0] == found.digests[1] == palate.inspect_model(path).digest
    assert (found.changes, found.replays) == ((), ())


def test_files_are_told_apart_by_their_content(save, tmp_path) -> None:
    """Each with its sizes; what is equal is not told of."""
    path = save("m", metadata={"n": 1})
    shutil.copytree(path, tmp_path / "other")
    rewrite(tmp_path / "other", "notes.txt", "new")
    rewrite(tmp_path / "other", "python_env.yaml", "python: 3.11.1\n")
    files = of_part(diff_models(path, tmp_path / "other", replay=False), "files")
    size = (path / "python_env.yaml").stat().st_size
    assert {where: (change.kind, change.detail) for where, change in files.items()} == {
        ("notes.txt",): ("added", "3 bytes"),
        ("python_env.yaml",): ("changed", f"was {size} bytes, is 15 bytes"),
    }
    files = of_part(diff_models(tmp_path / "other", path, replay=False), "files")
    assert files["notes.txt",].kind == "removed"


def test_directories_without_a_manifest_are_compared_too(tmp_path) -> None:
    """As MLflow writes them: their files are read."""
    model = MLFLOW_MODELS / "sk_predict_proba" / "model"
    shutil.copytree(model, tmp_path / "copy")
    assert diff_models(model, tmp_path / "copy").verdict == "identical"
    (tmp_path / "copy" / "requirements.txt").write_text("numpy==1.0\n")
    found = diff_models(model, tmp_path / "copy", replay=False)
    assert found.digests == (None, None)
    assert list(of_part(found, "files")) == [("requirements.txt",)]
    assert found.verdict == "compatible"


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_column_more_breaks_and_a_column_less_does_not(save) -> None:
    """The signature says so, and the replay shows it."""
    small, large = save("small"), save("large", frame=FRAME.assign(c=[0.5, 0.1, 2.0]))
    found = diff_models(small, large)
    assert found.verdict == "breaking"
    assert [str(change).partition(":")[0] for change in found.breaking if isinstance(change, Change)] == [
        "inputs.c added (breaking)"
    ]
    assert replays(found) == {"a": ("refused", True), "b": ("equal", False)}
    back = diff_models(large, small)
    assert back.verdict == "compatible"
    assert replays(back) == {"a": ("equal", False), "b": ("refused", False)}


def test_methods_that_are_gone_break(save) -> None:
    """A classifier answers to more than a regression does."""
    found = diff_models(save("c", LogisticRegression().fit(FRAME, [0, 1, 0])), save("r"), replay=False)
    gone = {where: change.breaks for where, change in of_part(found, "methods").items()}
    assert gone == dict.fromkeys([("decision_function",), ("predict_log_proba",), ("predict_proba",)], True)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_mlmodel_alone_tells_what_a_store_has_to_know(save) -> None:
    """No other file is read, and the features behind a nameless table count."""
    documents = []
    for last in ("b", "c"):
        model = LinearRegression().fit(FRAME.rename(columns={"b": last}), [1, 2, 3])
        path = save(last, model, input_example=FRAME.to_numpy())
        documents.append(parse_model_file((path / "MLmodel").read_bytes()))
    assert [document.features for document in documents] == [["a", "b"], ["a", "c"]]
    [change] = compare_model_files(*documents)
    assert (change.where, change.breaks) == (("features",), True)
    assert compare_model_files(documents[0], documents[0]) == ()


# -- environments, flavors, trust --------------------------------------------------------------------------------------


def test_environments_are_told_of_and_break_nothing(save) -> None:
    """Package by package, with what was asked for and what is."""
    old, new = save("old"), save("new")
    rewrite(old, "requirements.txt", "numpy>=1.0\nscikit-learn\nleft\n")
    rewrite(new, "requirements.txt", "numpy>=1.1\nScikit_Learn\nright==2\n-e .\n")
    rewrite(new, "python_env.yaml", "python: 3.12.9\n")
    found = diff_models(old, new, replay=False)
    told = {where: (change.kind, change.detail) for where, change in of_part(found, "environment").items()}
    python = palate.inspect_model(old).python_version
    assert told == {
        ("python",): ("changed", f"was {python}, is 3.12.9"),
        ("requirements", "left"): ("removed", "left"),
        ("requirements", "numpy"): ("changed", "was numpy>=1.0, is numpy>=1.1"),
        ("requirements", "right"): ("added", "right==2"),
        ("requirements", "scikit-learn"): ("changed", "was scikit-learn, is Scikit_Learn"),
        ("unreadable", "requirements.txt: -e ."): ("added", "pip options are not requirements"),
    }
    assert found.verdict == "compatible"


def test_code_that_would_run_breaks_who_does_not_trust(save) -> None:
    """The other way round it is good news; formats are told of as MLmodel has them."""
    safe, pickled = save("safe"), save("pickled", format="pickle")
    found = diff_models(safe, pickled, replay=False)
    trust = of_part(found, "trust")[()]
    assert (trust.kind, trust.breaks) == ("narrowed", True)
    assert "pickle" in trust.detail
    assert of_part(found, "flavor")["sklearn", "serialization_format"].detail == "was skops, is pickle"
    back = diff_models(pickled, safe, replay=False)
    assert (of_part(back, "trust")[()].kind, back.verdict) == ("widened", "compatible")


def test_another_flavor_is_told_of(save) -> None:
    """The adapter is the same, the native object is not."""
    old, new = save("old"), save("new", double)
    assert of_part(diff_models(old, new, replay=False), "flavor")[()].detail == "was sklearn, is python_function"


def double(model_input: pd.DataFrame) -> Any:
    """Predict without a framework."""
    return model_input["a"].to_numpy() * 2


# -- predictions -------------------------------------------------------------------------------------------------------


def test_models_that_predict_the_same_are_equal(save) -> None:
    """On an example that both store; rounding does not count."""
    found = diff_models(save("x"), save("y"))
    assert replays(found) == {"both": ("equal", False)}
    assert found.verdict == "compatible"


def test_the_difference_of_predictions_is_measured(save) -> None:
    """How many values, the first of them, and the largest difference."""
    found = diff_models(save("x"), save("y", target=(1, 2, 3.5)))
    [replay] = found.replays
    assert (replay.status, replay.breaks) == ("differs", False)
    assert "differs in 1 of 3 values" in replay.detail
    assert replay.largest == pytest.approx(0.5)
    assert replay.differences == (replay.detail,)


def test_examples_that_differ_are_both_replayed(save) -> None:
    """Each model's is given to both."""
    found = diff_models(save("x"), save("y", input_example=FRAME.head(1)))
    assert replays(found) == {"a": ("equal", False), "b": ("equal", False)}


def test_code_is_not_run_without_trust(save) -> None:
    """The replay is skipped and says why; with trust it is done."""
    old, new = save("x", double), save("y", double)
    found = diff_models(old, new)
    assert replays(found) == {"both": ("skipped", False)}
    assert "trust=True" in found.replays[0].detail
    assert replays(diff_models(old, new, trust=True)) == {"both": ("equal", False)}


def test_a_model_that_fails_where_the_other_answers_breaks(save) -> None:
    """Also if it opens no more, or if it fails within its own code."""
    failing = save(
        "failing", fail, input_example=None, signature=Signature(inputs=palate.infer_signature(FRAME).inputs)
    )
    found = diff_models(save("x"), failing, trust=True)
    assert replays(found) == {"a": ("refused", True)}
    assert "ZeroDivisionError" in found.replays[0].detail
    broken = save("broken")
    rewrite(broken, "model.skops", "no zip")
    assert replays(diff_models(save("y"), broken)) == {"both": ("refused", True)}
    assert replays(diff_models(broken, save("z"))) == {"both": ("skipped", False)}


def fail(model_input: pd.DataFrame) -> Any:
    """Fail."""
    return 1 / 0


def test_params_of_an_example_that_the_other_does_not_have_are_left_out(save) -> None:
    """That they are gone is told by the signatures; the replay shows what comes without them."""
    with_params = save("x", scale, input_example=(FRAME, {"factor": 2.0}))
    found = diff_models(with_params, save("y", double), trust=True)
    assert of_part(found, "params")["predict", "factor"].breaks
    assert replays(found)["a"] == ("equal", False)


def scale(model_input: pd.DataFrame, params: dict[str, Any]) -> Any:
    """Predict with a param."""
    return model_input["a"].to_numpy() * params["factor"]


def test_answers_without_a_plain_form_are_not_compared(save) -> None:
    """That is no fault of either model."""
    signature = Signature(inputs=palate.infer_signature(FRAME).inputs)
    old = save("x", double, signature=signature)
    new = save("y", answer_object, signature=signature, input_example=None)
    [replay] = diff_models(old, new, trust=True).replays
    assert replay.status == "skipped"
    assert "cannot be compared" in replay.detail


def answer_object(model_input: pd.DataFrame) -> Any:
    """Answer with what has no JSON."""
    return range(3)


def test_a_flavor_that_is_not_installed_skips_the_replay(save, tmp_path) -> None:
    """With the reason; whether trust is needed cannot be told either, and the rest is compared."""
    path = save("m")
    shutil.copytree(path, tmp_path / "other")
    document = (
        (path / "MLmodel").read_text().replace("flavor: sklearn", "flavor: nobodys").replace("  sklearn:", "  nobodys:")
    )
    rewrite(tmp_path / "other", "MLmodel", document)
    found = diff_models(path, tmp_path / "other")
    assert replays(found) == {"both": ("skipped", False)}
    assert "nobodys" in found.replays[0].detail
    assert of_part(found, "trust")[()].detail.startswith("whether B needs trust cannot be told here")


def test_models_that_mlflow_wrote_are_compared_and_replayed() -> None:
    """Without golden predictions: what counts is what both predict now."""
    found = diff_models(MLFLOW_MODELS / "xgb_booster_json" / "model", MLFLOW_MODELS / "xgb_classifier_ubj" / "model")
    assert found.replays
    assert all(replay.status != "skipped" for replay in found.replays), found.replays


def test_models_without_an_example_have_nothing_to_replay(save) -> None:
    """And say so."""
    found = diff_models(save("x", input_example=None), save("y", input_example=None))
    assert replays(found) == {"both": ("skipped", False)}


def test_the_random_state_is_the_same_for_both_and_kept(save) -> None:
    """Models that draw from the global generators draw the same, and what is drawn afterwards is not changed."""
    old, new = save("x", draw_numbers), save("y", draw_numbers)
    np.random.seed(7)
    state = np.random.get_state()[1].tolist()
    assert replays(diff_models(old, new, trust=True)) == {"both": ("equal", False)}
    assert np.random.get_state()[1].tolist() == state


def draw_numbers(model_input: pd.DataFrame) -> Any:
    """Predict by chance."""
    return np.random.rand(len(model_input))


# -- results -----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_compared_is_an_error(save, tmp_path) -> None:
    """A model that is not there, or whose files are not its own."""
    path = save("m")
    with pytest.raises(ModelNotFound, match="nowhere"):
        diff_models(path, tmp_path / "nowhere")
    with pytest.raises(ModelNotFound, match="nowhere"):
        diff_models(tmp_path / "nowhere", path)
    with pytest.raises(InvalidOption, match="trust"):
        diff_models(path, save("o"), trust="no")  # type: ignore[arg-type]
    (path / "requirements.txt").write_text("other")
    with pytest.raises(ModelChanged, match=r"requirements\.txt"):
        diff_models(path, save("n"))


def test_everything_becomes_json(save) -> None:
    """With the verdict, all changes and all replays."""
    found = diff_models(save("x"), save("y", target=(1, 2, 4), params={"p": 1}))
    document = json.loads(json.dumps(found.to_dict()))
    assert document["verdict"] == "compatible"
    assert document["a"] == {"uri": found.a, "digest": found.digests[0]}
    assert [change["detail"] for change in document["changes"]] == [change.detail for change in found.changes]
    assert document["replays"][0]["largest"] == found.replays[0].largest


def test_the_verdict_is_that_of_the_worst() -> None:
    """One change that breaks, or one replay, is enough."""
    change = Change(part="files", where=("x",), kind="added", detail="1 bytes")
    replay = Replay(example="a", status="refused", detail="")
    found = ModelDiff(a="a", b="b", digests=(None, None), identical=False, changes=(change,), replays=(replay,))
    assert found.verdict == "compatible"
    for worse in (
        replace(found, changes=(change, replace(change, breaks=True))),
        replace(found, replays=(replace(replay, breaks=True),)),
    ):
        assert worse.verdict == "breaking"
        assert len(worse.breaking) == 1
