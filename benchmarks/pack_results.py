"""Pack the output folder of an experiment for benchmarks/results: a few files in place of some for each run.

    python benchmarks/pack_results.py outputs/ravdess_table5 benchmarks/results/ravdess_table5
    python benchmarks/pack_results.py --unpack benchmarks/results/ravdess_table5 outputs/ravdess_table5

`predictions.parquet` holds all `predictions.csv`, with a column `run`; `runs.json` holds `results.json`, `run.json`
and `probe.json` by run; reports and pictures are copied. `lssed-hf card` reads a packed folder as it is.
"""

import argparse
import csv
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lssed_hf.files import replacing, write_json
from lssed_hf.hub.run_folders import PACKED, recorded_runs, run_name


PREDICTIONS = "predictions.parquet"
#: Files of the experiment itself.
_COPIED = ("*.md", "*.png", "results.json")


def pack(output_dir: Path, results_dir: Path) -> None:
    """Write the packed form of an output folder.

    Raises:
        FileNotFoundError: The folder holds no scored run, or a run lacks its predictions.
    """
    runs = recorded_runs(output_dir)
    if not runs:
        raise FileNotFoundError(f"{output_dir} holds no scored run: give the --output_dir of an experiment")
    results_dir.mkdir(parents=True, exist_ok=True)
    for path in (path for pattern in _COPIED for path in output_dir.glob(pattern)):
        shutil.copy(path, results_dir)
    with replacing(results_dir / PACKED) as path:
        lines = [f"{json.dumps(name)}: {json.dumps(files, ensure_ascii=False)}" for name, files in runs.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")

    rows = []
    for results in sorted(output_dir.rglob("results.json")):
        if results.parent != output_dir:
            name = run_name(results.parent.relative_to(output_dir))
            with results.with_name("predictions.csv").open(newline="", encoding="utf-8") as file:
                rows += [{"run": name, **row} for row in csv.DictReader(file)]
    columns = {
        name: [row.get(name) or None for row in rows] for name in dict.fromkeys(key for row in rows for key in row)
    }
    # Six digits, as the CSV has them, fit into 32 bits.
    kinds = {name: pa.float32() if name.startswith("probability_") else pa.string() for name in columns}
    arrays = {
        name: pa.array([text and float(text) for text in texts] if kinds[name] == pa.float32() else texts, kinds[name])
        for name, texts in columns.items()
        if any(texts)
    }
    with replacing(results_dir / PREDICTIONS) as path:
        pq.write_table(pa.table(arrays), path, compression="zstd", compression_level=19)


def unpack(results_dir: Path, output_dir: Path) -> None:
    """Write the folders of the runs that `pack` read, but for files that no report is made from."""
    for path in (path for pattern in _COPIED for path in results_dir.glob(pattern)):
        output_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, output_dir)
    predictions: dict[str, list[dict]] = {}
    for row in pq.read_table(results_dir / PREDICTIONS).to_pylist():
        predictions.setdefault(row.pop("run"), []).append(row)
    for name, files in recorded_runs(results_dir).items():
        for file, content in files.items():
            write_json(output_dir / name / file, content)
        rows = predictions[name]
        columns = [column for column in rows[0] if any(row[column] is not None for row in rows)]
        with (output_dir / name / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in rows:
                values = (row[column] for column in columns)
                writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])


def main() -> None:
    """Pack or unpack the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder to read")
    parser.add_argument("target", type=Path, help="folder to write")
    parser.add_argument("--unpack", action="store_true", help="write folders of runs from a packed folder")
    args = parser.parse_args()
    (unpack if args.unpack else pack)(args.source, args.target)


if __name__ == "__main__":
    main()
