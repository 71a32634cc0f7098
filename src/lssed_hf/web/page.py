"""Gradio page for upload and microphone. It fetches nothing from the network and reports to nobody."""

from collections.abc import Mapping
from pathlib import Path

import anyio
import gradio as gr

from ..inference.timeline.figure import draw_timeline
from .analysis import Analysis, AnalysisQueue
from .drawing import draw_features, fit_timeline
from .examples import example_clips
from .markup import (
    NO_RESULT,
    facts_markup,
    features_description,
    note_markup,
    picture_markup,
    problem_markup,
    scores_markup,
    timeline_description,
)
from .model_facts import ModelFacts
from .recordings import Uploads, clock


TITLE = "Speech emotion recognition"
_KEPT_SECONDS = 3600  # after which uploads of an unnoticed end of a session are deleted
# Gradio has no component for the width of the window: it takes the place of the hidden input.
_WITH_WIDTH = "(recording, model, width) => [recording, model, document.documentElement.clientWidth]"


def build_page(queue: AnalysisQueue, facts: Mapping[str, ModelFacts], max_file_mb: float) -> gr.Blocks:
    """Build the page, to be mounted in a FastAPI app.

    Args:
        queue: Classifiers of the picker; the first is chosen at first.
        facts: Facts about each model, by its name.
        max_file_mb: Largest upload in MiB, for the hint.
    """
    names, uploads = list(queue.classifiers), Uploads()
    about = {name: facts_markup(name, facts[name], len(queue.classifiers[name].labels)) for name in names}

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, _KEPT_SECONDS)) as page:
        gr.Markdown(f"# {TITLE}\nUpload or record speech, and see which emotion the model finds in it.")
        model = gr.Dropdown(
            names, value=names[0], label="Model", visible=len(names) > 1, interactive=True, filterable=False
        )
        model_facts = gr.HTML(about[names[0]], elem_id="facts")
        with gr.Row():
            with gr.Column(min_width=300):
                recording = _recording_input(f"Up to {clock(queue.max_seconds)}, {max_file_mb:g} MB.")
            with gr.Column(min_width=300, elem_id="result"):
                gr.Markdown("## Emotion")
                message = gr.HTML(visible=False, elem_id="message")
                scores = gr.HTML(NO_RESULT, elem_id="scores")
                note = gr.HTML(visible=False, elem_id="note")
        with gr.Column(visible=False, elem_id="timeline") as timeline_part:
            gr.Markdown("## Emotion over time")
            timeline = gr.HTML()
        with gr.Column(visible=False, elem_id="picture") as picture_part:
            gr.Markdown("## What the model sees")
            picture = gr.HTML()
        width = gr.Number(800, visible=False)
        outputs = [message, scores, note, timeline_part, timeline, picture_part, picture]

        async def classify(path, name, width, request: gr.Request, progress=gr.Progress()):  # noqa: B008 (Gradio's way)
            path = Path(path) if path else None
            uploads.keep(request.session_hash, path)
            if path is None:
                return _updates()
            try:
                analysis = await queue.analyse(path, name, lambda share: progress(share, desc="Classifying"))
            except (ValueError, OSError, ImportError) as error:
                return _updates(problem=str(error))
            # In a thread, because drawing a long recording would delay all other visitors.
            return await anyio.to_thread.run_sync(_results, analysis, _picture_width(width))

        def leave(request: gr.Request):
            uploads.keep(request.session_hash, None)

        gr.on(
            [recording.change, model.change],
            classify,
            [recording, model, width],
            outputs,
            js=_WITH_WIDTH,
            concurrency_limit=1,
            api_visibility="private",
            trigger_mode="always_last",
        )
        model.change(about.get, model, model_facts, api_visibility="private", queue=False)
        page.unload(leave)
    return page


def _recording_input(limits: str) -> gr.Audio:
    """Add the input for a recording, the example clips, and a line on the limits."""
    recording = gr.Audio(
        sources=["upload", "microphone"],
        type="filepath",
        label="Recording",
        elem_id="recording",
        editable=False,
        buttons=[],
        waveform_options=gr.WaveformOptions(waveform_color="#6992bf", waveform_progress_color="#1f5f9f"),
    )
    if examples := example_clips():
        gr.HTML("<p>Or try a synthetic voice (eSpeak NG, not a person):</p>")
        with gr.Row():
            for name, clip in examples.items():
                gr.Button(name, size="md", min_width=120).click(
                    lambda clip=clip: clip, None, recording, api_visibility="private", queue=False
                )
    gr.HTML(f'<p class="faint">{limits} Deleted when you replace it or leave.</p>')
    return recording


def _picture_width(window) -> int:
    """Return the width of pictures in CSS pixels for the width of a window, which may be any JSON value."""
    window = window if isinstance(window, (int, float)) and window == window else 800
    return int(min(max(window, 320), 1000)) - 60


def _updates(problem="", scores=NO_RESULT, note="", timeline=None, picture=None) -> list:
    """Return updates for all outputs; None and empty ones are hidden."""
    return [
        gr.update(value=problem_markup(problem) if problem else "", visible=bool(problem)),
        gr.update(value=scores, visible=not problem),
        gr.update(value=note, visible=bool(note)),
        gr.update(visible=timeline is not None),
        timeline,
        gr.update(visible=picture is not None),
        picture,
    ]


def _results(analysis: Analysis, width: int) -> list:
    segments, timeline, length = analysis.segments, None, clock(analysis.seconds)
    if analysis.values is None:
        note = f"{length}, not classified."
    elif not segments:
        note = f"{length}, classified as a whole."
    else:
        window = segments[0].end - segments[0].start
        note = f"{length}: mean of {len(segments)} windows of {window:g} s."
        timeline = picture_markup(
            fit_timeline(draw_timeline(segments, analysis.outputs, analysis.envelope), width),
            timeline_description(segments, analysis.outputs),
        )
    return _updates(
        scores=scores_markup(analysis.scores, analysis.dimensions),
        note=note_markup(note, analysis.notes),
        timeline=timeline,
        picture=picture_markup(draw_features(analysis.features, width), features_description(analysis.features)),
    )
