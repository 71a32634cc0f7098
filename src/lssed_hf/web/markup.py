"""HTML of the page: facts, scores, messages and pictures, readable by screen readers."""

import base64
import html
import io
from collections.abc import Sequence
from itertools import groupby

from matplotlib.figure import Figure

from ..inference.timeline import TimelineSegment
from .analysis import Features
from .model_facts import NO_SCORE, ModelFacts
from .recordings import clock


#: Placeholder for the scores before the first recording.
NO_RESULT = '<p class="faint">The result appears here.</p>'
STYLE = """
.gradio-container { width: 100%; max-width: 1000px !important; margin: 0 auto !important; }
.gradio-container .html-container { padding: 0 !important; }
.gradio-container p { margin: 0 0 4px; }
.gradio-container h2 { margin: 0; }
#result { border: 1px solid var(--border-color-primary); border-radius: var(--block-radius); padding: 14px 16px;
    flex-basis: 0 !important; }
#timeline, #picture { margin-top: 12px; }
/* Times and buttons of Gradio's player are too pale to read (WCAG 2, 1.4.3), and two of its icons need words. */
body:not(.dark) #recording { --neutral-400: var(--neutral-600); }
#recording .source-selection { gap: 20px; }
#recording .source-selection button.icon { width: auto; display: inline-flex; align-items: center; gap: 6px; }
#recording .source-selection button.icon svg { width: 18px; }
#recording .source-selection button.icon[aria-label="Upload file"]::after { content: "Upload"; }
#recording .source-selection button.icon[aria-label="Record audio"]::after { content: "Record"; }
.faint { color: var(--body-text-color-subdued); }
#scores ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 10px; }
#scores li { display: grid; grid-template-columns: minmax(5.5em, max-content) 1fr; gap: 12px; align-items: center; }
#scores .label { max-width: 9em; overflow-wrap: anywhere; }
#scores .bar { display: flex; align-items: center; gap: 8px; }
#scores .fill { height: 18px; min-width: 2px; border-radius: 3px; background: #a9bdd4; }
#scores li:first-child .fill { background: #1f5f9f; }
.dark #scores .fill { background: #4b5f78; }
.dark #scores li:first-child .fill { background: #6ea8e6; }
#scores li:first-child { font-weight: 600; }
#scores .percent { font-variant-numeric: tabular-nums; white-space: nowrap; }
#waveform > div::part(scroll) { overflow-x: hidden !important; }
.problem { border: 1px solid #c0392b; border-left-width: 5px; border-radius: 6px; padding: 10px 14px;
    background: #fdf1ef; color: #7b1f14; overflow-wrap: anywhere; }
.picture { margin: 0; }
.picture img { display: block; width: 100%; height: auto; border-radius: 6px; }
"""


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


def scores_markup(scores: Sequence[tuple[str, float]]) -> str:
    """Return horizontal bars for labels and probabilities, with the percentage at the end of each bar."""
    if not scores:
        return "<p><strong>No emotion to report.</strong></p>"
    rows = "".join(
        f'<li><span class="label">{html.escape(label)}</span><span class="bar">'
        f'<span class="fill" style="width: calc((100% - 4em) * {score:.4f})"></span>'
        f'<span class="percent">{score:.0%}</span></span></li>'
        for label, score in scores
    )
    return f'<ol aria-label="Emotions, the most likely first">{rows}</ol>'


def note_markup(text: str, notes: Sequence[str]) -> str:
    """Return one line on a recording: how it was classified, and the notes on it."""
    remarks = f" <strong>Note: {html.escape('; '.join(note.rstrip('.') for note in notes))}.</strong>" if notes else ""
    return f"<p>{html.escape(text)}{remarks}</p>"


def problem_markup(problem: str) -> str:
    """Return a message that screen readers read at once."""
    return f'<div class="problem" role="alert">{html.escape(problem)}</div>'


def picture_markup(figure: Figure, description: str) -> str:
    """Return a figure as an image with a text for those who cannot see it."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure class="picture"><img alt="{html.escape(description)}" src="data:image/png;base64,{data}"></figure>'
    )


def timeline_description(segments: Sequence[TimelineSegment], labels: Sequence[str]) -> str:
    """Return the most likely label of each stretch of a recording, in words."""
    stretches = groupby(segments, key=lambda segment: labels[segment.probabilities.argmax()])
    parts = [f"{label} from {clock(next(windows).start)}" for label, windows in stretches]
    return f"Most likely emotion over time: {', '.join(parts)}."


def features_description(features: Features) -> str:
    """Return the kind of input and its size, in words."""
    if features.values.ndim == 1:
        return "Waveform of the recording."
    frames, bins = features.values.shape
    return f"Spectrogram of the recording: {frames} frames of {bins} frequency bins."
