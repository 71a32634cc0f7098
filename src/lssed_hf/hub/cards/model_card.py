"""Model card of a saved model, from the records of its training and its evaluations.

Every training writes one. `lssed-hf card` writes it again, with a licence, a description or further evaluations. It
also writes the cards of the systems that a benchmark recorded. A card says which facts are unknown.
"""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from ...corpora import corpus_builder
from ...escaping import code, one_line, plain
from ...evaluation.report import (
    adversarial_table,
    classes_table,
    groups_table,
    speaker_normalization_note,
    summary_table,
)
from ...evaluation.text_tables import markdown_table
from ...evaluation.wer import rates_table
from ...files import replacing
from ...inference.classifiers.svm import MODEL_TYPE
from .facts import CardFacts, read_facts, terms


#: Key in the YAML of a card: whether the licence of the data forbids redistribution. `lssed-hf push` reads it.
FORBIDDEN = "training_data_forbids_redistribution"
#: Scores of classification, and for each the metric of the Hub, its arguments, and its name for people.
METRICS = {
    "weighted_accuracy": ("accuracy", None, "WA (accuracy)"),
    "unweighted_accuracy": ("recall", {"average": "macro"}, "UA (mean recall of the classes)"),
}
RATES = {"wer": "WER", "cer": "CER"}
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
    eval_results = _eval_results(facts)
    data = ModelCardData(
        license=facts.license or "unknown",
        library_name=None if facts.own_format else "transformers",
        pipeline_tag=facts.task,
        tags=tags,
        base_model=one_line(start["name"]) if start.get("name") and not start.get("local") else None,
        datasets=[one_line(name) for name in hub_sets] or None,
        metrics=sorted({result.metric_type for result in eval_results}) or None,
        model_name=one_line(facts.name),
        eval_results=eval_results or None,
    )
    data[FORBIDDEN] = any(terms(corpus)["forbids"] for corpus in facts.all_corpora)
    return data


def _eval_results(facts: CardFacts) -> list[EvalResult]:
    found = []
    for results in facts.results:
        if "test_sets" in results:
            for name, rates in results["test_sets"].items():
                corpus, _, split = one_line(name).rpartition(" ")
                for rate, title in RATES.items():
                    found.append(_eval_result(facts.task, corpus, split, rate, title, rates[rate]["value"]))
        else:
            context = results.get("context") or {}
            corpus, split = (one_line(context.get(key) or "unknown") for key in ("dataset", "split"))
            by_speaker = (results.get("speaker_normalization") or {}).get("statistics", "corpus") != "corpus"
            for score, (metric, arguments, title) in METRICS.items():
                value = results["metrics"][score]
                title += ", by the speakers' own statistics" if by_speaker else ""
                title += ", by utterance" if facts.depression else ""
                found.append(_eval_result(facts.task, corpus, split, metric, title, value, arguments))
    return found


def _eval_result(task, corpus, split, metric, title, value, arguments=None) -> EvalResult:
    return EvalResult(
        task_type=task,
        task_name=task.replace("-", " ").capitalize(),
        dataset_type=Path(corpus).name,
        dataset_name=Path(corpus).name,
        dataset_split=split,
        metric_type=metric,
        metric_name=title,
        metric_value=value,
        metric_args=arguments,
    )


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
        "wants_speaker": facts.wants_speaker,
        "suits_speakers": facts.suits_speakers,
        "labels": ", ".join(map(code, facts.labels)),
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


def _data_license(facts: CardFacts) -> str:
    licenses = [
        f"{code(corpus['name'])}: {plain(terms(corpus)['license'] or 'unknown')}" for corpus in facts.all_corpora
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
        text += f", trained on {', '.join(code(corpus['name']) for corpus in facts.corpora)}"
    return f"{text}."


def _corpus(corpus: Mapping[str, Any]) -> dict[str, Any]:
    known = terms(corpus)
    name = code(corpus["name"])
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
    names = ", ".join(dict.fromkeys(code(corpus["name"]) for corpus in model.get("corpora") or ()))
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
        parts += _recognition_results(results) if "test_sets" in results else _class_results(results)
    return "\n\n".join(parts)


def _share(share: Mapping[str, Any]) -> str:
    if not share["trials"]:
        return "–"
    return f"{share['successes']} of {share['trials']} [{share['low']:.2f}, {share['high']:.2f}]"


def _recognition_results(results: Mapping[str, Any]) -> list[str]:
    context = results.get("context") or {}
    decoding = f" Decoding: {code(context['decoding'])}." if context.get("decoding") else ""
    return [
        "### Error rates",
        rates_table({code(name): part for name, part in results["test_sets"].items()}),
        "In per cent. Brackets hold 95 % bootstrap intervals that resample speakers (utterances, where speakers are "
        f"unknown). SER is the share of utterances with an error.{decoding}",
    ]


def _class_results(results: Mapping[str, Any]) -> list[str]:
    context = results.get("context") or {}
    shown = {
        **results,
        "labels": [code(label) for label in results["labels"]],
        "groups": {
            plain(attribute): [{**scores, "value": code(scores["value"])} for scores in group]
            for attribute, group in (results.get("groups") or {}).items()
        },
    }
    size = f"{results['num_utterances']:,} utterances"
    size += "" if results["num_speakers"] is None else f", {results['num_speakers']:,} speakers"
    source = "the training set" if results["majority_from"] == "training" else "the test set"
    dataset = Path(one_line(context.get("dataset") or "unknown data")).name
    parts = [
        f"### {code(dataset)}, split {code(context.get('split') or 'unknown')}",
        *([f"**{plain(context['warning'])}**"] if context.get("warning") else []),
        f"{size}.",
        summary_table(shown),
        f"WA is accuracy, UA the mean recall of the classes; macro F1 is {results['metrics']['macro_f1']:.3f}. "
        f"Brackets hold 95 % bootstrap intervals that resample {results['interval_clusters']}s; a single one gives "
        f"none. The second row always predicts the largest class of {source}.",
        classes_table(shown),
    ]
    if any(shown["groups"].values()):
        parts.append(groups_table(shown))
    if "speaker_normalization" in results:
        parts.append(plain(speaker_normalization_note(results["speaker_normalization"])))
    if "adversarial" in results:
        parts += ["Clips as they are, and their FGSM versions:", adversarial_table(results["adversarial"])]
    return parts


def _citation(facts: CardFacts) -> str:
    entries = [corpus_builder("lssed").CITATION]
    entries += [terms(corpus)["citation"] for corpus in facts.all_corpora]
    text = "\n\n".join(dict.fromkeys(filter(None, entries)))
    return f"This package follows the LSSED paper, on other data too.\n\n```bibtex\n{text}\n```"
