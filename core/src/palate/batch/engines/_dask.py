"""Models in Dask: each partition is predicted where it is.

With a distributed client the model is sent to each worker, also to those that come later, and opened once in each
process; the other schedulers run on this machine and open it here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from palate.batch.engines._shipping import Scoring, Uri, kept_folder, shipping
from palate.errors import DependencyMissing

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa

__all__ = ["dask_predict", "require_dask"]


def dask_predict(
    frame: dd.DataFrame,
    uri: Uri,
    *,
    method: str | None = None,
    params: Mapping[str, object] | None = None,
    keys: Sequence[str] = (),
    trust: bool = False,
    flavor: str | None = None,
    signed_by: Any = None,
    isolate: Any = False,
    **flavor_options: Any,
) -> dd.DataFrame:
    """Return a frame with the predictions for the rows of *frame*, under its index: the keys, then the predictions.

    Make the distributed client first, if there is to be one: its workers get the model now, those to come when they do.

    Args:
        frame: the rows.
        uri: the model.
        method: another method than the default one.
        params: values for the signature's params; the same for all rows.
        keys: columns that pass through.
        trust, flavor, signed_by, isolate, **flavor_options: as for ``palate.load_model``.

    Raises:
        InvalidInput: columns are missing or of types that do not fit, or *params* do not fit. In tasks: rows do not.
        InvalidOption: the signature does not tell the type of the outputs, or *keys* do not work.
        PalateError: what ``palate.load_model`` raises.
        DependencyMissing: Dask is not installed.
    """
    require_dask("dask_predict")
    import pyarrow as pa

    with shipping(
        uri, kept_folder(), method=method, params=params, keys=keys, trust=trust, flavor=flavor, signed_by=signed_by,
        isolate=isolate, options=flavor_options,
    ) as shipment:  # fmt: skip
        chosen = frame[shipment.choose_columns(list(frame.columns))]
        given = pa.Schema.from_pandas(chosen._meta, preserve_index=False)
        shipment.scorer.check(given)
        answer = shipment.output_schema(given)
        _send(shipment.archive)
        task = _PartitionTask(shipment.archive, shipment.scoring)
    meta = _to_pandas(answer.empty_table(), chosen._meta)
    return chosen.map_partitions(task, meta=meta)


def require_dask(needed_for: str) -> None:
    """Raise DependencyMissing unless Dask has frames."""
    try:
        import dask.dataframe  # noqa: F401
    except ImportError as exc:
        raise DependencyMissing("dask[dataframe]", needed_for=needed_for, install="palate[dask]") from exc


def _send(archive: Path) -> None:
    """Give the archive to the workers of the client, if there is one."""
    try:
        from distributed import default_client
        from distributed.diagnostics.plugin import UploadFile

        client = default_client()
    except (ImportError, ValueError):  # ValueError: there is no client
        return
    client.register_plugin(UploadFile(str(archive), load=False), name=archive.stem)


def _to_pandas(table: pa.Table, like: pd.DataFrame) -> pd.DataFrame:
    """Return a table under the index of its rows, in which lists and structs stay what they are, not objects."""
    return table.to_pandas(types_mapper=_nested_type).set_index(like.index)


def _nested_type(kind: pa.DataType) -> pd.ArrowDtype | None:
    import pandas as pd
    import pyarrow as pa

    return pd.ArrowDtype(kind) if pa.types.is_nested(kind) else None


@dataclass(frozen=True)
class _PartitionTask:
    """Predicts for a partition.

    Attributes:
        archive: where the model is on the machine of the client.
    """

    __name__: ClassVar[str] = "palate_predict"  # what Dask calls such tasks

    archive: Path
    scoring: Scoring

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        import pyarrow as pa

        scorer = self.scoring.scorer(self._find_archive())
        return _to_pandas(scorer.score(pa.Table.from_pandas(rows, preserve_index=False)), rows)

    def _find_archive(self) -> Path:
        try:
            from distributed import get_worker

            sent = Path(get_worker().local_directory) / self.archive.name
        except (ImportError, ValueError):  # ValueError: this is no worker
            return self.archive
        return sent if sent.exists() else self.archive
