"""Structure checks for estimators whose native code, or scipy's, trusts arrays that come from the file."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_flavor._tree_checks import feature_count, need

__all__ = [
    "check_bisecting",
    "check_centers",
    "check_class_votes",
    "check_documents",
    "check_generator",
    "check_hashing",
    "check_label_cache",
    "check_one_hot",
    "check_sparse",
    "check_spline",
    "check_support_vectors",
    "check_vocabulary",
]

_MAX_THREADS = 1024  # OpenMP ends the process when it cannot start the threads that it is told to
_CLASSIFIERS = ("c_svc", "nu_svc")


def check_sparse(matrix: Any) -> None:
    """Check the indices of a sparse matrix; scipy's kernels do not."""
    if matrix.format in ("csr", "csc", "bsr"):
        ends, count = np.asarray(matrix.indptr), len(matrix.indices)
        # scipy's own check looks at the rows only when the last of them says that there are values.
        need(
            ends[0] == 0 and bool((np.diff(ends) >= 0).all()) and ends[-1] <= count,
            "the rows of a sparse matrix overlap",
        )
        try:
            matrix.check_format(full_check=True)
        except ValueError as exc:
            need(False, f"a sparse matrix is malformed ({exc!s:.80})")
    elif matrix.format == "coo":
        for indices, length in zip((matrix.row, matrix.col), matrix.shape, strict=True):
            need(bool(((indices >= 0) & (indices < length)).all()), "an index lies outside of a sparse matrix")
    elif matrix.format == "dia":
        need(matrix.data.shape[0] == matrix.offsets.size, "the diagonals of a sparse matrix are malformed")
    else:
        need(False, f"a sparse matrix is of format {matrix.format}")


def check_spline(spline: Any) -> None:
    """Check knots, coefficients and degree by scipy's own constructor, which loading goes around."""
    degree = spline.k
    need(isinstance(degree, int | np.integer) and 0 <= degree <= 100, "its degree is not one")
    try:
        type(spline)(spline.t, spline.c, degree)
    except (ValueError, TypeError) as exc:
        need(False, f"its knots are malformed ({exc!s:.80})")


def check_generator(generator: Any) -> None:
    """Check the position of a Mersenne twister, which numpy uses as an index."""
    state = generator.get_state(legacy=False)
    need(0 <= int(state["state"]["pos"]) <= 624, "its position lies outside of its state")


def check_support_vectors(model: Any) -> None:
    """Check the arrays that libsvm reads through bare pointers against each other."""
    own = vars(model)
    if "support_vectors_" not in own:
        return
    n_classes = len(own["_n_support"])
    if model._impl not in _CLASSIFIERS:
        need(n_classes == 2, "it counts support vectors of other classes")
    pairs = n_classes * (n_classes - 1) // 2
    need(n_classes >= 2 and np.shape(own["_n_support"]) == (n_classes,), "it has less than two classes")
    need(np.shape(own["_intercept_"]) == (pairs,), "its intercepts are of other classes")
    _check_probabilities(own, pairs)
    vectors, support = own["support_vectors_"], np.asarray(own["support_"])
    precomputed = model.kernel == "precomputed" or callable(model.kernel)
    count = support.size if precomputed else vectors.shape[0]
    need(support.shape == (count,), "its support vectors do not match their indices")
    _check_coefficients(own, n_classes, count)
    if model._impl in _CLASSIFIERS:
        sizes = np.asarray(own["_n_support"])
        need(bool((sizes >= 0).all()) and int(sizes.sum()) == count, "its classes do not share out the support vectors")
    if precomputed:
        fitted = int(own["shape_fit_"][0])
        need(bool(((support >= 0) & (support < fitted)).all()), "a support vector lies outside of the training set")
    elif count:
        need(vectors.shape[1] == feature_count(model), "its support vectors have other features")


def _check_probabilities(own: dict[str, Any], pairs: int) -> None:
    shapes = {np.shape(own.get(name, np.empty(0))) for name in ("_probA", "_probB")}
    # libsvm copies one number for each pair of classes when it is told to give probabilities.
    told = own.get("_effective_probability", own.get("probability")) is True
    need(shapes == {(pairs,)} or (shapes == {(0,)} and not told), "its probabilities are of other classes")


def _check_coefficients(own: dict[str, Any], n_classes: int, count: int) -> None:
    coefficients = own["_dual_coef_"]
    if own["_sparse"]:
        # libsvm takes the stored values as if none were left out.
        need(coefficients.data.size == (n_classes - 1) * count, "its coefficients are of other support vectors")
        need(own["support_vectors_"].format == "csr", "its support vectors are not stored by rows")
    else:
        need(np.shape(coefficients) == (n_classes - 1, count), "its coefficients are of other support vectors")


def check_centers(model: Any) -> None:
    """Check the centers of k-means, which BLAS multiplies by the width of the input."""
    own = vars(model)
    if "cluster_centers_" not in own:
        return
    centers = own["cluster_centers_"]
    need(
        centers.ndim == 2 and centers.shape[1] == feature_count(model) and len(centers),
        "its centers have other features",
    )
    _check_threads(own)


def check_bisecting(model: Any) -> None:
    """Check the centers in the tree of bisecting k-means."""
    own = vars(model)
    stack, count = [own.get("_bisecting_tree")], feature_count(model) if "cluster_centers_" in own else 0
    while stack:
        node = stack.pop()
        if node is not None:
            need(np.shape(node.center) == (count,), "a center has other features")
            need((node.left is None) == (node.right is None), "a node has one child")
            stack.extend((node.left, node.right))
    _check_threads(own)


def _check_threads(own: dict[str, Any]) -> None:
    threads = own.get("_n_threads", 1)
    need(
        isinstance(threads, int | np.integer) and 1 <= threads <= _MAX_THREADS,
        "it asks for an impossible number of threads",
    )


def check_class_votes(model: Any) -> None:
    """Check the labels of a neighbours classifier, which native code uses as columns of its table of votes."""
    own = vars(model)
    if "_y" not in own:
        return
    labels, classes = np.asarray(own["_y"]), own["classes_"]
    need(len(labels) == own["_fit_X"].shape[0] == own["n_samples_fit_"], "its labels are of other points")
    need(labels.dtype.kind in "iu", "its labels are not indices")
    several = isinstance(classes, list)
    for column, known in zip(labels.reshape(len(labels), -1).T, classes if several else [classes], strict=True):
        need(bool(((column >= 0) & (column < len(known))).all()), "a label is not one of its classes")


def check_one_hot(encoder: Any) -> None:
    """Check the widths of a one-hot encoding; a category beyond them would be written outside of the output."""
    own = vars(encoder)
    if "categories_" not in own:
        return
    widths, mappings = own["_n_features_outs"], own.get("_default_to_infrequent_mappings", [])
    need(list(widths) == list(encoder._compute_n_features_outs()), "its widths are not those of its categories")
    dropped = own.get("_drop_idx_after_grouping")
    for index, categories in enumerate(own["categories_"]):
        drop = None if dropped is None else dropped[index]
        limit = widths[index] + (drop is not None)
        need(drop is None or 0 <= drop < limit, "it drops a category that is not there")
        rare = own["_infrequent_indices"][index] if own.get("_infrequent_enabled") else None
        if rare is None:
            need(len(categories) == limit, "its widths are not those of its categories")
        else:
            mapping = np.asarray(mappings[index])
            need(mapping.shape == (len(categories),), "its infrequent categories are of another column")
            need(bool(((mapping >= 0) & (mapping < limit)).all()), "a category lies outside of its widths")
            need(bool(((rare >= 0) & (rare < len(categories))).all()), "an infrequent category is not there")


def check_vocabulary(vectorizer: Any) -> None:
    """Check that each word has a column of its own; another number would lie outside of the output."""
    vocabulary = vars(vectorizer).get("vocabulary_")
    if vocabulary is not None:
        columns = sorted(vocabulary.values())
        need(columns == list(range(len(columns))), "its vocabulary does not number its columns")


def check_documents(vectorizer: Any) -> None:
    """Check that the vectorizer reads its input, and not files that its input names."""
    need(vars(vectorizer).get("input", "content") == "content", "it would open the files that its input names")


def check_label_cache(binarizer: Any) -> None:
    """Check that the binarizer's cached table of classes is that of its classes."""
    cache = vars(binarizer).get("_cached_dict")
    if cache is not None:
        need(
            cache == {label: index for index, label in enumerate(binarizer.classes_)}, "its cache is not of its classes"
        )


def check_hashing(hasher: Any) -> None:
    """Check the number of columns of a hasher, which native code divides by."""
    count = vars(hasher).get("n_features", 1)
    need(isinstance(count, int | np.integer) and 1 <= count <= 2**31 - 1, "its number of features is impossible")
