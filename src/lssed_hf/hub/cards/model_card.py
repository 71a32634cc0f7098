"""Model card of a saved model, from the records of its training and its evaluations.

Every training writes one. `lssed-hf card` writes it again, with a licence, a description or further evaluations. It
also writes the cards of the systems that a benchmark recorded. A card says which facts are unknown.
"""

import dataclasses
import importlib.metadata
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import ModelCard, ModelCardData

from ...corpora import corpus_builder
from ...escaping import code, one_line, plain
from ...evaluation.text_tables import markdown_table
from ...files import replacing
from ...inference.classifiers.svm import MODEL_TYPE
from .facts import CardFacts, read_facts, terms
from .results import eval_results, result_paragraphs


#: Key in the YAML of a card: whether the licence of the data forbids redistribution. `lssed-hf push` reads it.
FORBIDDEN = "training_data_forbids_redistribution"
UNKNOWN_LICENSE = "no licence is named, so none is granted until whoever trained them names one."


def write_model_card(folder: str | os.PathLike, *, results: Sequence[str | os.PathLike] = (), **facts: Any) -> Path:
    """Write the card of a saved model, `README.md` in its folder, in place of an earlier one.

    Args:
        folder: Folder with `config.json` or `svm.json`, see `read_facts`.
        results: Further folders that `lssed-hf evaluate` wrote.
        facts: Fields of `CardFacts`, which replace those that the folder records.

    Returns:
        Path of the card.

    Raises:
        FileNotFoundError: A file is missing, see `read_facts`.
        ValueError: A file cannot be read.
    """
    card = model_card(dataclasses.replace(read_facts(folder, results), **facts))
    return save_card(card, Path(folder, "README.md"))


def model_card(facts: CardFacts) -> ModelCard:
    """Make a card: YAML for the Hub with a model index, and prose by `model_cards/template.md`.

    Markup in names, labels and prose of the facts is shown as text.
    """
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(template_path().read_text(encoding="utf-8"))
    return ModelCard(template.render(card_data=_metadata(facts).to_yaml(), **_prose(facts)))


def template_path() -> Path:
    """Return the path of the template: beside this module where the package is installed, else in the repository."""
    installed = Path(__file__).with_name("model_card_template.md")
    return installed if installed.is_file() else Path(__file__).parents[4] / "model_cards" / "template.md"


def save_card(card: ModelCard, path: Path) -> Path:
    """Write a card to a file, and return its path."""
    with replacing(path) as temporary:
        temporary.write_text(str(card), encoding="utf-8")
    return path


def _metadata(facts: CardFacts) -> ModelCardData:
    start = facts.start or {}
    hub_sets = [corpus["name"] for corpus in facts.corpora if not corpus.get("corpus") and not corpus.get("local")]
    recognition = facts.task == "automatic-speech-recognition"
    tags = ["audio", "lssed-hf", "speech-recognition" if recognition else "speech-emotion-recognition"]
    if facts.depression:
        tags[-1] = "depression-detection"
    if facts.model_type:
        tags.append(one_line(facts.model_type))
    tags += map(one_line, facts.tags)
    scores = [score for results in facts.results for score in eval_results(facts.task, results, facts.depression)]
    data = ModelCardData(
        license=facts.license or "unknown",
        library_name=None if facts.own_format else "transformers",
        pipeline_tag=facts.task,
        tags=tags,
        base_model=one_line(start["name"]) if start.get("name") and not start.get("local") else None,
        datasets=[one_line(name) for name in hub_sets] or None,
        metrics=sorted({score.metric_type for score in scores}) or None,
        model_name=one_line(facts.name),
        eval_results=scores or None,
    )
    data[FORBIDDEN] = any(terms(corpus)["forbids"] for corpus in facts.all_corpora)
    return data


def _prose(facts: CardFacts) -> dict[str, Any]:
    """Return the values of the template's variables."""
    settings = [[code(name), code(_shown(value))] for name, value in (facts.settings or {}).items()]
    versions = ", ".join(f"{plain(name)} {plain(version)}" for name, version in (facts.versions or {}).items())
    return {
        "title": plain(facts.name),
        "summary": _summary(facts),
        "description": plain(facts.description),
        "notes": [plain(note) for note in facts.notes],
        "depression": facts.depression,
        "recognition": facts.task == "automatic-speech-recognition",
        "saved": facts.saved,
        "own_format": facts.own_format,
        "feature_set": facts.feature_set,
        "remote_code": facts.remote_code,
        "requirements": _requirements(facts),
        "wants_speaker": facts.wants_speaker,
        "suits_speakers": facts.suits_speakers,
        "labels": ", ".join(map(code, facts.labels)),
        "several": facts.problem_type == "multi_label_classification",
        "regression": facts.problem_type == "regression",
        "ratings": _ratings(facts),
        "corpora": [_corpus(corpus) for corpus in facts.corpora],
        "start": " ".join([_start(facts), *_teachers(facts)]),
        "splits": _splits(facts),
        "leakage": _leakage(facts),
        "results": _results(facts),
        "groups_known": any(group for results in facts.results for group in (results.get("groups") or {}).values()),
        "settings": markdown_table(["setting", "value"], settings, 2) if settings else "",
        "settings_note": facts.settings_note,
        "versions": f"Versions: {versions}." if versions else "",
        "license": plain(facts.license) if facts.license else UNKNOWN_LICENSE,
        "data_license": _data_license(facts),
        "citation": _citation(facts),
    }


def _requirements(facts: CardFacts) -> str:
    """Return the packages that the code in the folder imports, with the bounds of this package, for pip."""
    names = {"transformers", "torch", "numpy", "scipy", *(["timm"] if facts.model_type == "ser_cnn" else [])}
    try:
        bounds = importlib.metadata.requires("lssed-hf") or ()
    except importlib.metadata.PackageNotFoundError:  # its files were copied, and not installed
        bounds = sorted(names)
    found = [bound for bound in bounds if "extra" not in bound and re.match(r"[\w-]+", bound)[0] in names]
    return " ".join(f"'{bound}'" for bound in found)


def _data_license(facts: CardFacts) -> str:
    licenses = [
        f"{_corpus_name(corpus)}: {plain(terms(corpus)['license'] or 'unknown')}" for corpus in facts.all_corpora
    ]
    licenses = list(dict.fromkeys(licenses)) or ["unknown"]
    if facts.start and facts.start.get("name") and facts.start.get("corpora") is None:
        licenses.append("training data of the weights to start from: unknown")
    if any(teacher.get("corpora") is None for teacher in facts.teachers):
        licenses.append("training data of the teachers: unknown")
    if facts.num_unlabelled:
        licenses.append("clips without labels: unknown")
    return f"{'; '.join(licenses)}. It may bear on models trained on them: read it before you share weights."


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _summary(facts: CardFacts) -> str:
    kind = {"automatic-speech-recognition": "A speech recogniser"}.get(facts.task, "An audio classifier")
    if facts.model_type:
        kind += f" of the type {code(facts.model_type)}"
    number = "unknown number of" if facts.num_parameters is None else f"{facts.num_parameters:,}"
    text = f"{kind} with {'an ' if facts.num_parameters is None else ''}{number} parameters"
    if facts.corpora:
        text += f", trained on {', '.join(map(_corpus_name, facts.corpora))}"
    return f"{text}."


def _corpus_name(corpus: Mapping[str, Any]) -> str:
    return code(corpus["name"]) + (" (synthetic speech in its layout)" if corpus.get("synthetic") else "")


def _corpus(corpus: Mapping[str, Any]) -> dict[str, Any]:
    known = terms(corpus)
    name = _corpus_name(corpus)
    if corpus.get("config"):
        name += f", configuration {code(corpus['config'])}"
    if corpus.get("split_scheme"):
        name += f", split scheme {code(corpus['split_scheme'])}"
    licence = known["license"] and plain(known["license"])
    return {**known, "name": name, "license": licence}


def _start(facts: CardFacts) -> str:
    if facts.start is None:
        return "What training started from is not recorded."
    if facts.model_type == MODEL_TYPE:
        return "Support vector machines have no weights to start from."
    if facts.start.get("name") is None:
        return "Training started from random weights."
    if facts.start.get("corpora") == []:
        return f"Training started from {code(facts.start['name'])}, which had random weights."
    return f"Training started from {_earlier_model(facts.start)}."


def _earlier_model(model: Mapping[str, Any]) -> str:
    """Return the name of an earlier model with the names of its training data."""
    names = ", ".join(dict.fromkeys(map(_corpus_name, model.get("corpora") or ())))
    return f"{code(model['name'])}, " + (
        f"which had been trained on {names}" if names else "whose training data are unknown"
    )


def _teachers(facts: CardFacts) -> list[str]:
    """Return the sentences on teachers and on their clips without labels."""
    sentences = [f"It also learnt from the answers of {_earlier_model(teacher)}." for teacher in facts.teachers]
    if facts.num_unlabelled:
        sentences.append(
            f"Of {facts.num_unlabelled:,} more clips, whose source is not recorded, it learnt these alone."
        )
    return sentences


def _splits(facts: CardFacts) -> str:
    if not facts.splits:
        return ""
    rows = []
    for use, split in facts.splits.items():
        speakers = "unknown" if split.get("num_speakers") is None else f"{split['num_speakers']:,}"
        labels = split.get("labels") or {}
        counts = ", ".join(f"{code(name)} {count:,}" for name, count in labels.items()) or "–"
        rows.append([plain(use), counts, f"{split['num_utterances']:,}", speakers])
    return markdown_table(["split", "clips by class", "utterances", "speakers"], rows, 2)


def _ratings(facts: CardFacts) -> str:
    """Return a table of the dimensions and of the ratings that they were learnt from; empty without any."""
    rows = [
        [
            code(name),
            f"{one['min']:g} to {one['max']:g}",
            f"{one['mean']:.2f}",
            f"{one['std']:.2f}",
            f"{one['num_clips']:,}",
        ]
        for name, one in (facts.ratings or {}).items()
    ]
    header = ["dimension", "ratings in training", "mean", "standard deviation", "clips"]
    return markdown_table(header, rows) if rows else ""


def _leakage(facts: CardFacts) -> str:
    """Return the list of ways in which training may have met the test set."""
    lines = []
    if facts.selected_on_test:
        lines.append("**Epochs were chosen on the split that is scored: the scores are too high.**")
    shared = facts.shared_speakers
    schemes = [corpus.get("split_scheme") for corpus in facts.corpora]
    if shared:
        for pair, number in shared.items():
            first, second = map(plain, pair.split(", "))
            if number is None:
                lines.append(f"Whether speakers of {first} are in {second} too is unknown: not all have a name.")
            elif number:
                lines.append(
                    f"**{number:,} speakers are in both {first} and {second}: scores on {second} are too high for "
                    "people outside its training.**"
                )
        if not any(shared.values()) and None not in shared.values():
            lines.append("No speaker is in two splits.")
    elif schemes and set(schemes) == {"speaker"}:
        lines.append("The split scheme `speaker` puts no speaker into two splits. The run did not count them.")
    else:
        lines.append("Whether splits share speakers is unknown: it was not recorded.")
    if facts.start and facts.start.get("name") and facts.start.get("corpora") != []:
        lines.append("Whether the weights to start from have met speakers of the test split is unknown.")
    if facts.teachers:
        clips = " and the clips without labels" if facts.num_unlabelled else ""
        lines.append(f"Whether the teachers{clips} have met speakers of the test split is unknown.")
    return "\n".join(f"- {line}" for line in lines)


def _results(facts: CardFacts) -> str:
    parts = []
    if facts.people:
        rows = []
        for decision, shares in facts.people.items():
            rule = {"mean": "mean probability", "vote": "majority vote"}[decision]
            rows.append([rule, *(_share(shares[name]) for name in ("right", "found", "cleared"))])
        parts += [
            "### People",
            markdown_table(["decision", "right", "depressed found", "controls cleared"], rows),
            "Participants, each decided on at a half by all utterances, with exact (Clopper-Pearson) 95 % intervals. "
            "The tables below count utterances.",
        ]
    for results in facts.results:
        parts += result_paragraphs(results)
    return "\n\n".join(parts)


def _share(share: Mapping[str, Any]) -> str:
    if not share["trials"]:
        return "–"
    return f"{share['successes']} of {share['trials']} [{share['low']:.2f}, {share['high']:.2f}]"


def _citation(facts: CardFacts) -> str:
    entries = [corpus_builder("lssed").CITATION]
    entries += [terms(corpus)["citation"] for corpus in facts.all_corpora]
    text = "\n\n".join(dict.fromkeys(filter(None, entries)))
    return f"This package follows the LSSED paper, on other data too.\n\n```bibtex\n{text}\n```"
