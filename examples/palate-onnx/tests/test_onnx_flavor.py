"""The contract of a flavor, held with graphs of several kinds."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas
import pytest

from palate.testing import FlavorContract


class TestSingleInput(FlavorContract):
    """A classifier of scikit-learn, converted: one input, two outputs."""

    flavor = "onnx"
    rows_are_independent = True  # of this graph; the flavor cannot know it of any

    @pytest.fixture
    def model(self, iris_model: Any) -> Any:
        """Return the converted classifier."""
        return iris_model

    @pytest.fixture
    def sample(self, iris: Any) -> Any:
        """Return rows of the array that it was trained on."""
        return iris[0].to_numpy()[:7]

    @pytest.fixture
    def foreign_model(self) -> Any:
        """Return a part of a graph, which is the framework's but no model."""
        import onnx

        return onnx.GraphProto()


class TestTable(FlavorContract):
    """A table of several types, for a graph that has a matrix of one column for each of its columns."""

    flavor = "onnx"
    rows_are_independent = True  # of this graph; the flavor cannot know it of any

    @pytest.fixture
    def model(self, houses_model: Any) -> Any:
        """Return the converted pipeline."""
        return houses_model

    @pytest.fixture
    def sample(self, houses: Any) -> Any:
        """Return the table."""
        return houses

    @pytest.mark.xfail(reason="stock MLflow gives onnxruntime a column as a vector, and text as an array of pandas")
    def test_stock_mlflow_predicts_the_same(self) -> None:
        """It cannot call such a graph with a table at all."""


class TestDataFrame(FlavorContract):
    """A table for a graph of vectors, which stock MLflow serves too."""

    flavor = "onnx"
    rows_are_independent = True  # of this graph; the flavor cannot know it of any

    @pytest.fixture
    def model(self, sum_model: Any) -> Any:
        """Return a graph of two operators."""
        return sum_model

    @pytest.fixture
    def sample(self) -> Any:
        """Return a table of float32."""
        return pandas.DataFrame({"a": [1, 2.5, 3], "b": [0, 1, -1]}, dtype="float32")


class TestNamedInputs(FlavorContract):
    """Two named inputs, given as a dict of arrays."""

    flavor = "onnx"
    rows_are_independent = True  # of this graph; the flavor cannot know it of any

    @pytest.fixture
    def model(self, sum_model: Any) -> Any:
        """Return a graph of two operators."""
        return sum_model

    @pytest.fixture
    def sample(self) -> Any:
        """Return a dict of vectors."""
        import numpy

        return {"a": numpy.array([1, 2.5, 3], "float32"), "b": numpy.array([0, 1, -1], "float32")}

    @pytest.fixture
    def expected(self) -> Any:
        """Return what onnxruntime is to compute."""
        import numpy

        return {"total": numpy.array([2, 6, 5], "float32")}


class TestExternalData(FlavorContract):
    """Weights in a file of their own."""

    flavor = "onnx"
    rows_are_independent = True  # of this graph; the flavor cannot know it of any
    save_options: ClassVar = {"save_as_external_data": True}

    @pytest.fixture
    def model(self, matrix_model: Any) -> Any:
        """Return a graph with a large matrix."""
        return matrix_model

    @pytest.fixture
    def sample(self, triples: Any) -> Any:
        """Return rows for it."""
        return triples
