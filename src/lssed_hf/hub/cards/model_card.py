"""`lssed-hf card`: the model card of a saved model, from what its training and its evaluations recorded.

Every training writes one. This command writes it again, with a licence, a description or further evaluations, and it
writes the cards of the systems that a benchmark recorded. What is not recorded is said to be unknown.
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
from .escaping import code, one_line, plain
from .facts import CardFacts, read_facts, terms


#: In the YAML of a card: whether the licence of the data forbids redistribution. `lssed-hf push` asks for it.
FORBIDDEN = "training_data_forbids_redistribution"
#: Scores of classification -> metric of the Hub, its arguments, and its name for people.
METRICS = {
    "weighted_accuracy": ("accuracy", None, "WA (accuracy)"),
    "unweighted_accuracy": ("recall", {"average": "macro"}, "UA (mean recall of the classes)"),
}
RATES = {"wer": "WER", "cer": "CER"}
UNKNOWN_LICENSE = "no licence is named, so none is granted until whoever trained them names one."


def write_model_card(folder: str | os.PathLike, *, results: Sequence[str | os.PathLike] = (), **facts: Any) -> Path:
    """Write `README.md` of a saved model's folder, in place of an earlier one.

    Args:
        folder: with `config.json` or `svm.json`, see `read_facts`.
        results: further folders that `lssed-hf evaluate` wrote.
        facts: fields of `CardFacts`, which take the place of what the folder says.

    Returns:
        The path of the card.

    Raises:
        FileNotFoundError, ValueError: see `read_facts`.
    """
    card = model_card(dataclasses.replace(read_facts(folder, results), **facts))
    return save_card(card, Path(folder, "README.md"))


def model_card(facts: CardFacts) -> ModelCard:
    """The card: YAML for the Hub with a model index, and prose by `model_cards/template.md`.

    Names, labels and prose in the facts are shown as they are, whatever markup they hold.
    """
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string(template_path().read_text(encoding="utf-8"))
    return ModelCard(template.render(card_data=_metadata(facts).to_yaml(), **_prose(facts)))


def template_path() -> Path:
    """Of the template: beside this module where the package is installed, else in the repository."""
    installed = Path(__file__).with_name("model_card_template.md")
    return installed if installed.is_file() else Path(__file__).parents[4] / "model_cards" / "template.md"


def save_card(card: ModelCard, path: Path) -> Path:
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
        context = results.get("context") or {}
        if "test_sets" in results:
            for name, part in results["test_sets"].items():
                corpus, _, split = one_line(name).rpartition(" ")
                for rate, title in RATES.items():
                    found.append(_eval_result(facts.task, corpus, split, rate, title, part[rate]["value"]))
        else:
            where = (one_line(context.get(key) or "unknown") for key in ("dataset", "split"))
            corpus, split = where
            for score, (metric, arguments, title) in METRICS.items():
                value = results["metrics"][score]
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
    recognition = facts.task == "automatic-speech-recognition"
    corpora = [_corpus(corpus) for corpus in facts.corpora]
    licenses = dict.fromkeys(
        f"{code(corpus['name'])}: {plain(terms(corpus)['license'] or 'unknown')}" for corpus in facts.all_corpora
    )
    data_license = "; ".join(licenses) or "unknown"
    if facts.start is not None and facts.start.get("name") and facts.start.get("corpora") is None:
        data_license += "; of what the weights to start from were trained on: unknown"
    if any(teacher.get("corpora") is None for teacher in facts.teachers):
        data_license += "; of what its teachers were trained on: unknown"
    if facts.num_unlabelled:
        data_license += "; of the clips without labels: unknown"
    groups = [group for results in facts.results for group in (results.get("groups") or {}).values() if group]
    return {
        "title": plain(facts.name),
        "summary": _summary(facts),
        "description": plain(facts.description),
        "notes": [plain(note) for note in facts.notes],
        "depression": facts.depression,
        "recognition": recognition,
        "saved": facts.saved,
        "own_format": facts.own_format,
        "remote_code": facts.remote_code,
        "wants_speaker": facts.wants_speaker,
        "labels": ", ".join(map(code, facts.labels)),
        "corpora": corpora,
        "start": " ".join([_start(facts), *_teachers(facts)]),
        "splits": _splits(facts),
        "leakage": _leakage(facts),
        "results": _results(facts),
        "groups_known": bool(groups),
        "settings": facts.settings
        and markdown_table(
            ["setting", "value"], [[code(name), code(_shown(value))] for name, value in facts.settings.items()], 2
        ),
        "settings_note": facts.settings_note,
        "versions": facts.versions
        and "Versions: "
        + ", ".join(f"{plain(name)} {plain(version)}" for name, version in facts.versions.items())
        + ".",
        "license": plain(facts.license) if facts.license else UNKNOWN_LICENSE,
        "data_license": f"{data_license}. It may bear on models trained on them: read it before you share weights.",
        "citation": _citation(facts),
    }


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
    text = f"Training started from {code(facts.start['name'])}, "
    earlier = facts.start.get("corpora")
    if earlier is None:
        return f"{text}whose training data are unknown."
    names = ", ".join(dict.fromkeys(code(corpus["name"]) for corpus in earlier))
    return f"{text}which had been trained on {names}." if names else f"{text}which had random weights."


def _teachers(facts: CardFacts) -> list[str]:
    """Sentences on whom it learnt from, none where labels were all."""
    sentences = []
    for teacher in facts.teachers:
        earlier = teacher.get("corpora")
        names = ", ".join(dict.fromkeys(code(corpus["name"]) for corpus in earlier or ()))
        known = f"which had been trained on {names}" if names else "whose training data are unknown"
        sentences.append(f"It also learnt from the answers of {code(teacher['name'])}, {known}.")
    if facts.num_unlabelled:
        sentences.append(f"Of {facts.num_unlabelled:,} more clips, whose source is not recorded, they alone told it.")
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
                    "people whom the model has not heard.**"
                )
        if not any(shared.values()) and None not in shared.values():
            lines.append("No speaker is in two splits.")
    elif schemes and set(schemes) == {"speaker"}:
        lines.append("The split scheme `speaker` puts no speaker into two splits. The run did not count them.")
    else:
        lines.append("Whether splits share speakers is unknown: it was not recorded.")
    earlier = (facts.start or {}).get("corpora")
    if (facts.start or {}).get("name") and earlier != []:
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
            plain(attribute): [{**part, "value": code(part["value"])} for part in group]
            for attribute, group in (results.get("groups") or {}).items()
        },
    }
    size = f"{results['num_utterances']:,} utterances"
    size += "" if results["num_speakers"] is None else f", {results['num_speakers']:,} speakers"
    source = "the training set" if results["majority_from"] == "training" else "the test set"
    dataset = Path(one_line(context.get("dataset") or "unknown data")).name
    parts = [
        f"### {code(dataset)}, split {code(context.get('split') or 'unknown')}",
        f"{size}.",
        summary_table(shown),
        f"WA is accuracy, UA the mean recall of the classes; macro F1 is {results['metrics']['macro_f1']:.3f}. "
        f"Brackets hold 95 % bootstrap intervals that resample {results['interval_clusters']}s; a single one gives "
        f"none. The second row always answers with the largest class of {source}.",
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
    return f"LSSED is the paper that this package follows, whatever the data.\n\n```bibtex\n{text}\n```"
