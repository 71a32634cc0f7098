"""Results of evaluations on a model card: paragraphs, and entries of the Hub's model index."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from ...escaping import code, one_line, plain
from ...evaluation.multi_label_report import label_table, multi_label_note, multi_label_table
from ...evaluation.rating_report import rating_note, rating_table
from ...evaluation.report import (
    adversarial_table,
    class_note,
    classes_table,
    groups_table,
    speaker_normalization_note,
    summary_table,
)
from ...evaluation.text_tables import size_words
from ...evaluation.wer import rates_table
from ...wording import count_left_out


#: Scores of classification, and for each the metric of the Hub, its arguments, and its name for people.
METRICS = {
    "weighted_accuracy": ("accuracy", None, "WA (accuracy)"),
    "unweighted_accuracy": ("recall", {"average": "macro"}, "UA (mean recall of the classes)"),
}
#: The same of several classes for each clip. The Hub has no metric of mean average precision.
MULTI_LABEL_METRICS = {
    "macro_f1": ("f1", {"average": "macro"}, "macro F1"),
    "micro_f1": ("f1", {"average": "micro"}, "micro F1"),
    "mean_average_precision": ("mean_average_precision", None, "mAP"),
}
RATES = {"wer": "WER", "cer": "CER"}


def eval_results(task: str, results: Mapping[str, Any], by_utterance: bool = False) -> Iterator[EvalResult]:
    """Yield the scores of one evaluation for the model index.

    Args:
        task: Task of the model, such as "audio-classification".
        results: Contents of `results.json`.
        by_utterance: Whether to say that utterances were scored, and not people.
    """
    if "test_sets" in results:
        for name, rates in results["test_sets"].items():
            corpus, _, split = one_line(name).rpartition(" ")
            for rate, title in RATES.items():
                yield _eval_result(task, corpus, split, rate, title, rates[rate]["value"])
        return
    context = results.get("context") or {}
    corpus, split = (one_line(context.get(key) or "unknown") for key in ("dataset", "split"))
    by_speaker = (results.get("speaker_normalization") or {}).get("statistics", "corpus") != "corpus"
    for metric, arguments, title, value in _scores(results):
        title += ", by the speakers' own statistics" if by_speaker else ""
        title += ", by utterance" if by_utterance else ""
        yield _eval_result(task, corpus, split, metric, title, value, arguments)


def _scores(results: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str] | None, str, float]]:
    """Yield metric of the Hub, its arguments, its name for people and its value."""
    kind = results.get("problem_type")
    if kind != "regression":
        for score, names in (MULTI_LABEL_METRICS if kind else METRICS).items():
            yield (*names, results["metrics"][score])
    if ratings := results if kind == "regression" else results.get("ratings"):
        for name, scores in ratings["metrics"]["dimensions"].items():
            # The Hub has metrics of neither concordance nor one dimension: their names are free.
            for score in ("ccc", "rmse"):
                if scores[score] is not None:
                    yield score, None, f"{score.upper()} of {one_line(name)}", scores[score]


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


def result_paragraphs(results: Mapping[str, Any]) -> list[str]:
    """Return the paragraphs of a card on one evaluation, Markdown. Names are shown as text.

    Args:
        results: Contents of `results.json`.
    """
    context = results.get("context") or {}
    if "test_sets" in results:
        return _recognition_paragraphs(results, context)
    dataset = Path(one_line(context.get("dataset") or "unknown data")).name
    size = size_words(results)
    if results.get("num_unrated"):
        size += f"; {count_left_out(results['num_unrated'], 'utterance', 'without ratings')}"
    parts = [
        f"### {code(dataset)}, split {code(context.get('split') or 'unknown')}",
        *([f"**{plain(context['warning'])}**"] if context.get("warning") else []),
        f"{size}.",
    ]
    kinds = {"regression": _rating_paragraphs, "multi_label_classification": _multi_label_paragraphs}
    parts += kinds.get(results.get("problem_type"), _class_paragraphs)(results)
    if "ratings" in results:
        parts += _rating_paragraphs(results["ratings"])
    if "speaker_normalization" in results:
        parts.append(plain(speaker_normalization_note(results["speaker_normalization"])))
    if "adversarial" in results:
        parts += ["Clips as they are, and their FGSM versions:", adversarial_table(results["adversarial"])]
    return parts


def _recognition_paragraphs(results: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    decoding = f" Decoding: {code(context['decoding'])}." if context.get("decoding") else ""
    return [
        "### Error rates",
        rates_table({code(name): part for name, part in results["test_sets"].items()}),
        "In per cent. Brackets hold 95 % bootstrap intervals that resample speakers (utterances, where speakers are "
        f"unknown). SER is the share of utterances with an error.{decoding}",
    ]


def _class_paragraphs(results: Mapping[str, Any]) -> list[str]:
    shown = {
        **results,
        "labels": [code(label) for label in results["labels"]],
        "groups": {
            plain(attribute): [{**scores, "value": code(scores["value"])} for scores in group]
            for attribute, group in (results.get("groups") or {}).items()
        },
    }
    parts = [
        summary_table(shown),
        class_note(results),
        classes_table(shown),
    ]
    groups = groups_table(shown)
    return [*parts, groups] if groups else parts


def _multi_label_paragraphs(results: Mapping[str, Any]) -> list[str]:
    shown = {**results, "labels": [code(label) for label in results["labels"]]}
    return [multi_label_table(shown), plain(multi_label_note(results)), label_table(shown)]


def _rating_paragraphs(results: Mapping[str, Any]) -> list[str]:
    baseline = results["baseline"]
    scores = {code(name): baseline["metrics"]["dimensions"][name] for name in results["dimensions"]}
    shown = {
        **results,
        "dimensions": [code(name) for name in results["dimensions"]],
        "intervals": {
            "mean_ccc": results["intervals"]["mean_ccc"],
            **{code(name): results["intervals"][name] for name in results["dimensions"]},
        },
        "baseline": {**baseline, "metrics": {"dimensions": scores}},
    }
    return [rating_table(shown), plain(rating_note(results))]
