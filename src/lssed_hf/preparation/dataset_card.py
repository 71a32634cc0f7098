"""The dataset card of a prepared folder: prose, and YAML that says which shards make which configuration."""

from collections.abc import Sequence
from pathlib import Path

import datasets
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from ..corpora import CorpusBuilder
from ..files import replacing
from .plan import Plan, group_name


_BODY = """\
# {title}

{description}

Prepared by `lssed-hf prepare` (lssed_hf {version}) from a copy of the corpus: {written:,} of {read:,} utterances,
{hours:.2f} hours. {rejects} `manifest.json` has the options and a checksum for each shard.

- Source and access: {homepage}
- Licence: {license}. It governs what may be done with this folder, copies and uploads included.
{redistribution}
## How to load it

```python
import datasets

corpus = datasets.load_dataset("path/to/this/folder")
```

Decoding through `datasets` needs torchcodec and FFmpeg; `lssed_hf.load_audio(row["audio"])` reads rows of
`cast_column("audio", datasets.Audio(decode=False))` without them.

## Configurations

| configuration | classes | split scheme | utterances |
|---|---|---|---|
{configurations}

{audio}What the corpus lacks is null, or -1 in a ClassLabel. `start` and `end` are seconds.

## Speech is personal data

Voices identify people. Use this folder within the terms that its source was given under, and do not try to find out
who speaks.
{citation}"""


def write_card(path: Path, plan: Plan, builders: Sequence[CorpusBuilder], manifest: dict) -> None:
    """Write the README of a prepared folder.

    Args:
        path: of the file.
        plan: which groups of shards make which configuration.
        builders: of the corpus's configurations, in the plan's order.
        manifest: as `prepare` returns it.
    """
    corpus, hours = builders[0], manifest["seconds"] / 3600
    features = {builder.config.name: builder.info.features for builder in builders}
    rows, sizes = _totals(manifest)
    configs, infos, lines = {}, {}, []
    for name, (config, scheme) in plan.config_names().items():
        groups = plan.groups_of(config, scheme)
        configs[name] = {
            "data_files": [
                {"split": split, "path": [f"data/{group.name}-?????-of-?????.parquet" for group in members]}
                for split, members in groups.items()
            ]
        }
        counts = {split: sum(rows[group.name] for group in members) for split, members in groups.items()}
        num_bytes = {split: sum(sizes[group.name] for group in members) for split, members in groups.items()}
        infos[name] = datasets.DatasetInfo(
            features=features[config],
            config_name=name,
            splits=[{"name": split, "num_bytes": num_bytes[split], "num_examples": counts[split]} for split in groups],
            download_size=sum(num_bytes.values()),
            dataset_size=sum(num_bytes.values()),
        )
        shown = ", ".join(f"{split} {count:,}" for split, count in counts.items())
        lines.append(f"| `{name}` | {len(features[config][corpus.LABEL_COLUMN].names)} | {scheme} | {shown} |")
    configs[next(iter(configs))]["default"] = True

    counts = manifest["counts"]
    title = corpus.name if manifest["config"] in ("default", "benchmark") else f"{corpus.name}, {manifest['config']}"
    data = DatasetCardData(
        pretty_name=title,
        license="other",
        license_name=corpus.name,
        license_link=corpus.HOMEPAGE or None,
        task_categories=["audio-classification"],
        size_categories=[_size_category(counts["written"])],
        tags=list(corpus.TAGS),
    )
    MetadataConfigs(configs).to_dataset_card_data(data)
    datasets.info.DatasetInfosDict(infos).to_dataset_card_data(data)
    rejects = (
        f"The other {counts['rejected']:,} are listed in `rejects.csv`, each with its reason."
        if counts["rejected"]
        else "None was left out."
    )
    body = _BODY.format(
        title=title,
        description=corpus.info.description,
        version=manifest["lssed_hf"],
        written=counts["written"],
        read=counts["read"],
        hours=hours,
        rejects=rejects,
        homepage=corpus.HOMEPAGE,
        license=corpus.LICENSE.rstrip("."),
        redistribution=corpus.NO_REDISTRIBUTION and f"- **Do not pass this folder on.** {corpus.NO_REDISTRIBUTION}\n",
        configurations="\n".join(lines),
        audio=_audio(manifest) if "audio" in features[manifest["config"]] else "",
        citation=f"\n## Citation\n\n```bibtex\n{corpus.CITATION}\n```\n" if corpus.CITATION else "",
    )
    with replacing(path) as partial:
        partial.write_text(f"---\n{data.to_yaml()}\n---\n\n{body}", encoding="utf-8")


def _totals(manifest: dict) -> tuple[dict[str, int], dict[str, int]]:
    """Rows and bytes of each group."""
    rows: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for shard in manifest["shards"]:
        name = group_name(Path(shard["path"]).name)
        rows[name] = rows.get(name, 0) + shard["rows"]
        sizes[name] = sizes.get(name, 0) + shard["bytes"]
    return rows, sizes


def _audio(manifest: dict) -> str:
    text = f"Audio is 16-bit {manifest['audio_format'].upper()}, mono, 16 kHz. "
    if manifest["denoise"] or manifest["gain"] != 1:
        done = ["spectral subtraction"] * manifest["denoise"]
        done += [f"a gain of {manifest['gain']:g}"] * (manifest["gain"] != 1)
        left_out = ["`do_denoise=False`"] * manifest["denoise"] + ["`gain=1`"] * (manifest["gain"] != 1)
        text += (
            f"**{' and '.join(done).capitalize()} of the LSSED paper (section 2.3) are in it already**: load the "
            f"feature extractor with {' and '.join(left_out)}. "
        )
    return text


def _size_category(rows: int) -> str:
    if rows < 1000:
        return "n<1K"
    units = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    power = len(str(rows)) - 4
    return f"{units[power]}<n<{units[power + 1]}"
