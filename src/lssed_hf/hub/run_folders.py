"""Names in the output folder of an experiment: `runs/SYSTEM/seed_N` for its runs, `run.json` in each finished one."""

from pathlib import Path


#: Folder of the runs -> file of a finished run. The second pair is that of output folders from before the first one.
LAYOUTS = {"runs": "run.json", "cells": "cell.json"}


def runs_folder(output_dir: Path) -> Path:
    """Return the folder of all runs. An output folder that was begun under the old name keeps it."""
    return output_dir / ("cells" if (output_dir / "cells").is_dir() else "runs")


def facts_path(run: Path) -> Path:
    """Return the path of the file that a finished run leaves in its folder, by the name of the folder of all runs."""
    return run / next((LAYOUTS[part] for part in reversed(run.parts) if part in LAYOUTS), LAYOUTS["runs"])
