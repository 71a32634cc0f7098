"""`lssed-hf prepare`: turn a corpus as distributed into a folder of Parquet for `datasets`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..wording import counted
from .parser import CommandParser, add_engine_arguments


DESCRIPTION = """Turn a corpus as distributed into a folder of Parquet shards that `datasets` loads by itself. Kill
it anywhere and run it again: finished shards are kept, and the result has the same bytes. Every utterance that is
left out is listed in rejects.csv with its reason."""
_CAUSES = {
    "recording": "float samples or a lossy codec",
    "resampling": "the overshoot of resampling",
    "denoise": "denoising",
    "gain": "the gain",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("prepare", DESCRIPTION, "lssed /data/LSSED lssed/")
    parser.add_argument("corpus", metavar="CORPUS", help="name of a corpus, or folder for your own recordings")
    parser.add_argument("data_dir", type=Path, metavar="DATA_DIR", help="folder that holds it as distributed")
    parser.add_argument(
        "output_dir", type=Path, metavar="OUTPUT_DIR", help="new folder, or that of an interrupted run"
    )
    parser.add_argument("--config_name", default="default", help="default: default, which includes benchmark")
    parser.add_argument("--split_schemes", nargs="+", help="which to write (default: all that the corpus has)")
    parser.add_argument("--audio_format", choices=("flac", "wav"), default="flac", help="16 bit (default: flac)")
    parser.add_argument("--denoise", action="store_true", help="bake spectral subtraction in; the front end can do it")
    parser.add_argument("--gain", type=float, default=1.0, help="factor to bake in, 2 in the paper (default: 1)")
    parser.add_argument("--utterances_per_shard", type=int, default=1000, help="default: 1000")
    parser.add_argument("--num_proc", type=int, help="shards at once (default: one for each core)")
    parser.add_argument("--data_files", type=Path, help="the metadata file, where it is not found by itself")
    parser.add_argument(
        "--options", nargs="+", default=[], metavar="NAME=VALUE", help="switches of the corpus, e.g. keep_chinese=true"
    )
    own = parser.add_argument_group("your own recordings (corpus folder), as in `lssed-hf train`")
    own.add_argument("--label_set", choices=("lssed",), help="map labels to the names of LSSED")
    own.add_argument("--label_map", nargs="+", metavar="LABEL=NAME", help="also lssed: labels to rename")
    own.add_argument("--columns", nargs="+", metavar="FIELD=COLUMN", help="also lssed: e.g. emotion=mood")
    own.add_argument("--label_pattern", help="regular expression that finds the label in a clip's path")
    own.add_argument("--speaker_pattern", help="regular expression that finds the speaker in a clip's path")
    for field in ("audio", "label", "speaker"):
        name = f"{field}_column"
        own.add_argument(f"--{name}_name", dest=name, metavar="NAME", help=f"column of the table with the {field}")
    add_engine_arguments(parser.add_argument_group("hardware"), "local", "ray")
    args = vars(parser.parse_args(argv))
    options = dict(map(_option, args.pop("options")))
    given = {name: value for action in own._group_actions if (value := args.pop(name := action.dest)) is not None}
    foreign = [name for name in given if not (args["corpus"] == "lssed" and name in ("label_map", "columns"))]
    if foreign and args["corpus"] != "folder":
        parser.error(f"--{foreign[0]} is for your own recordings (folder); {args['corpus']} has its own labels")
    options |= given
    from ..preparation.prepare import prepare

    manifest = prepare(**args, **options)
    counts = manifest["counts"]
    print(
        f"{args['output_dir']}: {counts['written']:,} of {counts['read']:,} utterances in "
        f"{len(manifest['shards'])} shards, {manifest['seconds'] / 3600:.2f} h; {counts['rejected']:,} in rejects.csv"
    )
    for cause, number in manifest.get("clipped_by", {}).items():
        clips = counted(number, "clip")
        print(f"{_CAUSES[cause]} took {clips} over full scale, where samples are cut off", file=sys.stderr)
    return 0


def _option(text: str) -> tuple[str, object]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"--options {text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
