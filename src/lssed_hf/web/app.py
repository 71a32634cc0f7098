"""The page, built with Gradio (the extra `web`). It fetches nothing from the network and reports to nobody."""

import html
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..audio import AudioError
from ..inference.base import Classifier
from ..inference.timeline_figure import draw_timeline
from .analysis import Analysis, analyse
from .drawing import draw_features, fit_timeline
from .recordings import Uploads, clock, read_recording


os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported, and again by its parts

try:
    import gradio as gr
except ImportError as error:
    raise ImportError(f"the page needs Gradio ({error}); run pip install 'lssed-hf[web]'") from error


logger = logging.getLogger(__name__)

TITLE = "Speech emotion recognition"
_KEPT_SECONDS = 3600  # for uploads of sessions whose end went unnoticed
_SYSTEM_FONTS = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
_STYLE = """
.gradio-container { width: 100%; max-width: 1000px !important; margin: 0 auto !important; }
#message .problem { border: 1px solid #c0392b; border-left-width: 5px; border-radius: 6px; padding: 10px 14px;
    background: #fdf1ef; color: #7b1f14; overflow-wrap: anywhere; }
#picture img, #timeline img { display: block; width: 100%; height: auto; }
"""
# Gradio has no component for the width of the window: it takes the place of the hidden input.
_WITH_WIDTH = "(recording, model, width) => [recording, model, document.documentElement.clientWidth]"


class App(gr.Blocks):
    """`gr.Blocks` whose `launch` is for this machine alone unless told otherwise."""

    def __init__(self, max_file_mb: float):
        super().__init__(title=TITLE, analytics_enabled=False, delete_cache=(60, _KEPT_SECONDS))
        self.max_file_mb = max_file_mb

    def launch(self, **settings):
        """As `gr.Blocks.launch`: on 127.0.0.1, without a public link, and with nothing of the disk to be read."""
        font, font_mono = _SYSTEM_FONTS
        return super().launch(
            **{
                "server_name": "127.0.0.1",
                "share": False,
                "max_file_size": round(self.max_file_mb * 2**20),
                "allowed_paths": [],
                "enable_monitoring": False,
                "run_history": False,
                "ssr_mode": False,
                "mcp_server": False,
                "footer_links": [],
                "theme": gr.themes.Default(primary_hue="blue", font=font, font_mono=font_mono),
                "css": _STYLE,
                **settings,
            }
        )


def build_app(
    classifiers: Mapping[str, Classifier],
    *,
    max_seconds: float = 600.0,
    max_file_mb: float = 120.0,
    long_seconds: float = 10.0,
) -> App:
    """The page for one or several classifiers; `.launch()` serves it.

    ```python
    app = build_app({"pyresnet50": lssed_hf.load_classifier("outputs/pyresnet50")})
    app.launch()
    ```

    Args:
        classifiers: name in the picker -> what `load_classifier` opened. With several, the first is chosen at first.
        max_seconds: the longest recording that is taken.
        max_file_mb: the largest upload, in MiB.
        long_seconds: longer recordings get a timeline.

    Raises:
        ValueError: no classifier, or limits that leave nothing.
    """
    if not classifiers:
        raise ValueError("give at least one classifier")
    if min(max_seconds, max_file_mb, long_seconds) <= 0:
        raise ValueError(
            f"max_seconds={max_seconds}, max_file_mb={max_file_mb} and long_seconds={long_seconds} must be positive"
        )
    names, uploads = list(classifiers), Uploads()

    with App(max_file_mb) as app:
        gr.Markdown(
            f"# {TITLE}\nUpload a recording or speak, and see which emotion the model hears in it. Up to "
            f"{clock(max_seconds)} and {max_file_mb:g} MB; deleted when you replace it or leave."
        )
        with gr.Row():
            with gr.Column(min_width=300):
                recording = gr.Audio(
                    sources=["upload", "microphone"],
                    type="filepath",
                    label="Recording",
                    editable=False,
                    buttons=[],
                    waveform_options=gr.WaveformOptions(waveform_color="#6992bf", waveform_progress_color="#1f5f9f"),
                )
                model = gr.Dropdown(
                    names, value=names[0], label="Model", visible=len(names) > 1, interactive=True, filterable=False
                )
            with gr.Column(min_width=300):
                message = gr.HTML(visible=False, elem_id="message")
                scores = gr.Label(label="Emotion", elem_id="scores")
                note = gr.Markdown(visible=False, elem_id="note")
        with gr.Column(visible=False, elem_id="timeline") as timeline_part:
            gr.Markdown("### Emotion over time")
            timeline = gr.Plot(show_label=False, container=False, format="png")
        with gr.Column(visible=False, elem_id="picture") as picture_part:
            gr.Markdown("### What the model gets")
            picture = gr.Plot(show_label=False, container=False, format="png")
        width = gr.Number(800, visible=False)
        outputs = [message, scores, note, timeline_part, timeline, picture_part, picture]

        def classify(path, name, width, request: gr.Request, progress=gr.Progress()):  # noqa: B008 (Gradio's way)
            path = Path(path) if path else None
            uploads.keep(request.session_hash, path)
            if path is None:
                return _page()
            try:
                classifier = classifiers[name]
                waveform = read_recording(path, classifier.sampling_rate, max_seconds)
                analysis = _analyse(classifier, waveform, path, long_seconds, progress)
            except (ValueError, OSError, ImportError) as error:
                return _page(problem=str(error))
            return _results(analysis, classifier.labels, _width(width))

        def leave(request: gr.Request):
            uploads.keep(request.session_hash, None)

        # One at a time, whoever asks: a model keeps all cores busy.
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
        app.unload(leave)
    return app


def _analyse(classifier, waveform, path, long_seconds, progress) -> Analysis:
    try:
        return analyse(
            classifier,
            waveform,
            path,
            long_seconds=long_seconds,
            progress=lambda share: progress(share, desc="Classifying"),
        )
    except (ValueError, RuntimeError) as error:  # such as a clip that is shorter than a kernel
        logger.exception(f"{path.name} could not be classified")
        seconds = clock(len(waveform) / classifier.sampling_rate)
        raise AudioError(
            f"{path.name}: the model cannot classify these {seconds} ({error}); try another recording"
        ) from error


def _width(window) -> int:
    """Of pictures, in CSS pixels, for the width of a window, which anybody may send."""
    window = window if isinstance(window, (int, float)) and window == window else 800
    return int(min(max(window, 320), 1000)) - 60


def _page(problem="", scores=None, note="", timeline=None, picture=None) -> list:
    """Updates of all outputs; what is None or empty is hidden."""
    message = f'<div class="problem" role="alert">{html.escape(problem)}</div>'
    return [
        gr.update(value=message if problem else "", visible=bool(problem)),
        gr.update(value=scores, visible=not problem),
        gr.update(value=note, visible=bool(note)),
        gr.update(visible=timeline is not None),
        timeline,
        gr.update(visible=picture is not None),
        picture,
    ]


def _results(analysis: Analysis, labels: Sequence[str], width: int) -> list:
    segments, timeline = analysis.segments, None
    note = f"{clock(analysis.seconds)}, classified as a whole."
    if segments:
        window = segments[0].end - segments[0].start
        note = f"{clock(analysis.seconds)}: the mean of {len(segments)} windows of {window:g} s."
        timeline = fit_timeline(draw_timeline(segments, labels, analysis.envelope), width)
    if analysis.silent:
        note += " **It is silent: every sample is 0.** Is the microphone muted?"
    scores = dict(zip(labels, map(float, analysis.probabilities)))
    return _page(scores=scores, note=note, timeline=timeline, picture=draw_features(analysis.features, width))
