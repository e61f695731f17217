"""Which of scikit-learn's estimators see nothing of a table of numbers but the array that it becomes.

Each of them begins a prediction with ``validate_data``: the table's labels are held against ``feature_names_in_``, the
table becomes an array, and from there on both are forgotten, as long as the method is called with nothing but data.
Left out is whoever looks at the table itself (encoders, ``ColumnTransformer``, ``FunctionTransformer``), hands it on to
estimators that know the names, too (``CalibratedClassifierCV``, ``VotingClassifier``, ``StackingClassifier``,
``TransformedTargetRegressor``, ``Isomap``), or draws random numbers. The tests hold each name against scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["PLAIN", "SEARCHES", "is_plain"]

# The names alone: scikit-learn moves its modules, but no two of its estimators share a name.
PLAIN: frozenset[str] = frozenset(
    """
    ARDRegression AdaBoostClassifier AdaBoostRegressor AdditiveChi2Sampler AffinityPropagation BaggingClassifier
    BaggingRegressor BayesianGaussianMixture BayesianRidge BernoulliNB Binarizer Birch BisectingKMeans CCA CategoricalNB
    ComplementNB DecisionTreeClassifier DecisionTreeRegressor DictionaryLearning DummyClassifier DummyRegressor
    ElasticNet ElasticNetCV EllipticEnvelope ExtraTreeClassifier ExtraTreeRegressor ExtraTreesClassifier
    ExtraTreesRegressor FactorAnalysis FastICA FeatureAgglomeration GammaRegressor GaussianMixture GaussianNB
    GaussianProcessClassifier GaussianProcessRegressor GaussianRandomProjection GenericUnivariateSelect
    GradientBoostingClassifier GradientBoostingRegressor HistGradientBoostingClassifier HistGradientBoostingRegressor
    HuberRegressor IncrementalPCA IsolationForest KBinsDiscretizer KMeans KNNImputer KNeighborsClassifier
    KNeighborsRegressor KNeighborsTransformer KernelDensity KernelPCA KernelRidge LabelPropagation LabelSpreading Lars
    LarsCV Lasso LassoCV LassoLars LassoLarsCV LassoLarsIC LatentDirichletAllocation LinearDiscriminantAnalysis
    LinearRegression LinearSVC LinearSVR LocallyLinearEmbedding LogisticRegression LogisticRegressionCV MLPClassifier
    MLPRegressor MaxAbsScaler MeanShift MinMaxScaler MiniBatchDictionaryLearning MiniBatchKMeans MiniBatchNMF
    MiniBatchSparsePCA MissingIndicator MultiTaskElasticNet MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV
    MultinomialNB NMF NearestCentroid NeighborhoodComponentsAnalysis Normalizer NuSVC NuSVR Nystroem OneClassSVM
    OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV PCA PLSCanonical PLSRegression PLSSVD
    PassiveAggressiveClassifier PassiveAggressiveRegressor Perceptron PoissonRegressor PolynomialCountSketch
    PolynomialFeatures PowerTransformer QuadraticDiscriminantAnalysis QuantileRegressor QuantileTransformer
    RANSACRegressor RBFSampler RadiusNeighborsClassifier RadiusNeighborsRegressor RadiusNeighborsTransformer
    RandomForestClassifier RandomForestRegressor RandomTreesEmbedding Ridge RidgeCV RidgeClassifier RidgeClassifierCV
    RobustScaler SGDClassifier SGDOneClassSVM SGDRegressor SVC SVR SelectFdr SelectFpr SelectFromModel SelectFwe
    SelectKBest SelectPercentile SimpleImputer SkewedChi2Sampler SparsePCA SparseRandomProjection SplineTransformer
    StandardScaler TfidfTransformer TheilSenRegressor TruncatedSVD TweedieRegressor VarianceThreshold
    """.split()
)

# They hand their data to ``best_estimator_`` as it is.
SEARCHES: frozenset[str] = frozenset(
    {"GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV", "RandomizedSearchCV"}
)


def is_plain(name: str, state: Mapping[str, Any]) -> bool:
    """Whether an estimator of that class, with these attributes, sees nothing but the array."""
    if "_sklearn_output_config" in state:  # set_output was called: what it returns may have the table's index
        return False
    condition = _CONDITIONS.get(name)
    return name in PLAIN and (condition is None or condition(state))


def _has_no_callable_kernel(state: Mapping[str, Any]) -> bool:
    """A kernel that is a function gets the caller's table, before any validation."""
    return not callable(state.get("kernel"))


def _has_no_preprocessor(state: Mapping[str, Any]) -> bool:
    """With categories there is a ColumnTransformer in front of the trees, which knows the names itself."""
    return state.get("_preprocessor") is None


def _is_indexed(state: Mapping[str, Any]) -> bool:
    """Without an index of neighbours, arrays in C order take another way through scikit-learn than tables."""
    return state.get("_fit_method") != "brute"


def _keeps_features(state: Mapping[str, Any]) -> bool:
    """An imputer that leaves columns out says which in a warning, by name if it knows names."""
    return state.get("keep_empty_features") or all(value == value for value in state.get("statistics_", ()))


_CONDITIONS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    **dict.fromkeys(("NuSVC", "NuSVR", "OneClassSVM", "SVC", "SVR"), _has_no_callable_kernel),
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _has_no_preprocessor),
    **dict.fromkeys(("KNeighborsClassifier", "RadiusNeighborsClassifier"), _is_indexed),
    "SimpleImputer": _keeps_features,
}
