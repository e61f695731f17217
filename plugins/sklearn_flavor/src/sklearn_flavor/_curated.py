"""The names that a .skops file may use without trust: data, in our code, never in the model.

Skops allows scikit-learn's estimators, primitive types and ufuncs by itself. What stands here is added to that, each
name for one use only: a function listed under FUNCTIONS may be referred to but never called while the file is loaded,
a class listed under OBJECTS may be built but not referred to. Everything listed is computation without side effects;
whatever indexes memory with numbers from the file has a check in ``_tree_checks`` or ``_estimator_checks``.
"""

from __future__ import annotations

__all__ = [
    "BIT_GENERATORS",
    "CALLED",
    "FUNCTIONS",
    "LOADER_CLASSES",
    "LOSS_MODULES",
    "OBJECTS",
    "TYPES",
    "UFUNC_MODULES",
]


def _names(module: str, names: str) -> frozenset[str]:
    return frozenset(f"{module}.{name}" for name in names.split())


_METRICS = (
    "Euclidean SEuclidean Manhattan Chebyshev Minkowski Mahalanobis Hamming Canberra BrayCurtis Jaccard Matching \
Dice Kulsinski RogersTanimoto RussellRao SokalMichener SokalSneath Haversine"
)

# Built by skops' ObjectNode, besides the estimators that skops itself allows there. PyFuncDistance is left out: it
# calls a Python function from native code.
OBJECTS: frozenset[str] = frozenset().union(
    _names(
        "sklearn.metrics._dist_metrics", " ".join(f"{m}Distance{bits}" for m in _METRICS.split() for bits in (32, 64))
    ),
    _names("sklearn.neighbors._kd_tree", "KDTree KDTree32 KDTree64"),
    _names("sklearn.neighbors._ball_tree", "BallTree BallTree32 BallTree64"),
    _names("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor"),
    _names("sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper"),
    _names(
        "sklearn.gaussian_process.kernels",
        "CompoundKernel Sum Product Exponentiation ConstantKernel WhiteKernel RBF Matern RationalQuadratic "
        "ExpSineSquared DotProduct PairwiseKernel",
    ),
    _names("sklearn.gaussian_process._gpc", "_BinaryGaussianProcessClassifierLaplace"),
    _names(
        "sklearn.model_selection._split",
        "LeaveOneOut LeavePOut KFold GroupKFold StratifiedKFold StratifiedGroupKFold TimeSeriesSplit "
        "LeaveOneGroupOut LeavePGroupsOut RepeatedKFold RepeatedStratifiedKFold ShuffleSplit GroupShuffleSplit "
        "StratifiedShuffleSplit PredefinedSplit _CVIterableWrapper",
    ),
    _names("sklearn.model_selection._search_successive_halving", "HalvingGridSearchCV HalvingRandomSearchCV"),
    _names("sklearn.model_selection._classification_threshold", "_CurveScorer"),
    _names("sklearn.metrics._scorer", "_MultimetricScorer _Scorer _PassthroughScorer _CurveScorer"),
    _names("sklearn.utils._metadata_requests", "MetadataRequest MethodMetadataRequest"),
    _names(
        "sklearn._loss.loss",
        "HalfSquaredError AbsoluteError PinballLoss HuberLoss HalfPoissonLoss HalfGammaLoss HalfTweedieLoss "
        "HalfTweedieLossIdentity HalfBinomialLoss HalfMultinomialLoss ExponentialLoss",
    ),
    _names("sklearn._loss.link", "Interval IdentityLink LogLink LogitLink HalfLogitLink MultinomialLogit"),
    _names("sklearn.neural_network._stochastic_optimizers", "SGDOptimizer AdamOptimizer"),
    _names("sklearn.calibration", "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling"),
    _names("sklearn.cluster._bisect_k_means", "_BisectingTree"),
    _names("sklearn.multiclass", "_ConstantPredictor"),
    _names("sklearn.frozen._frozen", "FrozenEstimator"),
    _names("sklearn.compose._column_transformer", "make_column_selector _RemainderColsList"),
    _names("scipy.interpolate._bsplines", "BSpline"),
)

# Referred to by skops' FunctionNode: an estimator may call them on data, loading never does.
FUNCTIONS: frozenset[str] = frozenset().union(
    _names("sklearn.feature_selection._univariate_selection", "f_oneway f_classif f_regression r_regression chi2"),
    _names("sklearn.feature_selection._mutual_info", "mutual_info_classif mutual_info_regression"),
    _names(
        "sklearn.metrics._classification",
        "accuracy_score balanced_accuracy_score brier_score_loss cohen_kappa_score d2_brier_score d2_log_loss_score "
        "f1_score fbeta_score hamming_loss hinge_loss jaccard_score log_loss matthews_corrcoef precision_score "
        "recall_score zero_one_loss",
    ),
    _names(
        "sklearn.metrics._ranking",
        "average_precision_score coverage_error dcg_score label_ranking_average_precision_score label_ranking_loss "
        "ndcg_score roc_auc_score top_k_accuracy_score",
    ),
    _names(
        "sklearn.metrics._regression",
        "d2_absolute_error_score d2_pinball_score d2_tweedie_score explained_variance_score max_error "
        "mean_absolute_error mean_absolute_percentage_error mean_gamma_deviance mean_pinball_loss "
        "mean_poisson_deviance mean_squared_error mean_squared_log_error mean_tweedie_deviance "
        "median_absolute_error r2_score root_mean_squared_error root_mean_squared_log_error",
    ),
    _names("sklearn.metrics._scorer", "negative_likelihood_ratio positive_likelihood_ratio"),
    _names(
        "sklearn.metrics.cluster._supervised",
        "adjusted_mutual_info_score adjusted_rand_score completeness_score fowlkes_mallows_score homogeneity_score "
        "mutual_info_score normalized_mutual_info_score rand_score v_measure_score",
    ),
    _names(
        "sklearn.metrics.pairwise",
        "euclidean_distances nan_euclidean_distances haversine_distances manhattan_distances cosine_distances "
        "linear_kernel polynomial_kernel sigmoid_kernel rbf_kernel laplacian_kernel cosine_similarity "
        "additive_chi2_kernel chi2_kernel",
    ),
    _names(
        "sklearn.preprocessing._data",
        "scale minmax_scale maxabs_scale robust_scale normalize binarize add_dummy_feature",
    ),
    _names("sklearn.cluster._kmeans", "_kmeans_single_lloyd _kmeans_single_elkan"),
    _names("sklearn.utils.validation", "check_array"),
    _names("scipy._lib.array_api_compat.numpy._aliases", "asarray"),
    _names("scipy.special._logsumexp", "logsumexp softmax log_softmax"),
    _names(
        "numpy",
        "all amax amin any argmax argmin argsort around array asarray atleast_2d average clip concatenate cumprod "
        "cumsum diff empty_like expand_dims full_like hstack log1p max mean median min nan_to_num nanmax nanmean "
        "nanmedian nanmin nanstd nansum nanvar ones_like ptp prod ravel repeat reshape round sort sqrt squeeze std sum "
        "swapaxes take tile transpose unique var vstack where zeros_like",
    ),
)

# Modules whose attributes of type ufunc may be referred to; skops names a ufunc by the first module it finds it in.
UFUNC_MODULES: frozenset[str] = frozenset(
    {
        "numpy",
        "numpy._core._multiarray_umath",
        "numpy._core.umath",
        "numpy.core._multiarray_umath",
        "numpy.core.umath",
        "scipy.special",
        "scipy.special._special_ufuncs",
        "scipy.special._ufuncs",
    }
)

# Referred to by skops' TypeNode.
TYPES: frozenset[str] = _names(
    "builtins", "int float str bool complex bytes object list set tuple dict NoneType"
) | _names(
    "numpy",
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 longdouble longlong "
    "ulonglong intc uintc complex64 complex128 clongdouble str_ bytes_ datetime64 timedelta64 generic number integer "
    "signedinteger unsignedinteger inexact floating complexfloating object_",
)

# Called while the file is loaded, by skops' ConstructorFromReduceNode, with values from the file.
CALLED: frozenset[str] = _names("builtins", "frozenset range complex")

_DICTS: frozenset[str] = frozenset({"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"})

_SPARSE: frozenset[str] = frozenset().union(
    *(_names(f"scipy.sparse._{kind}", f"{kind}_matrix {kind}_array") for kind in ("csr", "csc", "coo", "bsr", "dia"))
)

# scikit-learn up to 1.5 compiled its losses under the top-level name _loss.
LOSS_MODULES: frozenset[str] = frozenset({"sklearn._loss._loss", "_loss", "sklearn.linear_model._sgd_fast"})

BIT_GENERATORS: frozenset[str] = frozenset({"PCG64", "PCG64DXSM", "SFC64"})

# The one class that each of skops' other node kinds stands for.
LOADER_CLASSES: dict[str, frozenset[str]] = {
    "JsonNode": frozenset({"builtins.str"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset(
        {
            "builtins.tuple",
            "sklearn.gaussian_process.kernels.Hyperparameter",
            "sklearn.impute._iterative._ImputerTriplet",
        }
    ),
    "SetNode": frozenset({"builtins.set"}),
    "BytesNode": frozenset({"builtins.bytes"}),
    "BytearrayNode": frozenset({"builtins.bytearray"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "DictNode": _DICTS,
    "DefaultDictNode": frozenset({"collections.defaultdict"}),
    "PartialNode": frozenset({"functools.partial"}),
    "MaskedArrayNode": frozenset({"numpy.ma.MaskedArray", "numpy.ma.core.MaskedArray"}),
    "DTypeNode": frozenset({"numpy.dtype"}),
    "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
    "RandomGeneratorNode": frozenset({"numpy.random._generator.Generator"}),
    "SparseMatrixNode": _SPARSE,
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
}
