"""Plan of a prepared folder: which utterance goes to which shard, and which configurations read it.

Audio is stored once. A group of shards holds utterances of the same configurations that have the same split in every
scheme. A configuration is a list of groups for each of its splits.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..corpora import CorpusBuilder, CorpusDataError, Reject, Utterance
from ..corpora.base import SPLITS, reasons_line
from .shards import Shard


@dataclass(frozen=True)
class Group:
    """Utterances that share a group of shards.

    Attributes:
        name: Beginning of the names of the shards.
        configs: Configurations that hold the utterances.
        splits: Split in each scheme, None where a scheme does not hold the utterances.
        rows: Utterances, each with the label that it is stored under.
    """

    name: str
    configs: tuple[str, ...]
    splits: tuple[str | None, ...]
    rows: Sequence[tuple[Utterance, str]]

    def shards(self, utterances_per_shard: int) -> list[Shard]:
        """Divide the utterances into shards."""
        starts = range(0, len(self.rows), utterances_per_shard)
        names = (f"{self.name}-{number:05d}-of-{len(starts):05d}.parquet" for number in range(len(starts)))
        return [Shard(name, self.rows[first : first + utterances_per_shard]) for name, first in zip(names, starts)]


def group_name(shard: str) -> str:
    """Return the name of the group that a shard's file belongs to."""
    return shard.rsplit("-", 3)[0]


@dataclass(frozen=True)
class Plan:
    """Division of a corpus into groups.

    Attributes:
        configs: Configurations; the first holds every utterance.
        schemes: Split schemes; the first is the default.
        groups: Groups of utterances, in the order of their shards.
        rejects: Utterances that are left out before any audio is read.
        num_read: Number of utterances in the corpus.
        positions: Place of each utterance in the corpus as it is read, by identifier.
    """

    configs: tuple[str, ...]
    schemes: tuple[str, ...]
    groups: Sequence[Group]
    rejects: Sequence[Reject]
    num_read: int
    positions: Mapping[str, int]

    def config_names(self) -> dict[str, tuple[str, str]]:
        """Return the configurations of the folder: name -> configuration of the corpus, and scheme.

        The name is that of the corpus's configuration; schemes other than the first are appended.
        """
        return {
            config if scheme == self.schemes[0] else f"{config}_{scheme}": (config, scheme)
            for scheme in self.schemes
            for config in self.configs
        }

    def groups_of(self, config: str, scheme: str) -> dict[str, list[Group]]:
        """Return the groups of each split of a configuration."""
        position = self.schemes.index(scheme)
        held = [group for group in self.groups if config in group.configs]
        found = {split: [group for group in held if group.splits[position] == split] for split in SPLITS}
        return {split: groups for split, groups in found.items() if groups}

    def left_out(self, rejected: Collection[str] = ()) -> dict[str, dict[str, int]]:
        """Return, by configuration and emotion, the number of stored utterances that the configuration leaves out.

        Args:
            rejected: Identifiers of utterances that could not be stored.
        """
        stored = {row.id: row for group in self.groups for row, _ in group.rows if row.id not in rejected}
        counts = {}
        for config in self.configs:
            held = {row.id for group in self.groups if config in group.configs for row, _ in group.rows}
            left_out = Counter(row.emotion for name, row in stored.items() if name not in held)
            if left_out:
                counts[config] = dict(left_out.most_common())
        return counts

    def fingerprint(self) -> str:
        """Return a hash of everything that the plan says."""
        digest = hashlib.sha256(repr((self.configs, self.schemes, self.rejects)).encode())
        for group in self.groups:
            digest.update(repr((group.name, group.configs, group.splits)).encode())
            for row in group.rows:
                digest.update(repr(row).encode())
        return digest.hexdigest()


def make_plan(builders: Sequence[CorpusBuilder], data_dir: Path, schemes: Sequence[str] | None = None) -> Plan:
    """Read a corpus and divide it.

    Args:
        builders: Builders of the configurations to write; the first must hold every utterance of the others.
        data_dir: Folder of the corpus, resolved.
        schemes: Split schemes to write; by default all that the corpus has.

    Raises:
        CorpusDataError: The folder does not hold that corpus, or no utterance can be used.
        ValueError: A scheme is unknown.
    """
    first = builders[0]
    utterances, rejects = first.read(data_dir)
    for builder in builders:
        builder.resolve_classes(utterances)
    num_read = len(utterances) + len(rejects)
    if not utterances:
        raise nothing_left(first.name, rejects)
    known = first.split_schemes(utterances)
    schemes = tuple(schemes or known)
    if unknown := [scheme for scheme in schemes if scheme not in known]:
        raise ValueError(f"split scheme {unknown[0]!r}; this {first.name} has {', '.join(known)}")
    splits = list(zip(*(first.divide(utterances, scheme) for scheme in schemes)))

    grouped: dict[tuple, list[tuple[Utterance, str]]] = defaultdict(list)
    for utterance, sides in zip(utterances, splits):
        labels = {builder.config.name: builder.label_of(utterance) for builder in builders}
        if not any(sides):
            rejects.append(Reject(utterance.id, utterance.path, "its split is not given", by_rule=True))
        elif (main := labels[first.config.name]) is None:
            rejects.append(Reject(utterance.id, utterance.path, f"{utterance.emotion} is left out", by_rule=True))
        else:
            # Configurations that agree on the label share a row.
            for label in dict.fromkeys([main, *filter(None, labels.values())]):
                configs = tuple(config for config, held in labels.items() if held == label)
                grouped[sides, configs].append((utterance, label))
    return Plan(
        configs=tuple(builder.config.name for builder in builders),
        schemes=schemes,
        groups=_named(grouped, len(builders)),
        rejects=rejects,
        num_read=num_read,
        positions={row.id: position for position, row in enumerate(utterances)},
    )


def nothing_left(corpus: str, rejects: Sequence[Reject]) -> CorpusDataError:
    """Return the error for a corpus without an utterance that can be used."""
    return CorpusDataError(f"{corpus}: none of {len(rejects):,} utterances can be used: {reasons_line(rejects)}")


def _named(grouped: dict, num_configs: int) -> list[Group]:
    """Return groups in order, named like `train-all`, `train-default`, or `train-all-2` for a further division."""
    groups, used = [], defaultdict(int)
    for sides, configs in sorted(grouped, key=lambda key: ([side or "" for side in key[0]], key[1])):
        stem = f"{next(filter(None, sides))}-{'all' if len(configs) == num_configs else '-'.join(configs)}"
        used[stem] += 1
        name = stem if used[stem] == 1 else f"{stem}-{used[stem]}"
        groups.append(Group(name, configs, sides, grouped[sides, configs]))
    return groups
