"""Running a dlt source into the lake, so that a crash at any moment costs only a repeat."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
os.environ["NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID"] = "true"
# one resource after another: a page's address must not grow old while others are read
os.environ["EXTRACT__NEXT_ITEM_MODE"] = "fifo"

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed

from ingestion.errors import CxmError, SourceError
from ingestion.lake import Lake, check_dataset_name


@dataclass(frozen=True)
class LoadResult:
    """What one run of a source brought: documents by table, and the load's id if there were any."""

    source: str
    load_id: str | None
    documents: dict[str, int]


@contextmanager
def source_lock(state_dir: Path, source: str) -> Iterator[None]:
    """Hold a source for one process; the operating system lets go of it even after kill -9."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / f"{source}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SourceError(
                f"source {source!r} is being loaded by another process; wait for it to end"
            ) from None
        yield


def lake_pipeline(lake: Lake, dataset: str, work_dir: Path) -> dlt.Pipeline:
    """A dlt pipeline that writes Parquet into the lake and keeps its state there, not here."""
    check_dataset_name(dataset)
    return dlt.pipeline(
        pipeline_name=f"cxm_{dataset}",
        destination=dlt.destinations.filesystem(
            bucket_url=lake.url, layout="{table_name}/{load_id}.{file_id}.{ext}"
        ),
        dataset_name=dataset,
        pipelines_dir=str(work_dir),
    )


def run_into_lake(source: Any, *, lake: Lake, dataset: str, state_dir: Path) -> LoadResult:
    """Extract a dlt source, write it to the lake, mark it complete.

    The working folder is thrown away: what a dead run had extracted is extracted again from the
    state of the last complete load.
    """
    with source_lock(state_dir, dataset):
        lake.discard_incomplete(dataset)
        for leftover in state_dir.glob(f"{dataset}-*"):  # of a run that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        work_dir = Path(tempfile.mkdtemp(prefix=f"{dataset}-", dir=state_dir))
        try:
            pipeline = lake_pipeline(lake, dataset, work_dir)
            try:
                info = pipeline.run(source, loader_file_format="parquet")
            except PipelineStepFailed as error:
                raise _own_error(error) from None
            info.raise_on_failed_jobs()
            normalized = pipeline.last_trace and pipeline.last_trace.last_normalize_info
            counts = {
                table: rows
                for table, rows in (normalized.row_counts if normalized else {}).items()
                if not table.startswith("_dlt")
            }
            load_id = info.loads_ids[-1] if info.loads_ids and any(counts.values()) else None
            return LoadResult(dataset, load_id, counts)
        finally:
            shutil.rmtree(work_dir, ignore_errors=True)


def _own_error(error: BaseException) -> BaseException:
    """What our reader said, out of the errors that dlt wraps around it; else the error itself."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, CxmError):
        cause = cause.__cause__ or cause.__context__
    return cause or error
