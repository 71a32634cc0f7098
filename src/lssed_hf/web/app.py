"""Web app of `lssed-hf serve`: the page at / and the JSON endpoint below /api (the extra `web`)."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..inference.classifiers.classifier import Classifier
from .analysis import AnalysisQueue
from .model_facts import ModelFacts


os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported, and again by its parts

try:
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from .api import add_api
    from .page import build_page
except ImportError as error:
    raise ImportError(f"the page needs Gradio ({error}); run pip install 'lssed-hf[web]'") from error


#: Host names of this machine. A server on 127.0.0.1 answers to no other name, against DNS rebinding.
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_HERE = Path(__file__).parent
_SYSTEM_FONTS = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")


def build_app(
    classifiers: Mapping[str, Classifier],
    *,
    facts: Mapping[str, ModelFacts] | None = None,
    max_seconds: float = 600.0,
    max_file_mb: float = 120.0,
    long_seconds: float = 10.0,
    allowed_hosts: Sequence[str] = LOCAL_HOSTS,
) -> FastAPI:
    """Build the web app for one or several classifiers; any ASGI server runs it.

    ```python
    import uvicorn

    app = build_app({"pyresnet50": lssed_hf.load_classifier("outputs/pyresnet50")})
    uvicorn.run(app, port=7860)
    ```

    Args:
        classifiers: Name of each model -> its classifier. The first one is chosen at first.
        facts: Name of each model -> score and caveat to show (default: "no score recorded").
        max_seconds: Longest recording that is accepted, in seconds.
        max_file_mb: Largest upload, in MiB.
        long_seconds: Length in seconds from which recordings get a timeline.
        allowed_hosts: Host names by which clients may call the server, ("*",) for any (default: this machine's).

    Raises:
        ValueError: There is no classifier, or a limit is not positive.
    """
    if not classifiers:
        raise ValueError("give at least one classifier")
    if min(max_seconds, max_file_mb, long_seconds) <= 0:
        raise ValueError(
            f"max_seconds={max_seconds}, max_file_mb={max_file_mb} and long_seconds={long_seconds} must be positive"
        )
    facts = {name: (facts or {}).get(name, ModelFacts()) for name in classifiers}
    speech_only = {name for name in facts if facts[name].speech_only}
    queue = AnalysisQueue(classifiers, speech_only, max_seconds, long_seconds)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # their pages load scripts from other hosts
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    app.add_middleware(CORSMiddleware)  # allows no site; Gradio's own would allow any
    add_api(app, queue, max_file_mb)
    page = build_page(queue, facts, max_file_mb)
    # Gradio 6.31 checks the paths that a visitor names in launched pages alone, and would read any in a mounted one.
    page.has_launched = True
    font, font_mono = _SYSTEM_FONTS
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        max_file_size=round(max_file_mb * 2**20),
        allowed_paths=[],
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        footer_links=[],
        theme=gr.themes.Default(primary_hue="blue", font=font, font_mono=font_mono).set(
            body_text_color_subdued="*neutral_600",  # Gradio's own is too pale to read (WCAG 2, 1.4.3)
            body_text_color_subdued_dark="*neutral_300",
        ),
        css_paths=_HERE / "page.css",
        js=(_HERE / "page.js").read_text(encoding="utf-8"),
    )
    app.state.close_streams = app.routes[-1].app.stop_event.set  # each open page holds a connection
    return app
