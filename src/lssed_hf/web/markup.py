"""HTML of the page: facts, scores, messages and pictures, readable by screen readers."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from itertools import groupby

from matplotlib.figure import Figure

from ..inference.classifiers.outputs import Outputs
from ..inference.timeline.scoring import TimelineSegment
from .analysis import Features
from .model_facts import NO_SCORE, ModelFacts
from .recordings import clock


#: Placeholder for the scores before the first recording.
NO_RESULT = '<p class="faint">The result appears here.</p>'
_MOST_STRETCHES = 12  # read aloud by a screen reader


def facts_markup(name: str, facts: ModelFacts, num_labels: int) -> str:
    """Return a model's name, score and caveat; UA is defined where it appears."""
    sentences = [facts.caveat]
    if facts.score.startswith("UA "):
        sentences.append(
            f"UA (unweighted accuracy) is the share of clips recognised, averaged over the classes; guessing gives "
            f"{1 / num_labels:.2f}."
        )
    score = "No score is recorded for it." if facts.score == NO_SCORE else f"Tested: {facts.score}."
    return (
        f"<p><strong>Model: {html.escape(name)}.</strong> {html.escape(score)}</p>"
        f'<p class="faint">{html.escape(" ".join(sentences))}</p>'
    )


def scores_markup(scores: Sequence[tuple[str, float]], dimensions: Mapping[str, float] | None = None) -> str:
    """Return horizontal bars for labels and probabilities, and a list of the values of dimensions.

    Args:
        scores: Labels and probabilities, the largest first; the percentage is at the end of each bar.
        dimensions: Value of each dimension, in the scale of the model's corpus.
    """
    values = "".join(
        f"<li>{html.escape(name)}: <strong>{value:.2f}</strong></li>" for name, value in (dimensions or {}).items()
    )
    values = f'<ul aria-label="Dimensions, in the scale of the corpus">{values}</ul>' if values else ""
    if not scores:
        return values or "<p><strong>No emotion to report.</strong></p>"
    rows = "".join(
        f'<li><span class="label">{html.escape(label)}</span><span class="bar">'
        f'<span class="fill" style="width: calc((100% - 4em) * {score:.4f})"></span>'
        f'<span class="percent">{score:.0%}</span></span></li>'
        for label, score in scores
    )
    return f'<ol aria-label="Emotions, the most likely first">{rows}</ol>{values}'


def note_markup(text: str, notes: Sequence[str]) -> str:
    """Return one line on a recording: how it was classified, and the notes on it."""
    remarks = f" <strong>Note: {html.escape('; '.join(note.rstrip('.') for note in notes))}.</strong>" if notes else ""
    return f"<p>{html.escape(text)}{remarks}</p>"


def problem_markup(problem: str) -> str:
    """Return a message that screen readers read at once."""
    return f'<div class="problem" role="alert">{html.escape(problem)}</div>'


def picture_markup(figure: Figure, description: str) -> str:
    """Return a figure as an image with a description for people who cannot see it."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure class="picture"><img alt="{html.escape(description)}" src="data:image/png;base64,{data}"></figure>'
    )


def timeline_description(segments: Sequence[TimelineSegment], outputs: Outputs) -> str:
    """Return the most likely label of each stretch of a recording, in words, or the range of each dimension."""
    if not outputs.labels:
        columns = zip(outputs.dimensions, zip(*(segment.dimensions for segment in segments)))
        ranges = [f"{name} from {min(values):.2f} to {max(values):.2f}" for name, values in columns]
        return f"Values over time: {', '.join(ranges)}."
    stretches = groupby(segments, key=lambda segment: outputs.labels[segment.probabilities.argmax()])
    parts = [f"{label} from {clock(next(windows).start)}" for label, windows in stretches]
    rest = f", and {len(parts) - _MOST_STRETCHES} more changes" if len(parts) > _MOST_STRETCHES else ""
    return f"Most likely emotion over time: {', '.join(parts[:_MOST_STRETCHES])}{rest}."


def features_description(features: Features) -> str:
    """Return the kind of input and its size, in words."""
    if features.values.ndim == 1:
        return "Waveform of the recording."
    frames, bins = features.values.shape
    return f"Spectrogram of the recording: {frames} frames of {bins} frequency bins."
