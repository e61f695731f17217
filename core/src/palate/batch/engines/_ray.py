"""Models in Ray Data: a pool of actors, each of which has opened the model once.

The model is put in the object store once, from where each node fetches it, and unpacked once on each node. Actors that
die are started again by Ray, and their blocks are predicted again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from palate.batch.engines._shipping import Scoring, Shipment, Uri, kept_folder, shipping
from palate.errors import DependencyMissing, InvalidOption

if TYPE_CHECKING:
    import pyarrow as pa
    from ray import ObjectRef
    from ray.data import Dataset

__all__ = ["Concurrency", "ray_predict", "require_ray"]

Concurrency: TypeAlias = int | tuple[int, int] | None

# Tasks that read need a whole CPU: actors that take all there are would wait for rows that nobody can read.
_CPUS_OF_ACTOR: Final = 0.5


def ray_predict(
    dataset: Dataset,
    uri: Uri,
    *,
    method: str | None = None,
    params: Mapping[str, object] | None = None,
    keys: Sequence[str] = (),
    concurrency: Concurrency = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    batch_size: int = 65536,
    trust: bool = False,
    flavor: str | None = None,
    signed_by: Any = None,
    isolate: Any = False,
    **flavor_options: Any,
) -> Dataset:
    """Return a dataset with predictions for the rows of *dataset*, by ``map_batches``: the keys, then the predictions.

    What is wrong with the model, and with columns whose names and types are known without reading, is said here, before
    any task runs.

    Args:
        dataset: the rows.
        uri: the model.
        method: another method than the default one.
        params: values for the signature's params; the same for all rows.
        keys: columns that pass through, by which predictions can be told apart: blocks come in any order.
        concurrency: how many actors: a number, or (least, most) for a pool that grows and shrinks. By default from 1 to
            the cluster's CPUs, or to as many as there are GPUs for.
        num_cpus: what an actor reserves. By default half a CPU, so that reading goes on beside it; nothing where all
            nodes have one CPU, or for actors on GPUs.
        num_gpus: what an actor reserves, as ``1`` or ``0.25``.
        batch_size: how many rows are predicted at once.
        trust, flavor, signed_by, isolate, **flavor_options: as for ``palate.load_model``.

    Raises:
        InvalidInput: columns are missing or of types that do not fit, or *params* do not fit. In tasks: rows do not.
        InvalidOption: *keys*, *concurrency* or *batch_size* do not work.
        PalateError: what ``palate.load_model`` raises.
        DependencyMissing: Ray is not installed.
    """
    ray = require_ray("ray_predict")
    if type(batch_size) is not int or batch_size < 1:
        raise InvalidOption("batch_size", reason=f"it is {batch_size!r:.60}", hint="give a number of rows, as 65536")
    least, most = _check_concurrency(concurrency)
    with shipping(
        uri, kept_folder(), method=method, params=params, keys=keys, trust=trust, flavor=flavor, signed_by=signed_by,
        isolate=isolate, options=flavor_options,
    ) as shipment:  # fmt: skip
        dataset = _choose_columns(dataset, shipment)
        archive = _put(ray, shipment)
    reserved = {"num_cpus": num_cpus, "num_gpus": num_gpus}
    if num_cpus is None and num_gpus is None:
        reserved["num_cpus"] = _CPUS_OF_ACTOR if _most_cpus(ray) >= 2 else 0
    return dataset.map_batches(
        _Predictor,
        fn_constructor_args=(shipment.scoring, archive),
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most or _most_actors(ray, num_cpus, num_gpus)),
        batch_size=batch_size,
        batch_format="pyarrow",
        zero_copy_batch=True,
        **{name: number for name, number in reserved.items() if number is not None},
    )


def require_ray(needed_for: str) -> Any:
    """Return the module. Raises DependencyMissing where it, or its part for data, is not installed."""
    try:
        import ray
        import ray.data
    except ImportError as exc:
        raise DependencyMissing("ray[data]", needed_for=needed_for, install="palate[ray]") from exc
    return ray


# -- on the driver -----------------------------------------------------------------------------------------------------


def _check_concurrency(concurrency: Concurrency) -> tuple[int, int | None]:
    match concurrency:
        case None:
            return 1, None
        case int(size) if size >= 1 and size is not True:
            return size, size
        case (int(least), int(most)) if 1 <= least <= most:
            return least, most
    hint = "give a number of actors, or (least, most)"
    raise InvalidOption("concurrency", reason=f"it is {concurrency!r:.60}", hint=hint)


def _choose_columns(dataset: Dataset, shipment: Shipment) -> Dataset:
    """Return the columns that are needed, held against the signature, if they are known without reading."""
    import pyarrow as pa

    known = dataset.schema(fetch_if_missing=False)
    schema = None if known is None else known.base_schema
    if not isinstance(schema, pa.Schema):
        return dataset
    shipment.scorer.check(schema)
    columns = shipment.choose_columns(schema.names)
    return dataset if columns == schema.names else dataset.select_columns(columns)


def _put(ray: Any, shipment: Shipment) -> ObjectRef[Any]:
    """Put the archive in the object store, without a copy in this process."""
    import numpy as np

    put: ObjectRef[Any] = ray.put(np.asarray(np.memmap(shipment.archive, dtype=np.uint8, mode="r")))
    shipment.archive.unlink(missing_ok=True)
    return put


def _cpus(ray: Any) -> list[float]:
    return [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]


def _most_cpus(ray: Any) -> float:
    """Return how many CPUs the greatest node has."""
    return max(_cpus(ray), default=0)


def _most_actors(ray: Any, num_cpus: float | None, num_gpus: float | None) -> int:
    """Return how many actors the cluster has room for."""
    if num_gpus:
        return max(1, int(ray.cluster_resources().get("GPU", 0) / num_gpus))
    return max(1, int(sum(_cpus(ray)) / max(num_cpus or 1, 1)))


# -- in the actors -----------------------------------------------------------------------------------------------------


class _Predictor:
    """An actor: opens the model when it is started, predicts for batches."""

    def __init__(self, scoring: Scoring, archive: ObjectRef[Any]) -> None:
        import ray

        self._folder = tempfile.TemporaryDirectory(prefix="palate-")
        file = Path(self._folder.name) / "model.palate"
        ray.get(archive).tofile(file)
        self._scorer = scoring.scorer(file, spare=Path(tempfile.gettempdir()))
        if not scoring.opening.isolate:  # else another process may have to open it again
            # Now, as actors are often ended without notice. The cache has what is needed, for others on this node, too.
            self._folder.cleanup()

    def __call__(self, rows: pa.Table) -> pa.Table:
        return self._scorer.score(rows) if rows.num_rows else rows.select(list(self._scorer.keys))
