"""What somebody should hear of: one line each in `<home>/alerts.jsonl`."""

import json

from orchestration.settings import Settings, now


def leave_alert(settings: Settings, *, run_id: str, job: str, step: str, error: str) -> None:
    """Append a line for whoever watches the file; `cxm status` shows the last ones."""
    line = {"at": now().isoformat(), "run_id": run_id, "job": job, "step": step, "error": error}
    with (settings.home / "alerts.jsonl").open("a") as handle:
        handle.write(json.dumps(line) + "\n")
