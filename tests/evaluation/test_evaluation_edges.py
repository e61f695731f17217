"""What is odd in data, targets, weights and predictions gets a clear answer or a clear error, never a silent drop."""

from __future__ import annotations

from itertools import count

import numpy as np
import pandas as pd
import pytest
from evaluation_models import Columns, Short, saved
from evaluation_rows import class_figures, scores_of
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import palate
from palate.errors import InvalidOption, MethodNotFound
from palate.evaluation import evaluate_model
from palate.evaluation.errors import (
    InvalidPredictions,
    InvalidTarget,
    InvalidWeights,
    LabelsDiffer,
    NoRows,
    TargetNotFound,
)

QUICK = {"resamples": 0, "latency": False}
ROWS = 40
ZERO_ONE = np.tile([0, 1], ROWS // 2)
CHANCES = np.random.default_rng(0).random(ROWS)


@pytest.fixture
def evaluate(tmp_path):
    """Return a function that evaluates a model which predicts the column that it is given."""
    numbers = count()

    def run(target, predicted, **options):
        frame = pd.DataFrame({"p": predicted, "x": 0.0})
        sample = frame.dropna().head(3)
        loaded = saved(Columns(), sample, tmp_path / f"m{next(numbers)}")
        return evaluate_model(loaded, frame, target=target, **{**QUICK, **options})

    return run


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """Return a classifier of three flowers, and its data with the column y."""
    data = load_iris(as_frame=True)
    path = tmp_path_factory.mktemp("iris") / "m"
    palate.save_model(LogisticRegression(C=0.01).fit(data.data, data.target), path, input_example=data.data.head())
    return palate.load_model(path), data.data.assign(y=data.target)


# -- classes written in two ways ---------------------------------------------------------------------------------------

SAME = {
    "text for ints": (ZERO_ONE, ZERO_ONE.astype(str), (0, 1)),
    "ints for text": (ZERO_ONE.astype(str), ZERO_ONE, ("0", "1")),
    "floats for ints": (ZERO_ONE, ZERO_ONE.astype(float), (0, 1)),
    "floats for text": (ZERO_ONE.astype(float).astype(str), ZERO_ONE.astype(float), ("0.0", "1.0")),
    "bools for ints": (ZERO_ONE, ZERO_ONE == 1, (0, 1)),
    "ints for bools": (ZERO_ONE == 1, ZERO_ONE, (False, True)),
    "bools for text": ((ZERO_ONE == 1).astype(str), ZERO_ONE == 1, ("False", "True")),
    "text for bools": (ZERO_ONE == 1, (ZERO_ONE == 1).astype(str), (False, True)),
}


@pytest.mark.parametrize("case", SAME)
def test_labels_that_mean_the_same(evaluate, case: str) -> None:
    """Classes of two types that can only mean each other are the same, and shown as the target has them."""
    target, predicted, classes = SAME[case]
    found = evaluate(target, predicted, task="binary")
    assert found.metric("accuracy").value == 1
    assert found.classes == classes
    assert list(map(type, found.classes)) == list(map(type, classes))


DIFFERENT = {
    "text for ints": (ZERO_ONE, np.where(ZERO_ONE, "yes", "no"), "int .0, 1.*str .'no', 'yes'"),
    "ints for text": (np.where(ZERO_ONE, "yes", "no"), ZERO_ONE, "str.*int"),
    "bools for others": (ZERO_ONE + 1, ZERO_ONE == 1, "int .1, 2.*bool"),
    "others for bools": (ZERO_ONE == 1, ZERO_ONE + 1, "bool.*int"),
    "leading zeros": (ZERO_ONE, np.where(ZERO_ONE, "01", "00"), "int.*str .'00', '01'"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_labels_of_two_kinds(evaluate, case: str) -> None:
    """Classes that cannot be each other are refused, both kinds shown."""
    target, predicted, message = DIFFERENT[case]
    with pytest.raises(LabelsDiffer, match=message):
        evaluate(target, predicted, task="binary")


def test_one_number_written_twice(evaluate) -> None:
    """Two texts that are one number are not taken for one class."""
    with pytest.raises(LabelsDiffer):
        evaluate(np.where(ZERO_ONE, "1", "1.0"), ZERO_ONE)


# -- one class ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_only(evaluate, label: int) -> None:
    """Rows of one class have an accuracy; what is not defined has no value and a note."""
    found = evaluate(np.full(ROWS, label), CHANCES, resamples=50)
    assert found.classes == (0, 1)
    assert found.metric("accuracy").value == pytest.approx(np.mean((CHANCES > 0.5) == label))
    for name in ("roc_auc", "mcc"):
        assert found.metric(name).value is None
        assert found.metric(name).note == "All rows are of one class."
    if label == 0:
        assert found.metric("recall").value is None
        assert found.metric("pr_auc").note == "No row is 1."
        assert found.metric("precision").value == 0
    assert found.to_dict()["metrics"]


def test_one_class_of_text(evaluate) -> None:
    """One class whose opposite nobody names needs ``positive=``."""
    text = np.full(ROWS, "yes")
    with pytest.raises(InvalidTarget, match="positive="):
        evaluate(text, text)
    found = evaluate(text, text, positive="no")
    assert found.classes == ("no", "yes")
    assert found.metric("accuracy").value == 1
    assert found.metric("precision").note == "No row is predicted to be 'no'."


def test_nothing_is_predicted_to_be_positive(evaluate) -> None:
    """Precision has no value where no row is predicted to be of the class; recall and F1 are 0."""
    found = evaluate(ZERO_ONE, np.zeros(ROWS, dtype=int))
    assert found.metric("precision").value is None
    assert found.metric("recall").value == 0
    assert found.metric("f1").value == 0
    assert found.metric("mcc").value == 0


def test_a_class_that_the_model_does_not_know(iris) -> None:
    """A class that only the target has counts as wrong; figures of scores have no value, and say which class it is."""
    model, frame = iris
    target = frame["y"].where(frame.index < 140, 7)
    found = evaluate_model(model, frame, target=target.to_numpy(), **QUICK)
    assert found.classes == (0, 1, 2, 7)
    predicted = model.predict(frame.drop(columns="y"))
    expected = class_figures(target, predicted, None, None)
    for name in ("accuracy", "f1_macro", "mcc"):
        assert found.metric(name).value == pytest.approx(expected[name])
    for name in ("roc_auc", "pr_auc", "log_loss", "brier"):
        assert found.metric(name).value is None
        assert "does not know 7" in found.metric(name).note


def test_a_class_that_no_row_is_of(iris) -> None:
    """A class that only the model knows leaves the losses as they are, and the areas without a value."""
    model, frame = iris
    some = frame[frame["y"] != 2]
    found = evaluate_model(model, some, target="y", task="multiclass", **QUICK)
    chances = model.predict_proba(some.drop(columns="y"))
    given = {"labels": [0, 1, 2]}
    assert found.metric("log_loss").value == pytest.approx(scores_of("log_loss", some["y"], chances, **given))
    assert found.metric("brier").value == pytest.approx(scores_of("brier_score_loss", some["y"], chances, **given))
    assert found.metric("roc_auc").note == "No row is 2."


@pytest.mark.parametrize(("positive", "message"), [("maybe", "'maybe' is no class"), (2, "2 is no class")])
def test_positive_that_is_no_class(evaluate, positive: object, message: str) -> None:
    """``positive=`` has to be one of the classes, which are shown."""
    with pytest.raises(InvalidOption, match=message):
        evaluate(ZERO_ONE, ZERO_ONE, positive=positive)


def test_positive_as_text(evaluate) -> None:
    """A command line gives the class that is looked for as text."""
    assert evaluate(ZERO_ONE, ZERO_ONE, positive="0").positive == 0


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("batch_rows", [7, 1000])
def test_predictions_that_are_no_numbers(evaluate, bad: float, batch_rows: int) -> None:
    """NaN and infinity are counted, and the first row of them is named."""
    predicted = CHANCES.copy()
    predicted[[9, 20, 33]] = bad
    with pytest.raises(InvalidPredictions, match=r"3 rows have .* the first is row 9,"):
        evaluate(CHANCES * 2, predicted, batch_rows=batch_rows)


def test_missing_classes(evaluate) -> None:
    """A row without a predicted class is no row that is left out."""
    predicted = np.where(ZERO_ONE, "yes", "no").astype(object)
    target = predicted.copy()
    predicted[5] = None
    with pytest.raises(InvalidPredictions, match=r"1 row has .* the first is row 5,"):
        evaluate(target, predicted)


def test_bad_predictions_of_rows_that_are_skipped(evaluate) -> None:
    """What is predicted for rows without a target does not matter."""
    predicted, target = CHANCES.copy(), CHANCES * 2
    predicted[3] = target[3] = np.nan
    found = evaluate(target, predicted)
    assert (found.rows, found.skipped) == (ROWS - 1, 1)


def test_fewer_predictions_than_rows(tmp_path) -> None:
    """A model that leaves rows out is refused."""
    frame = pd.DataFrame({"x": np.zeros(5)})
    with pytest.raises(InvalidPredictions, match="4 values for 5 rows"):
        evaluate_model(saved(Short(), frame, tmp_path / "m"), frame, target=np.ones(5), **QUICK)


def test_unknown_method(iris) -> None:
    """A method that the model does not answer to is refused before any row is read."""
    model, frame = iris
    with pytest.raises(MethodNotFound):
        evaluate_model(model, frame, target="y", method="transform", **QUICK)


def test_method_that_gives_scores(iris) -> None:
    """``method="predict_proba"`` alone tells classes and scores."""
    model, frame = iris
    found = evaluate_model(model, frame, target="y", method="predict_proba", **QUICK)
    both = evaluate_model(model, frame, target="y", **QUICK)
    assert found.metrics == both.metrics


# -- the target --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [np.nan, None], ids=["NaN", "None"])
def test_missing_targets_are_counted(iris, missing: object) -> None:
    """Rows of which nobody knows what is true are skipped and counted."""
    model, frame = iris
    target = frame["y"].astype(object)
    target[::3] = missing
    found = evaluate_model(model, frame, target=target.to_numpy(), **QUICK)
    assert (found.rows, found.skipped) == (100, 50)
    some = frame[frame.index % 3 != 0]
    assert found.metrics == evaluate_model(model, some, target="y", **QUICK).metrics


def test_no_target_is_known(iris) -> None:
    """Without any target there is nothing to evaluate."""
    model, frame = iris
    with pytest.raises(NoRows, match="missing in all of its 150 rows"):
        evaluate_model(model, frame.assign(y=np.nan), target="y", **QUICK)


def test_no_rows(iris) -> None:
    """Without rows there is nothing to evaluate."""
    model, frame = iris
    with pytest.raises(NoRows, match="no rows"):
        evaluate_model(model, frame.head(0), target="y", **QUICK)


def test_infinite_target(evaluate) -> None:
    """A number that is true of a row is finite."""
    target = CHANCES.copy()
    target[3] = np.inf
    with pytest.raises(InvalidTarget, match="infinite in 1 rows"):
        evaluate(target, CHANCES)


def test_column_that_is_not_there(iris) -> None:
    """A target that is no column is refused, with the columns that there are."""
    model, frame = iris
    with pytest.raises(TargetNotFound, match=r"'species' is no column.*sepal length"):
        evaluate_model(model, frame, target="species", **QUICK)
    with pytest.raises(TargetNotFound, match="weights: 'w'"):
        evaluate_model(model, frame, target="y", weights="w", **QUICK)
    with pytest.raises(TargetNotFound, match="'region'"):
        evaluate_model(model, frame, target="y", by="region", **QUICK)


def test_target_that_is_an_input(iris) -> None:
    """A target that the model is given as an input is refused."""
    model, frame = iris
    with pytest.raises(TargetNotFound, match="also an input"):
        evaluate_model(model, frame, target="petal width (cm)", **QUICK)


def test_name_for_an_array(iris) -> None:
    """An array has no columns to name."""
    model, frame = iris
    with pytest.raises(TargetNotFound, match="an array has no names"):
        evaluate_model(model, frame.to_numpy(), target="y", **QUICK)


@pytest.mark.parametrize("rows", [149, 151])
def test_length_of_values_in_memory(iris, rows: int) -> None:
    """Values in memory are as many as the rows, or refused."""
    model, frame = iris
    with pytest.raises(InvalidTarget, match=f"{rows} values"):
        evaluate_model(model, frame, target=np.zeros(rows, dtype=int), batch_rows=50, **QUICK)
    with pytest.raises(InvalidWeights, match=f"{rows} values"):
        evaluate_model(model, frame, target="y", weights=np.ones(rows), batch_rows=50, **QUICK)


def test_mixed_target(iris) -> None:
    """A target of text and numbers is refused."""
    model, frame = iris
    with pytest.raises(InvalidTarget):
        evaluate_model(model, frame, target=["a", 1] * 75, **QUICK)


def nullable(values):
    """Return integers of pandas that may be missing."""
    return pd.Series(values, dtype="Int64")


def categories(values):
    """Return a categorical of pandas."""
    return pd.Series(values, dtype="category")


@pytest.mark.parametrize("given", [list, tuple, np.array, pd.Series, nullable, categories])
def test_containers_of_a_target(iris, given) -> None:
    """A target in memory may be a list, an array, a Series of any kind."""
    model, frame = iris
    found = evaluate_model(model, frame, target=given(frame["y"].tolist()), **QUICK)
    assert found.metrics == evaluate_model(model, frame, target="y", **QUICK).metrics


# -- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "message"),
    [(-1.0, "1 row is negative .row 4,"), (np.nan, "1 row is missing"), (np.inf, "1 row is missing, NaN or infinite")],
)
def test_bad_weights(iris, bad: float, message: str) -> None:
    """A weight that is negative or no number is refused, and its row named."""
    model, frame = iris
    weights = np.ones(150)
    weights[4] = bad
    with pytest.raises(InvalidWeights, match=message):
        evaluate_model(model, frame, target="y", weights=weights, **QUICK)


@pytest.mark.parametrize("max_held_bytes", [1, 10**9])
def test_weights_that_are_all_zero(iris, max_held_bytes: int) -> None:
    """No mean is made of weights that are all 0, whether rows are held or not."""
    model, frame = iris
    with pytest.raises(InvalidWeights, match="0 in all rows"):
        evaluate_model(
            model, frame.assign(w=0.0), target="y", weights="w", max_held_bytes=max_held_bytes, batch_rows=30, **QUICK
        )


def test_weights_of_text(iris) -> None:
    """Weights are numbers."""
    model, frame = iris
    with pytest.raises(InvalidWeights, match="not numbers"):
        evaluate_model(model, frame.assign(w="much"), target="y", weights="w", **QUICK)


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_numbers_too_great_to_square(evaluate) -> None:
    """What is beyond all numbers has no value and a note, and the rest has its own."""
    target = np.linspace(1e200, 2e200, ROWS)
    found = evaluate(target, target / 2 + 0.5, resamples=20)
    assert found.metric("rmse").value is None
    assert found.metric("rmse").note == "It is too great for a number."
    assert found.metric("mae").value == pytest.approx(np.mean(target / 2))


def test_target_that_never_changes(evaluate) -> None:
    """R² of a constant has no value."""
    found = evaluate(np.full(ROWS, 2.5), CHANCES, resamples=20)
    assert found.metric("r2").value is None
    assert found.metric("r2").note == "The target is the same in all rows."
    assert found.metric("rmse").low is not None


def test_one_row(evaluate) -> None:
    """One row has figures, and no intervals."""
    found = evaluate(np.array([2.5]), np.array([2.0]), resamples=20)
    assert found.metric("mae").value == 0.5
    assert found.metric("mae").low is None
    assert found.metric("r2").value is None


@pytest.mark.parametrize(
    "options",
    [{"confidence": 1.0}, {"confidence": 0.0}, {"resamples": -1}, {"resamples": 1}, {"seed": -1}, {"batch_rows": 0}],
)
def test_settings_that_do_not_work(iris, options: dict[str, float]) -> None:
    """A setting out of its range is refused by its name."""
    model, frame = iris
    with pytest.raises(InvalidOption, match=next(iter(options))):
        evaluate_model(model, frame, target="y", latency=False, **options)
