"""Output folders of experiments: `runs/SYSTEM/seed_N` for the runs, `run.json` in each finished one."""

from pathlib import Path
from typing import Any

from ..files import read_json


#: Folder of the runs -> file of a finished run. The second pair is that of output folders from before the first one.
LAYOUTS = {"runs": "run.json", "cells": "cell.json"}
#: File in place of the folders of published runs, see `recorded_runs`.
PACKED = "runs.json"


def runs_folder(output_dir: Path) -> Path:
    """Return the folder of all runs. An output folder that was begun under the old name keeps it."""
    return output_dir / ("cells" if (output_dir / "cells").is_dir() else "runs")


def facts_path(run: Path) -> Path:
    """Return the path of the file that a finished run leaves in its folder, by the name of the folder of all runs."""
    return run / next((LAYOUTS[part] for part in reversed(run.parts) if part in LAYOUTS), LAYOUTS["runs"])


def recorded_runs(output_dir: Path) -> dict[str, dict[str, Any]]:
    """Return the small files of all scored runs below an output folder, from its `runs.json` if they are packed there.

    Returns:
        Path of the run, such as "runs/SYSTEM/seed_N" -> name of the file -> contents. The files are `results.json`
        and, where they are, `run.json` and `probe.json`. Old names of folders and files are replaced by the new ones.

    Raises:
        ValueError: A file cannot be read.
    """
    if (output_dir / PACKED).is_file():
        return read_json(output_dir / PACKED)
    found = {}
    for results in sorted(output_dir.rglob("results.json")):
        run = results.parent
        if run != output_dir:
            files = {"results.json": results, "run.json": facts_path(run), "probe.json": run / "probe.json"}
            name = run_name(run.relative_to(output_dir))
            found[name] = {file: read_json(path) for file, path in files.items() if path.is_file()}
    return found


def run_name(run: Path) -> str:
    """Return the path of a run below its output folder, with the new name of the folder of all runs."""
    parts = list(run.parts)
    old = next((index for index, part in enumerate(parts) if part in LAYOUTS), None)
    return "/".join(parts if old is None else [*parts[:old], "runs", *parts[old + 1 :]])
