"""Dataset card of a prepared folder: prose, and YAML that says which shards make which configuration."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from ..corpora import CorpusBuilder, corpus_builder
from ..files import replacing
from .plan import Plan, group_name


#: ISO 639 codes of the languages in `CorpusFacts`.
_LANGUAGE_CODES = {
    **{"Bangla": "bn", "Chinese": "zh", "English": "en", "French": "fr", "German": "de", "Greek": "el"},
    **{"Italian": "it", "Mandarin": "zh", "Persian": "fa", "Polish": "pl", "Punjabi": "pa", "Russian": "ru"},
    **{"Urdu": "ur"},
}
#: Identifiers of licences on the Hub, by the words of the corpora.
HUB_LICENSES = {
    **{"Apache-2.0": "apache-2.0", "CC BY 4.0": "cc-by-4.0", "CC BY-NC-ND 4.0": "cc-by-nc-nd-4.0"},
    **{"CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0", "CC0 1.0": "cc0-1.0", "ODbL 1.0": "odbl"},
}

_BODY = """\
# {title}

{synthetic}{description}

Prepared by `lssed-hf prepare` (lssed_hf {version}): {written:,} of {read:,} utterances, {hours:.2f} hours. {rejects}
`manifest.json` has the options and a checksum for each shard.

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

{people}{citation}"""
_PEOPLE = """\
## Speech is personal data

Voices identify people. Use this folder within the terms that its source was given under, and do not try to find out
who speaks.
"""
_SYNTHETIC = """\
**Synthetic speech, not {name}.** The speech synthesiser eSpeak NG spoke all of it, in the layout of {name}. No person
was recorded: speakers, ages, genders, emotions and scores are settings of the synthesiser or random. The next
paragraph describes the corpus that the layout is taken from.

"""


def write_card(path: Path, plan: Plan, builders: Sequence[CorpusBuilder], manifest: dict) -> None:
    """Write the README of a prepared folder.

    Args:
        path: File to write.
        plan: Plan that says which groups of shards make which configuration.
        builders: Builders of the corpus's configurations, in the plan's order.
        manifest: Manifest, as `prepare` returns it.
    """
    corpus, counts, terms = builders[0], manifest["counts"], terms_of(manifest)
    synthetic = manifest.get("synthetic", False)
    in_layout = synthetic and not isinstance(corpus, terms)  # of a corpus that is no synthetic one itself
    features = {builder.config.name: builder.info.features for builder in builders}
    title = corpus.name if manifest["config"] in ("default", "benchmark") else f"{corpus.name}, {manifest['config']}"
    title = f"Synthetic speech in the layout of {title}" if in_layout else title
    data = DatasetCardData(
        pretty_name=title,
        **_license(terms, corpus.name),
        language=["en"] if synthetic else _languages(corpus) or None,
        source_datasets=["original"],
        task_categories=["audio-classification"],
        size_categories=[_size_category(counts["written"])],
        tags=[*corpus.TAGS, *(["synthetic"] if synthetic else [])],
    )
    rows = _describe_configurations(data, plan, features, corpus.LABEL_COLUMN, manifest)
    rejects = "None was left out."
    if counts["rejected"]:
        rejects = f"The other {counts['rejected']:,} are listed in `rejects.csv`, each with its reason."
    body = _BODY.format(
        title=title,
        synthetic=_SYNTHETIC.format(name=corpus.name) if in_layout else "",
        description=corpus.info.description,
        version=manifest["lssed_hf"],
        written=counts["written"],
        read=counts["read"],
        hours=manifest["seconds"] / 3600,
        rejects=rejects,
        homepage=terms.HOMEPAGE,
        license=terms.LICENSE.rstrip("."),
        redistribution=terms.NO_REDISTRIBUTION and f"- **Do not pass this folder on.** {terms.NO_REDISTRIBUTION}\n",
        configurations="\n".join(rows),
        audio=_audio(manifest) if "audio" in features[manifest["config"]] else "",
        people="" if synthetic else _PEOPLE,
        citation=f"\n## Citation\n\n```bibtex\n{terms.CITATION}\n```\n" if terms.CITATION else "",
    )
    with replacing(path) as partial:
        partial.write_text(f"---\n{data.to_yaml()}\n---\n\n{body}", encoding="utf-8")


def terms_of(manifest: Mapping[str, Any]) -> type[CorpusBuilder]:
    """Return the builder with source and licence of a prepared folder, `Synthetic` for a synthetic release."""
    return corpus_builder("synthetic" if manifest.get("synthetic") else manifest["corpus"])


def _license(terms: type[CorpusBuilder], name: str) -> dict[str, str | None]:
    """Return the licence as the Hub's metadata name it."""
    if terms.LICENSE in HUB_LICENSES:
        return {"license": HUB_LICENSES[terms.LICENSE]}
    return {"license": "other", "license_name": name, "license_link": terms.HOMEPAGE or None}


def _languages(corpus: CorpusBuilder) -> list[str]:
    """Return the ISO 639 codes of the corpus's languages, as far as they are known."""
    known = corpus.FACTS.languages if corpus.FACTS else ()
    chosen = getattr(corpus.config, "language", None)
    return sorted({_LANGUAGE_CODES[name] for name in known if name in _LANGUAGE_CODES and chosen in (None, name)})


def _describe_configurations(
    data: DatasetCardData,
    plan: Plan,
    features: Mapping[str, datasets.Features],
    label_column: str,
    manifest: dict,
) -> list[str]:
    """Add the configurations to a card's metadata, and return the rows of their table."""
    num_rows, num_bytes = _totals(manifest)
    configs, infos, rows = {}, {}, []
    for name, (config, scheme) in plan.config_names().items():
        groups = {split: [group.name for group in found] for split, found in plan.groups_of(config, scheme).items()}
        configs[name] = {
            "data_files": [
                {"split": split, "path": [f"data/{group}-?????-of-?????.parquet" for group in members]}
                for split, members in groups.items()
            ]
        }
        counts = {split: sum(num_rows[group] for group in members) for split, members in groups.items()}
        sizes = {split: sum(num_bytes[group] for group in members) for split, members in groups.items()}
        infos[name] = datasets.DatasetInfo(
            features=features[config],
            config_name=name,
            splits=[{"name": split, "num_bytes": sizes[split], "num_examples": counts[split]} for split in groups],
            download_size=sum(sizes.values()),
            dataset_size=sum(sizes.values()),
        )
        shown = ", ".join(f"{split} {count:,}" for split, count in counts.items())
        rows.append(f"| `{name}` | {len(features[config][label_column].names)} | {scheme} | {shown} |")
    configs[next(iter(configs))]["default"] = True
    MetadataConfigs(configs).to_dataset_card_data(data)
    datasets.info.DatasetInfosDict(infos).to_dataset_card_data(data)
    return rows


def _totals(manifest: dict) -> tuple[Counter, Counter]:
    """Return the number of rows and of bytes of each group."""
    rows, sizes = Counter(), Counter()
    for shard in manifest["shards"]:
        name = group_name(Path(shard["path"]).name)
        rows[name] += shard["rows"]
        sizes[name] += shard["bytes"]
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
