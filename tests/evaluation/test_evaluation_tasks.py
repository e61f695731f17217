"""Which task target and predictions are: each line of the written rule, and what it leaves open."""

from __future__ import annotations

from itertools import count

import numpy as np
import pandas as pd
import pytest
from evaluation_models import Columns, Named, saved
from evaluation_rows import scores_of

from palate.errors import InvalidOption
from palate.evaluation import evaluate_model
from palate.evaluation.errors import InvalidPredictions, InvalidTarget, TaskUnknown, TooManyClasses

QUICK = {"resamples": 0, "latency": False}
ROWS = 40
RANDOM = np.random.default_rng(0)
ZERO_ONE = np.tile([0, 1], ROWS // 2)
CHANCES = RANDOM.random(ROWS)
THREE = RANDOM.dirichlet(np.ones(3), ROWS)
KINDS = np.tile([0, 1, 2, 1], ROWS // 4)


@pytest.fixture
def evaluate(tmp_path):
    """Return a function that evaluates a model which predicts the columns that it is given."""
    numbers = count()

    def run(target, *predicted, model=Columns, **options):
        names = ["p"] if len(predicted) == 1 else [f"p{at}" for at in range(len(predicted))]
        frame = pd.DataFrame(dict(zip(names, predicted, strict=True)))
        frame["x"] = 0.0
        loaded = saved(model(), frame, tmp_path / f"m{next(numbers)}")
        return evaluate_model(loaded, frame, target=target, **{**QUICK, **options})

    return run


def test_text_is_classes(evaluate) -> None:
    """Text is classes, two or more."""
    two = np.where(ZERO_ONE, "yes", "no")
    assert evaluate(two, two).task == "binary"
    more = np.array(["a", "b", "c"])[KINDS]
    assert evaluate(more, more).task == "multiclass"


def test_truth_values_are_classes(evaluate) -> None:
    """Truth values are two classes, of which True is looked for."""
    found = evaluate(ZERO_ONE == 1, ZERO_ONE == 1)
    assert (found.task, found.positive) == ("binary", True)


def test_fractions_are_numbers(evaluate) -> None:
    """A target with fractions is regression."""
    assert evaluate(CHANCES * 7, CHANCES).task == "regression"


def test_scores_for_each_class(evaluate) -> None:
    """Rows of probabilities are read as such, the greatest saying the class; the note says so."""
    found = evaluate(KINDS, *THREE.T)
    assert found.task == "multiclass"
    assert found.metric("accuracy").value == scores_of("accuracy_score", KINDS, THREE.argmax(axis=1))
    assert found.metric("log_loss").value == pytest.approx(scores_of("log_loss", KINDS, THREE))
    assert "one for each class" in " ".join(found.notes)


def test_scores_that_do_not_add_up_to_one(evaluate) -> None:
    """Logits rank, and give no log loss."""
    logits = np.log(THREE) + 3
    found = evaluate(KINDS, *logits.T)
    assert found.metric("accuracy").value == scores_of("accuracy_score", KINDS, THREE.argmax(axis=1))
    each = [scores_of("roc_auc_score", label == KINDS, logits[:, label]) for label in range(3)]
    assert found.metric("roc_auc").value == pytest.approx(np.mean(each))
    with pytest.raises(KeyError):
        found.metric("log_loss")


@pytest.mark.parametrize("target", [ZERO_ONE, ZERO_ONE == 1], ids=["ints", "bools"])
def test_one_probability(evaluate, target) -> None:
    """Numbers from 0 to 1 for a target of 0 and 1 are the probability of 1."""
    found = evaluate(target, CHANCES)
    assert (found.task, found.positive) == ("binary", 1)
    assert found.metric("roc_auc").value == pytest.approx(scores_of("roc_auc_score", ZERO_ONE, CHANCES))
    assert found.metric("brier").value == pytest.approx(scores_of("brier_score_loss", ZERO_ONE, CHANCES))
    assert found.metric("accuracy").value == scores_of("accuracy_score", ZERO_ONE, CHANCES > 0.5)


def test_integers_for_integers(evaluate) -> None:
    """Integers for a target of a few integers are classes; for one of many they have to be told."""
    assert evaluate(KINDS, KINDS).task == "multiclass"
    many = np.arange(200)
    with pytest.raises(TaskUnknown, match="task='multiclass' or task='regression'"):
        evaluate(many, many)
    assert evaluate(many, many, task="regression").metric("rmse").value == 0


def test_fractions_for_whole_numbers(evaluate) -> None:
    """Fractions for a target of whole numbers are regression, which a note says."""
    found = evaluate(KINDS, KINDS + 0.3)
    assert found.task == "regression"
    assert "read as regression" in " ".join(found.notes)


def test_whole_floats_are_either(evaluate) -> None:
    """Whole numbers that are predicted as floats may be classes or numbers: it has to be told which."""
    with pytest.raises(TaskUnknown, match="whole numbers"):
        evaluate(KINDS, KINDS.astype(float))
    assert evaluate(KINDS, KINDS.astype(float), task="multiclass").metric("accuracy").value == 1
    assert evaluate(KINDS, KINDS.astype(float), task="regression").metric("mae").value == 0


def test_numbers_beyond_zero_and_one(evaluate) -> None:
    """Numbers beyond 0 and 1 for a target of 0 and 1 are scores, or regression: it has to be told which."""
    scores = (CHANCES - 0.5) * 8
    with pytest.raises(TaskUnknown, match="task='binary' or task='regression'"):
        evaluate(ZERO_ONE, scores)
    found = evaluate(ZERO_ONE, scores, task="binary")
    assert found.metric("roc_auc").value == pytest.approx(scores_of("roc_auc_score", ZERO_ONE, scores))
    assert found.metric("accuracy").value == scores_of("accuracy_score", ZERO_ONE, scores > 0)


def test_several_columns_of_zero_and_one(evaluate) -> None:
    """Several targets that are 0 and 1 are labels, whether labels or their probabilities are predicted."""
    labels = np.stack((ZERO_ONE, KINDS > 0), axis=1).astype(int)
    assert evaluate(labels, ZERO_ONE, ZERO_ONE).task == "multilabel"
    found = evaluate(labels, CHANCES, CHANCES)
    expected = scores_of("roc_auc_score", labels, np.stack((CHANCES, CHANCES), axis=1))
    assert found.metric("roc_auc").value == pytest.approx(expected)
    said = np.stack((CHANCES, CHANCES), axis=1) > 0.5
    assert found.metric("hamming_loss").value == pytest.approx(scores_of("hamming_loss", labels, said))


def test_several_numbers(evaluate) -> None:
    """Several targets of other numbers are regression, whose figures are means over the targets."""
    found = evaluate(np.stack((CHANCES, KINDS), axis=1), CHANCES, KINDS + 1.0)
    assert found.task == "regression"
    assert found.metric("mae").value == 0.5


def test_named_columns_are_matched(evaluate, tmp_path) -> None:
    """Predictions in a frame whose columns are called as the targets need not stand in their order."""
    frame = pd.DataFrame({"a": CHANCES, "b": CHANCES * 9, "x": 0.0})
    model = saved(Named(), frame, tmp_path / "named")
    data = frame.assign(c=1.0)
    found = evaluate_model(model, data, target=pd.DataFrame({"a": CHANCES, "b": CHANCES * 9}), **QUICK)
    assert found.metric("max_error").value == 0


def test_columns_that_are_called_as_the_classes(tmp_path) -> None:
    """Probabilities in a frame whose columns are called as classes are those of these classes."""
    kinds = np.array(["b", "c", "a"])[KINDS]
    frame = pd.DataFrame(THREE, columns=["b", "c", "a"]).assign(x=0.0)
    found = evaluate_model(saved(Named(), frame, tmp_path / "m"), frame, target=kinds, **QUICK)
    assert found.metric("log_loss").value == pytest.approx(scores_of("log_loss", KINDS, THREE))
    assert found.notes == ()


def test_scores_for_text(evaluate) -> None:
    """Columns of scores are taken for classes in sorted order, which a note says; ``classes=`` says otherwise."""
    kinds = np.array(["b", "c", "a"])[KINDS]
    found = evaluate(kinds, *THREE[:, [2, 0, 1]].T)
    assert found.metric("log_loss").value == pytest.approx(scores_of("log_loss", KINDS, THREE))
    assert "(a, b, c)" in " ".join(found.notes)
    told = evaluate(kinds, *THREE.T, classes=["b", "c", "a"])
    assert told.metric("log_loss").value == pytest.approx(scores_of("log_loss", KINDS, THREE))
    with pytest.raises(InvalidOption, match="2 classes for the 3 columns"):
        evaluate(kinds, *THREE.T, classes=["b", "c"])


def test_scores_of_unknown_classes(evaluate) -> None:
    """More columns than the text of the target has values: nothing says which is which."""
    with pytest.raises(InvalidPredictions, match="classes="):
        evaluate(np.where(ZERO_ONE, "yes", "no"), *THREE.T)


def test_several_targets_of_text(evaluate) -> None:
    """Several targets of text are no task."""
    text = pd.DataFrame({"a": np.where(ZERO_ONE, "x", "y"), "b": "z"})
    with pytest.raises(InvalidTarget, match="not numbers"):
        evaluate(text, ZERO_ONE, ZERO_ONE)


def test_several_targets_of_classes(evaluate) -> None:
    """Several targets cannot be classes, also if the user says so."""
    labels = np.stack((KINDS, KINDS), axis=1)
    with pytest.raises(InvalidTarget, match="several targets"):
        evaluate(labels, KINDS, KINDS, task="multiclass")


def test_columns_for_one_number(evaluate) -> None:
    """Several numbers a row for one target that is a number do not fit."""
    with pytest.raises(InvalidPredictions, match="3 values a row for 1 target"):
        evaluate(CHANCES, *THREE.T)


def test_text_for_a_number(evaluate) -> None:
    """Text for a target that is a number does not fit."""
    with pytest.raises(InvalidPredictions, match="no numbers"):
        evaluate(CHANCES, np.where(ZERO_ONE, "x", "y"))


def test_fraction_among_classes(evaluate) -> None:
    """A target with fractions is no class, also if the user says so."""
    with pytest.raises(InvalidTarget, match="fraction"):
        evaluate(CHANCES, KINDS, task="multiclass")


def test_three_classes_are_not_binary(evaluate) -> None:
    """A target of three classes is refused as binary."""
    with pytest.raises(InvalidTarget, match="3 classes"):
        evaluate(KINDS, KINDS, task="binary")


def test_two_classes_as_many(evaluate) -> None:
    """Two classes can be measured as many, without one that is looked for."""
    found = evaluate(ZERO_ONE, ZERO_ONE, task="multiclass")
    assert (found.task, found.positive) == ("multiclass", None)
    assert found.metric("f1_macro").value == 1


def test_too_many_classes(evaluate) -> None:
    """A thousand classes are measured, one more is not."""
    many = np.array([f"user {at}" for at in range(1001)])
    assert evaluate(many[:1000], many[:1000]).metric("accuracy").value == 1
    with pytest.raises(TooManyClasses, match=r"1,001 classes.*task='regression'"):
        evaluate(many, many)


def test_unknown_task(evaluate) -> None:
    """A task that is none is refused with those that are."""
    with pytest.raises(InvalidOption, match="binary, multiclass, multilabel, regression"):
        evaluate(KINDS, KINDS, task="ranking")
