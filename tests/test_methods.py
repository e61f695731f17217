"""Methods besides predict: each with outputs and params of its own, kept where stock MLflow does not look."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

import palate
from palate import errors
from palate._disk.method_facts import add_methods
from palate.schema import ColSpec, ParamSpec, Schema, TensorSpec
from palate.signature import MethodSignature, Signature


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Thirty rows of three columns."""
    return pd.DataFrame(np.random.default_rng(3).normal(size=(30, 3)), columns=list("abc"))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> palate.PyFuncModel:
    """A classifier of three classes, saved with an example."""
    path = tmp_path_factory.mktemp("methods") / "m"
    kinds = np.array(["x", "y", "z"])[np.arange(30) % 3]
    palate.save_model(LogisticRegression().fit(frame, kinds), path, input_example=frame[:4])
    return palate.load_model(path)


def test_each_method_has_the_outputs_that_it_returns(classifier, frame) -> None:
    """The schemas are learnt from what the methods return for the example, and differ from that of predict."""
    assert set(classifier.signatures) == set(classifier.methods)
    assert classifier.signatures["predict"].outputs == Schema((ColSpec(type="string"),))
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        assert classifier.signatures[method].outputs == Schema((TensorSpec(dtype="float64", shape=(-1, 3)),))
        assert classifier.call(method, frame).shape == (30, 3)


def test_each_method_takes_the_models_inputs(classifier) -> None:
    """Inputs are declared once, for all methods."""
    assert {id(signature.inputs) for signature in classifier.signatures.values()} == {id(classifier.signature.inputs)}


def test_mlflows_signature_says_nothing_of_them(classifier) -> None:
    """MLmodel's signature has the three keys that stock MLflow knows; the rest stands under palate."""
    document = classifier.metadata.document
    assert set(document["signature"]) == {"inputs", "outputs", "params"}
    proba = document["palate"]["methods"]["predict_proba"]
    assert json.loads(proba["outputs"])[0]["tensor-spec"] == {"dtype": "float64", "shape": [-1, 3]}


def test_a_transformers_only_method_is_predict(tmp_path, frame) -> None:
    """Where transform is what predict calls, its outputs are the signature's own."""
    palate.save_model(PCA(2).fit(frame), tmp_path / "m", input_example=frame[:4])
    model = palate.load_model(tmp_path / "m")
    assert model.default_method == "transform"
    assert model.signatures["transform"] is model.signature
    assert "methods" in model.metadata.palate  # score_samples
    assert model.signatures["score_samples"].outputs == Schema((ColSpec(type="double"),))


class Streaming(palate.PythonModel):
    """Streams by a method of its own, which does what it is told."""

    def __init__(self, stream):
        self.stream = stream

    def predict(self, context, model_input, params=None):
        return model_input["x"]

    def predict_stream(self, context, model_input, params=None):
        return self.stream(model_input)


def test_a_method_that_fails_on_the_example_has_no_outputs(tmp_path) -> None:
    """What is not known is not declared; the model is saved all the same, and its author is told."""

    def fail(data):
        raise RuntimeError("no stream today")

    with pytest.warns(palate.errors.PalateWarning, match=r"predict_stream failed .*RuntimeError"):
        palate.save_model(Streaming(fail), tmp_path / "m", input_example=pd.DataFrame({"x": [1.0]}))
    model = palate.load_model(tmp_path / "m", trust=True)
    assert model.methods == ("predict", "predict_stream")
    assert model.signatures["predict_stream"].outputs is None


def test_a_python_model_answers_to_the_usual_names(tmp_path) -> None:
    """Methods that it defines under a name which others know are called like theirs; helpers of its own are not."""

    class Scorer(palate.PythonModel):
        def predict(self, context, model_input, params=None):
            return self.rounded(self.predict_proba(context, model_input))

        def predict_proba(self, context, model_input):
            return np.column_stack([1 - model_input["x"], model_input["x"]])

        def rounded(self, numbers):
            return numbers[:, 1].round()

    palate.save_model(Scorer(), tmp_path / "m", input_example=pd.DataFrame({"x": [0.25]}))
    model = palate.load_model(tmp_path / "m", trust=True)
    assert model.methods == ("predict", "predict_proba")
    assert model.predict_proba({"x": [0.75, 0.5]}).tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert model.signatures["predict_proba"].outputs == Schema((TensorSpec(dtype="float64", shape=(-1, 2)),))


def test_an_answer_without_a_type_is_not_declared(tmp_path) -> None:
    """A generator fits no signature, and is nothing to warn of."""
    palate.save_model(Streaming(iter), tmp_path / "m", input_example=pd.DataFrame({"x": [1.0]}))
    assert palate.load_model(tmp_path / "m", trust=True).signatures["predict_stream"].outputs is None


def test_the_random_state_is_where_it_was(tmp_path) -> None:
    """Calling every method at save draws no random number of the caller's."""
    example = pd.DataFrame({"x": [1.0]})
    np.random.seed(7)
    before = np.random.get_state()[1].copy()
    palate.save_model(Streaming(lambda data: np.random.random(len(data))), tmp_path / "m", input_example=example)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert palate.load_model(tmp_path / "m", trust=True).signatures["predict_stream"].outputs is not None


@pytest.mark.parametrize(
    ("method", "reason"), [("predit_proba", "is no method"), ("predict", "what predict calls"), ("fit", "is no method")]
)
def test_declared_methods_are_those_of_the_model(tmp_path, frame, method, reason) -> None:
    """A mistyped name would otherwise be kept, and never heard of again."""
    signature = replace(palate.infer_signature(frame), methods={method: MethodSignature(params=())})
    with pytest.raises(errors.InvalidSignature, match=reason) as caught:
        palate.save_model(LogisticRegression().fit(frame, frame.a > 0), tmp_path / "m", signature=signature)
    assert caught.value.problems[0].where == ("methods", method)
    assert not (tmp_path / "m").exists()


def test_a_method_may_have_params_of_its_own(tmp_path) -> None:
    """A declared method is given its own params and their defaults; predict keeps the model's."""

    class Scaled(palate.PythonModel):
        def predict(self, context, model_input, params=None):
            return sorted(params.items())

        def predict_stream(self, context, model_input, params=None):
            yield sorted(params.items())

    signature = Signature(
        inputs=Schema((ColSpec(type="double", name="x"),)),
        params=(ParamSpec(name="factor", type="double", default=2.0),),
        methods={"predict_stream": MethodSignature(params=(ParamSpec(name="size", type="long", default=3),))},
    )
    palate.save_model(Scaled(), tmp_path / "m", signature=signature)
    model = palate.load_model(tmp_path / "m", trust=True)
    assert model.signature == signature
    data = pd.DataFrame({"x": [1.0]})
    assert model.predict(data) == [("factor", 2.0)]
    assert list(model.predict_stream(data)) == [[("size", 3)]]
    assert list(model.predict_stream(data, {"size": 4})) == [[("size", 4)]]
    with pytest.raises(errors.InvalidInput, match="size"):
        model.predict_stream(data, {"size": "4"})


def test_what_a_caller_declares_stays_and_the_rest_is_learnt(tmp_path, frame) -> None:
    """A signature that says what goes in needs not say what comes out."""
    wide = Schema((TensorSpec(dtype="float64", shape=(-1, -1)),))
    given = replace(palate.infer_signature(frame), methods={"predict_proba": MethodSignature(outputs=wide)})
    model = LogisticRegression().fit(frame, frame.a > 0)
    palate.save_model(model, tmp_path / "m", signature=given, input_example=frame[:4])
    loaded = palate.load_model(tmp_path / "m")
    assert loaded.signature.inputs == given.inputs
    assert loaded.signature.outputs == Schema((ColSpec(type="boolean"),))
    assert loaded.signatures["predict_proba"].outputs == wide
    assert loaded.signatures["decision_function"].outputs == Schema((ColSpec(type="double"),))


def test_outputs_without_a_type_do_not_stand_in_the_way_of_a_declared_signature(tmp_path, frame) -> None:
    """Who gives a signature need not hear that a set of texts is none of its types."""

    class Words(palate.PythonModel):
        def predict(self, context, model_input, params=None):
            return {object}

    palate.save_model(Words(), tmp_path / "m", signature=palate.infer_signature(frame), input_example=frame[:2])
    assert palate.load_model(tmp_path / "m", trust=True).signature.outputs is None


def test_params_may_be_given_beside_a_signature_that_has_none(tmp_path, frame) -> None:
    """Both together declare everything once."""
    model = LogisticRegression().fit(frame, frame.a > 0)
    palate.save_model(model, tmp_path / "m", signature=palate.infer_signature(frame), params={"speed": 1})
    assert [param.name for param in palate.load_model(tmp_path / "m").signature.params] == ["speed"]


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: Signature(inputs=[ColSpec(type="double")]), ("inputs",)),
        (lambda: Signature(outputs=ColSpec(type="double")), ("outputs",)),
        (lambda: Signature(params={"a": 1}), ("params",)),
        (lambda: Signature(methods=["predict_proba"]), ("methods",)),
        (lambda: Signature(methods={"a": (ParamSpec(name="b", type="long", default=1),)}), ("methods", "a")),
        (lambda: MethodSignature(outputs=()), ("outputs",)),
        (lambda: MethodSignature(params=ParamSpec(name="b", type="long", default=1)), ("params",)),
    ],
)
def test_a_signature_of_other_things_is_refused_where_it_is_made(make, where) -> None:
    """The error says what belongs there."""
    with pytest.raises(errors.InvalidSignature, match=r"must be a .*palate\.") as caught:
        make()
    assert [problem.where for problem in caught.value.problems] == [where]


@pytest.mark.parametrize(
    ("facts", "where"),
    [
        ({"transform": []}, ("palate", "methods", "transform")),
        ({"transform": {"outputs": "[{}]"}}, ("palate", "methods", "transform", "outputs", 0)),
        ({"transform": {"outputs": 3}}, ("palate", "methods", "transform", "outputs")),
        ({"transform": {"params": "{}"}}, ("palate", "methods", "transform", "params")),
    ],
)
def test_malformed_methods_are_refused_by_name(facts, where) -> None:
    """Each problem says where in MLmodel it stands."""
    with pytest.raises(errors.InvalidModelFile) as caught:
        add_methods(Signature(), facts)
    assert [problem.where for problem in caught.value.problems] == [where]


def test_a_hand_edited_directory_is_refused_with_every_problem(classifier, tmp_path) -> None:
    """The strict reader of MLmodel reads methods too."""
    document = dict(classifier.metadata.document)
    document["palate"] = {**document["palate"], "methods": {"a": 1, "b": {"outputs": "no JSON"}}}
    with pytest.raises(errors.InvalidModelFile) as caught:
        replace(classifier.metadata, document=document)
    assert len(caught.value.problems) == 2


def test_an_unknown_method_is_refused_before_the_data_is_looked_at(classifier) -> None:
    """Every way to call a method knows what there is."""
    for ask in (
        lambda: classifier.call("fit", object()),
        lambda: classifier.call(["predict"], object()),
        lambda: classifier.predict_batches([], method="fit"),
    ):
        with pytest.raises(errors.MethodNotFound, match="predict_proba"):
            ask()


def test_very_wide_models_are_not_asked_for_every_method(tmp_path) -> None:
    """Some methods answer with a number for each pair of features."""
    wide = np.zeros((2, 3000))
    wide[1] = 1
    palate.save_model(LogisticRegression().fit(wide, [0, 1]), tmp_path / "m", input_example=wide)
    model = palate.load_model(tmp_path / "m")
    assert model.signature.outputs is not None
    assert model.signatures["predict_proba"].outputs is None
