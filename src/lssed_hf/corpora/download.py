"""Downloads of the free corpora: checked, resumed after a break, unpacked safely, and done once.

`LSSED_HF_MIRROR=http://mirror.lab/corpora` takes everything from a mirror instead: https://zenodo.org/records/1 from
http://mirror.lab/corpora/zenodo.org/records/1 (the folders that `wget --force-directories` makes). HF_HUB_OFFLINE and
HF_DATASETS_OFFLINE forbid every download that is not from a mirror.
"""

import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import datasets
import requests
from filelock import FileLock
from tqdm.auto import tqdm

from ..files import replacing
from ..scan import AUDIO_SUFFIXES
from ..unpack import ArchiveError, extract_archive


MIRROR_VARIABLE = "LSSED_HF_MIRROR"
#: Seconds before each further try of a download that broke off.
RETRY_DELAYS = (1, 2, 4, 8)
_TIMEOUT = (10, 60)  # seconds to connect, and without a byte
_LONGEST_WAIT = 120  # seconds that a server may ask us to wait
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_PIECE = 1 << 14  # bytes; a cut connection loses up to this many
_CHUNK = 1 << 18  # bytes that are read from disk at once
_THREADS = 8
_POINTER = re.compile(r"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_LONGEST_POINTER = 1024  # bytes, by the specification of Git LFS

logger = datasets.logging.get_logger(__name__)


class DownloadError(OSError):
    """Error of a file that cannot be fetched, or is not the expected one. The message names its URL."""


class _BrokenOffError(Exception):
    """Error that is worth another try, after `wait` seconds if the server named a time."""

    def __init__(self, reason: str, wait: float = 0):
        super().__init__(reason)
        self.wait = wait


def fetch(
    url: str,
    path: str | os.PathLike,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    size: int | None = None,
    session: requests.Session | None = None,
    progress: bool = True,
) -> Path:
    """Download a file to `path`, which is complete and checked, or absent. A file that is there and passes is kept.

    A download that breaks leaves `path` + `.part`. The next call resumes it if the server still has the same file (by
    its ETag or Last-Modified) and can send a range. Only one call per path may run at a time.

    Args:
        url: URL, http or https. A mirror may take its place, see the module.
        path: Path of the new file. Its folder is made if need be.
        md5: Expected MD5, hexadecimal.
        sha256: Expected SHA-256, hexadecimal.
        size: Expected size in bytes.
        session: Session that shares connections among files. Default: a new one.
        progress: Whether to show a bar.

    Raises:
        DownloadError: The file cannot be had after `len(RETRY_DELAYS)` further tries, or downloads are forbidden. Or
            it is not the expected file, and is removed.
        ValueError: The URL is neither http nor https.
    """
    path = Path(path)
    checks = {"md5": md5, "sha256": sha256, "size": size}
    if path.is_file() and _problem(path, **checks) is None:
        return path
    address = _address(url)
    part = path.with_name(f"{path.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with (
        nullcontext(session) if session else requests.Session() as session,
        tqdm(total=size, desc=path.name, unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        _download(session, address, part, size, bar)
    if problem := _problem(part, **checks):
        _discard(part)
        raise DownloadError(f"{address}: {problem}; what was downloaded is removed")
    os.replace(part, path)
    _discard(part)
    return path


def _address(url: str) -> str:
    """Return the URL, or the URL of its copy at the mirror."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{url} is neither http nor https")
    if mirror := os.environ.get(MIRROR_VARIABLE):
        return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"
    if datasets.config.HF_HUB_OFFLINE:
        raise DownloadError(f"{url}: downloads are forbidden by HF_HUB_OFFLINE or HF_DATASETS_OFFLINE")
    return url


def _download(session: requests.Session, url: str, part: Path, size: int | None, bar: tqdm) -> None:
    for delay in (*RETRY_DELAYS, None):
        try:
            return _transfer(session, url, part, size, bar)
        except (_BrokenOffError, requests.ConnectionError, requests.Timeout) as error:
            if delay is None:
                raise DownloadError(f"{url}: {error}") from error
            time.sleep(max(delay, min(getattr(error, "wait", 0), _LONGEST_WAIT)))
        except requests.RequestException as error:
            raise DownloadError(f"{url}: {error}") from error


def _transfer(session: requests.Session, url: str, part: Path, size: int | None, bar: tqdm) -> None:
    """Fetch the bytes that `part` lacks, or all bytes where it cannot be resumed, in one try."""
    validator = _validator_file(part)
    offset = part.stat().st_size if part.is_file() and validator.is_file() else 0
    if size is not None and offset == size:
        return
    headers = {"Accept-Encoding": "identity"}  # a range of compressed bytes would be no use
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator.read_text("ascii")}
    with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code in _TRANSIENT:
            wait = response.headers.get("Retry-After", "")
            raise _BrokenOffError(f"{response.status_code} {response.reason}", float(wait) if wait.isdigit() else 0)
        resumed = response.status_code == 206
        in_place = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        if response.status_code == 416 or (resumed and not in_place):
            _discard(part)
            raise _BrokenOffError("the part that was there cannot be gone on with")
        response.raise_for_status()
        if not resumed:
            offset = 0
            _discard(part)  # first: a new validator must never stand beside old bytes
            if tag := _validator(response.headers):
                validator.write_text(tag, "ascii")
        length = response.headers.get("Content-Length")
        total = offset + int(length) if length else size
        bar.n, bar.initial, bar.total = offset, offset, total
        with open(part, "ab" if resumed else "wb") as file, suppress(requests.exceptions.ChunkedEncodingError):
            for piece in response.iter_content(_PIECE):
                file.write(piece)
                bar.update(len(piece))
            if file.tell() >= (total or 0):  # some versions of urllib3 take the end of a connection for a file's end
                return
    raise _BrokenOffError(f"the connection ended after {part.stat().st_size} bytes of {total or 'an unknown number'}")


def _validator(headers) -> str | None:
    """Return a text that tells versions of a file apart. Only a strong ETag may be sent as If-Range."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _discard(part: Path) -> None:
    for file in (part, _validator_file(part)):
        file.unlink(missing_ok=True)


def _problem(path: Path, md5: str | None, sha256: str | None, size: int | None) -> str | None:
    if size is not None and path.stat().st_size != size:
        return f"{path.stat().st_size} bytes, not {size}"
    for algorithm, expected in (("md5", md5), ("sha256", sha256)):
        if expected is not None and (actual := _digest(path, algorithm)) != expected.lower():
            return f"its {algorithm} is {actual}, not {expected}"
    return None


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True)
class Archive:
    """Corpus that is one archive.

    Attributes:
        url: URL of the archive.
        size: Size of the archive in bytes.
        md5: MD5 of the archive.
        num_files: Number of audio files in it.
        license: Licence of the corpus, with its page.
    """

    url: str
    size: int
    md5: str
    num_files: int
    license: str

    @property
    def by_hand(self) -> str:
        """Advice for a download by hand."""
        return f"download {self.url} and unpack it"

    def fill(self, staging: Path) -> Path:
        """Fetch the corpus into a folder below `staging`, and return that folder."""
        archive = staging / PurePosixPath(urlsplit(self.url).path).name
        fetch(self.url, archive, md5=self.md5, size=self.size)
        whole = staging / "whole"
        shutil.rmtree(whole, ignore_errors=True)  # from a call that was killed before it counted the files
        return extract_archive(archive, whole)


@dataclass(frozen=True)
class GitLfsFiles:
    """Corpus in a Git repository whose audio is in Git LFS: the repository holds a checksum in place of each file.

    Each file is checked by its size and SHA-256 in the repository, so any source may serve it.

    Attributes:
        url: URL of the repository as a .zip, at a fixed commit.
        sources: URLs that the name of a file is added to, in order of preference.
        wanted: Regular expression of the files to take.
        size: Size of all files in bytes, for the announcement.
        num_files: Number of audio files.
        license: Licence of the corpus.
        page: Web page of the repository.
    """

    url: str
    sources: Sequence[str]
    wanted: str
    size: int
    num_files: int
    license: str
    page: str

    @property
    def by_hand(self) -> str:
        """Advice for a download by hand."""
        return f"clone {self.page} with Git LFS"

    def fill(self, staging: Path) -> Path:
        """Fetch the corpus into a folder below `staging`, and return that folder."""
        pointers, whole = staging / "pointers", staging / "whole"
        if not pointers.is_dir():
            archive = fetch(self.url, staging / "repository.zip")
            # Names begin with the folder of the repository.
            extract_archive(archive, pointers, lambda name: bool(re.fullmatch(f"[^/]+/(?:{self.wanted})", name)))
        root = next(pointers.iterdir(), pointers)
        files = {}
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            name = path.relative_to(root).as_posix()
            if pointer := _read_pointer(path):
                files[name] = pointer
            else:
                with replacing(whole / name) as copy:
                    shutil.copyfile(path, copy)
        self._fetch_all(files, whole)
        return whole

    def _fetch_all(self, files: dict[str, tuple[str, int]], folder: Path) -> None:
        """Fetch files, several at a time. A source that fails is asked last from then on."""
        sources = list(self.sources)
        thread = threading.local()

        def fetch_one(item: tuple[str, tuple[str, int]]) -> int:
            nonlocal sources
            name, (sha256, size) = item
            for source in (tries := sources):
                try:
                    url, path = source + name, folder / name
                    fetch(url, path, sha256=sha256, size=size, session=thread.session, progress=False)
                    return size
                except DownloadError:
                    if source == tries[-1]:
                        raise
                    sources = [*(other for other in sources if other != source), source]
            raise AssertionError("no sources")

        total = sum(size for _, size in files.values())
        pool = ThreadPoolExecutor(_THREADS, initializer=lambda: setattr(thread, "session", requests.Session()))
        try:
            with tqdm(total=total, desc=f"{len(files)} files", unit="B", unit_scale=True) as bar:
                for size in pool.map(fetch_one, files.items()):
                    bar.update(size)
        finally:
            pool.shutdown(cancel_futures=True)  # one failure ends all


def _read_pointer(path: Path) -> tuple[str, int] | None:
    """Return the SHA-256 and size in a Git LFS pointer, None for other files."""
    if path.stat().st_size > _LONGEST_POINTER:
        return None
    match = _POINTER.fullmatch(path.read_bytes().decode("ascii", "replace"))
    return (match[1], int(match[2])) if match else None


def corpus_cache(name: str) -> Path:
    """Return the folder of a downloaded or synthetic corpus in the `datasets` cache."""
    return Path(os.path.expanduser(datasets.config.HF_DATASETS_CACHE)) / f"lssed_hf_{name}"


def download_corpus(name: str, source: Archive | GitLfsFiles) -> Path:
    """Return the folder of a corpus in the `datasets` cache. Download it if it is not there: complete or absent.

    Calls at the same time wait for one another. What was downloaded before a break is kept beside the folder.

    Raises:
        DownloadError: The corpus cannot be had. The message says how to download it by hand.
    """
    folder = corpus_cache(name)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.with_name(f"{folder.name}.download")
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            return folder
        logger.warning(
            f"{name}: downloading {source.size / 1e6:.0f} MB from {urlsplit(source.url).netloc} to {folder}, once. "
            f"Licence: {source.license}"
        )
        try:
            whole = source.fill(staging)
            number = sum(path.suffix.lower() in AUDIO_SUFFIXES for path in whole.rglob("*"))
            if number != source.num_files:
                raise ArchiveError(f"{source.url} holds {number} audio files, not {source.num_files}")
        except (DownloadError, ArchiveError) as error:
            if isinstance(error, ArchiveError):
                shutil.rmtree(staging)  # nothing there can be resumed
            raise DownloadError(
                f"{name} could not be downloaded. {error}. To do it by hand, {source.by_hand}, and give the folder as "
                "data_dir= (--data_dir)"
            ) from error
        os.replace(whole, folder)
        shutil.rmtree(staging)
    return folder
