"""JSON endpoint for programs: `POST /api/classify` and `GET /api/health`."""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from .analysis import Analysis, AnalysisQueue
from .recordings import NotAudioError, TooLongError


_MOST_REQUESTS = 8  # each waits with its recording on the disk
_MOST_UPLOADS = 64
_UPLOAD_SECONDS = 60
_PATIENCE = 1  # seconds after which a client that was sent away may come back
_NAME = "recording"  # for files that are sent without a name


class ApiError(Exception):
    """Error of a request, answered with an HTTP status and one line of text.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def add_api(app: FastAPI, queue: AnalysisQueue, max_file_mb: float) -> None:
    """Add the endpoint to an app.

    Args:
        app: App that answers below /api.
        queue: Classifiers; the first one answers unless a request names another.
        max_file_mb: Largest body in MiB.
    """
    router, names = APIRouter(prefix="/api"), list(queue.classifiers)
    arriving, waiting = set(), set()  # requests whose recording is on its way, or in the queue

    @router.get("/health")
    async def health():
        return {"status": "ok", "models": names}

    @router.post("/classify")
    async def classify(request: Request, model: str = names[0]):
        _refuse_other_sites(request)
        if model not in queue.classifiers:
            raise ApiError(400, f"model={model} is not served; choose from {', '.join(names)}")
        if len(arriving) >= _MOST_UPLOADS:
            raise _busy()
        arriving.add(request)
        try:
            with tempfile.TemporaryDirectory(dir=os.environ.get("GRADIO_TEMP_DIR") or None) as folder:
                path = await asyncio.wait_for(_save(request, Path(folder), max_file_mb), _UPLOAD_SECONDS)
                if len(waiting) >= _MOST_REQUESTS:
                    raise _busy()
                waiting.add(request)
                return _answer(model, await queue.analyse(path, model))
        except asyncio.TimeoutError as error:
            raise ApiError(408, f"the recording did not arrive within {_UPLOAD_SECONDS} s") from error
        except ClientDisconnect as error:
            raise ApiError(400, "the recording did not arrive in full") from error
        except NotAudioError as error:
            raise ApiError(415, str(error)) from error
        except TooLongError as error:
            raise ApiError(413, str(error)) from error
        except (ValueError, ImportError) as error:
            raise ApiError(422, str(error)) from error
        finally:
            arriving.discard(request)
            waiting.discard(request)

    # The page is mounted at the root and would answer in HTML.
    @router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def elsewhere(request: Request):
        raise ApiError(
            404, f"{request.method} {request.url.path} is not here; use POST /api/classify or GET /api/health"
        )

    @app.exception_handler(ApiError)
    async def explain(request: Request, error: ApiError):
        headers = {"Retry-After": str(_PATIENCE)} if error.status == 503 else None
        return JSONResponse({"error": str(error)}, error.status, headers)

    app.include_router(router)


def _busy() -> ApiError:
    return ApiError(503, f"too many recordings are waiting; try again in {_PATIENCE} s")


def _answer(model: str, analysis: Analysis) -> dict:
    values = analysis.dimensions
    return {
        "model": model,
        "labels": [{"label": label, "score": round(score, 4)} for label, score in analysis.scores],
        **({"dimensions": {name: round(value, 4) for name, value in values.items()}} if values else {}),
        "seconds": round(analysis.seconds, 3),
        "notes": analysis.notes,
    }


def _refuse_other_sites(request: Request) -> None:
    """Raise ApiError if a browser sends the request for the page of another site."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    same = site in ("same-origin", "none") if site else urlsplit(origin or "").netloc == request.headers.get("host")
    if (origin or site) and not same:
        raise ApiError(403, "pages of other sites cannot use this endpoint; call it from a program")


async def _save(request: Request, folder: Path, max_file_mb: float) -> Path:
    """Write the recording in a request to a folder: the field `file` of a form, else the body.

    Raises:
        ApiError: The recording is missing or too large.
    """
    body = _limited(request, max_file_mb)
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        try:
            form = await MultiPartParser(request.headers, body, max_files=1, max_fields=10).parse()
        except (MultiPartException, KeyError) as error:  # KeyError: no boundary
            raise ApiError(400, f"the form cannot be read ({error}); send one recording as the field file") from error
        try:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise ApiError(400, "the form has no recording; send it as the field file")
            path = folder / _safe_name(upload.filename or "")
            with path.open("wb") as file:
                while chunk := await upload.read(2**20):
                    file.write(chunk)
        finally:
            await form.close()
    else:
        path = folder / _NAME
        with path.open("wb") as file:
            async for chunk in body:
                file.write(chunk)
    if path.stat().st_size == 0:
        raise ApiError(400, "the recording is empty (0 bytes); send an audio file as the body")
    return path


async def _limited(request: Request, max_file_mb: float) -> AsyncIterator[bytes]:
    error = ApiError(413, f"the file is larger than {max_file_mb:g} MB; send a part of it")
    most, size = max_file_mb * 2**20, 0
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise error
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise error
        yield chunk


def _safe_name(name: str) -> str:
    """Return a file name without folders and odd characters."""
    return re.sub(r"[^\w.() -]", "_", re.split(r"[/\\]", name)[-1]).lstrip(".")[-100:] or _NAME
