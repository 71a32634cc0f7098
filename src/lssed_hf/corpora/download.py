"""Downloads of the corpora that are free to fetch: checked, resumed after a break, unpacked safely, and done once.

`LSSED_HF_MIRROR=http://mirror.lab/corpora` takes everything from a mirror instead: https://zenodo.org/records/1 from
http://mirror.lab/corpora/zenodo.org/records/1 (the folders that `wget --force-directories` makes). A mirror is used
even when HF_HUB_OFFLINE or HF_DATASETS_OFFLINE is set, which otherwise forbid every download.
"""

import gzip
import hashlib
import lzma
import os
import re
import shutil
import stat
import tarfile
import threading
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

import datasets
import requests
from filelock import FileLock
from tqdm.auto import tqdm

from ..files import replacing
from ..scan import AUDIO_SUFFIXES


MIRROR_VARIABLE = "LSSED_HF_MIRROR"
#: Seconds before each further try of a download that broke off.
RETRY_DELAYS = (1, 2, 4, 8)
#: What an archive may unpack to, as a multiple of its own size. Deflate reaches 1,000 on zeros; speech 2, tables 20.
MAX_EXPANSION = 100
#: Bytes that any archive may unpack to.
HARMLESS = 100_000_000
_TIMEOUT = (10, 60)  # seconds to connect, and without a byte
_LONGEST_WAIT = 120  # seconds that a server may ask us to wait
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_PIECE = 1 << 14  # bytes; a connection that is cut loses up to this many
_CHUNK = 1 << 18  # bytes read from disk at once
_THREADS = 8
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)
_POINTER = re.compile(r"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_LONGEST_POINTER = 1024  # bytes, by the specification of Git LFS

logger = datasets.logging.get_logger(__name__)


class DownloadError(OSError):
    """A file could not be fetched, or is not what it should be. The message names its URL."""


class ArchiveError(ValueError):
    """An archive is damaged, or holds what must not be unpacked. The message names the archive and the member."""


class _BrokenOff(Exception):
    """Worth another try, after `wait` seconds if the server named a time."""

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

    What a broken download left is `path` + `.part`; the next call goes on from there if the file at the server is
    still the same one (by its ETag or Last-Modified) and the server can send a part. One call at a time per path.

    Args:
        url: http or https. See the module for mirrors.
        path: where to; its folder is made if need be.
        md5: hexadecimal digest that the file must have, as must `sha256`.
        sha256: as `md5`.
        size: bytes that the file must have.
        session: to share connections among files.
        progress: whether to show a bar.

    Raises:
        DownloadError: not to be had after `len(RETRY_DELAYS)` further tries, or not the file that it should be (which
            is removed), or downloads are forbidden.
        ValueError: the URL is neither http nor https.
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
    """The URL, or that of its copy at the mirror."""
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
        except (_BrokenOff, requests.ConnectionError, requests.Timeout) as error:
            if delay is None:
                raise DownloadError(f"{url}: {error}") from error
            time.sleep(max(delay, min(getattr(error, "wait", 0), _LONGEST_WAIT)))
        except requests.RequestException as error:
            raise DownloadError(f"{url}: {error}") from error


def _transfer(session: requests.Session, url: str, part: Path, size: int | None, bar: tqdm) -> None:
    """One try: the bytes that `part` lacks, or all of them where it cannot be gone on with."""
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
            raise _BrokenOff(f"{response.status_code} {response.reason}", float(wait) if wait.isdigit() else 0)
        resumed = response.status_code == 206
        in_place = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        if response.status_code == 416 or (resumed and not in_place):
            _discard(part)
            raise _BrokenOff("the part that was there cannot be gone on with")
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
            if file.tell() >= (total or 0):  # some versions of urllib3 take the end of a connection for that of a file
                return
    raise _BrokenOff(f"the connection ended after {part.stat().st_size} bytes of {total or 'an unknown number'}")


def _validator(headers) -> str | None:
    """What tells one version of a file from another; only a strong ETag may be sent as If-Range."""
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
class _Member:
    """A file or folder of an archive, by its name as it stands there. `open` gives the contents of a file."""

    name: str
    size: int
    is_folder: bool
    is_file: bool
    open: Callable[[], IO[bytes]]


def extract_archive(
    archive: str | os.PathLike, folder: str | os.PathLike, wanted: Callable[[str], bool] | None = None
) -> Path:
    """Unpack a .zip or .tar (.tar.gz, .tgz, ...) into a new folder, which is complete or absent.

    Contents alone are taken over: no owners, permissions or times. Links are refused wherever they lead, as no corpus
    has any. (A plain .tar that ends early between two members goes unnoticed: it does not say how long it should be.)

    Args:
        archive: the file; its suffix gives the format.
        folder: must not be there yet.
        wanted: chooses the files by their names in the archive; all of them by default.

    Raises:
        ArchiveError: damaged or encrypted; names that lead out of the folder, that come twice, or differ by case only;
            links and devices; or more bytes than `MAX_EXPANSION` times the archive's or than there is room for.
        FileExistsError: the folder is there.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; remove it to unpack {archive} again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        with _open_archive(archive) as members:
            plan = _checked(archive, members, folder, wanted)
            temporary.mkdir()
            for name, member in plan.items():
                _write_member(archive, member, temporary / name)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


@contextmanager
def _open_archive(path: Path) -> Iterator[Iterable[_Member]]:
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as file:
                yield [_zip_member(file, info) for info in file.infolist()]
        elif ".tar" in (suffix.lower() for suffix in path.suffixes[-2:]) or path.suffix.lower() == ".tgz":
            with tarfile.open(path) as file:
                yield (_tar_member(file, info) for info in file)
                while file.fileobj.read(_CHUNK):  # a checksum stands at the very end
                    pass
        else:
            raise ArchiveError(f"{path} is neither .zip nor .tar")
    except _DAMAGE as error:
        raise ArchiveError(f"{path} is damaged or incomplete: {error}") from error


def _zip_member(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made under Unix
    is_folder = info.is_dir()
    return _Member(
        info.orig_filename,  # `filename` is cut at a NUL
        info.file_size,
        is_folder and kind in (0, stat.S_IFDIR),
        not is_folder and kind in (0, stat.S_IFREG),
        partial(file.open, info),
    )


def _tar_member(file: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    return _Member(info.name, info.size, info.isdir(), info.isreg(), partial(file.extractfile, info))


def _checked(
    archive: Path, members: Iterable[_Member], folder: Path, wanted: Callable[[str], bool] | None
) -> dict[str, _Member]:
    """The files to write, by their names. Raises before anything is written."""
    limits = {
        f"more than {MAX_EXPANSION} times its own size": max(HARMLESS, MAX_EXPANSION * archive.stat().st_size),
        "more than there is room for": shutil.disk_usage(folder.parent).free,
    }
    plan: dict[str, _Member] = {}
    seen: dict[str, str] = {}
    total = 0
    for member in members:
        if problem := _member_problem(member):
            raise ArchiveError(f"{archive}: member {member.name!r} {problem}")
        name = str(PurePosixPath(member.name))
        if member.is_folder or not (wanted is None or wanted(name)):
            continue
        if (key := name.casefold()) in seen:
            raise ArchiveError(f"{archive}: member {member.name!r} would overwrite {seen[key]!r}")
        seen[key] = member.name
        total += member.size
        for limit, size in limits.items():
            if total > size:
                raise ArchiveError(f"{archive}: unpacks to {limit} ({size} bytes), from member {member.name!r} on")
        plan[name] = member
    return plan


def _member_problem(member: _Member) -> str | None:
    name = member.name
    if "\\" in name or "\0" in name:
        return "has a backslash or NUL in its name"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return "leads out of the folder"
    if not (member.is_folder or member.is_file):
        return "is a link or a device"
    return None


def _write_member(archive: Path, member: _Member, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # x: file systems differ in which names are the same to them
        with member.open() as source, open(path, "xb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
    # RuntimeError: encrypted; NotImplementedError: a method of compression that Python does not have
    except (*_DAMAGE, RuntimeError, FileExistsError) as error:
        raise ArchiveError(f"{archive}: member {member.name!r} cannot be unpacked: {error}") from error


@dataclass(frozen=True)
class Archive:
    """A corpus that is one archive. `size` in bytes; `num_files` of audio are in it."""

    url: str
    size: int
    md5: str
    num_files: int
    license: str

    @property
    def by_hand(self) -> str:
        return f"download {self.url} and unpack it"

    def fill(self, staging: Path) -> Path:
        """A folder below `staging` that holds the corpus."""
        archive = staging / PurePosixPath(urlsplit(self.url).path).name
        fetch(self.url, archive, md5=self.md5, size=self.size)
        whole = staging / "whole"
        shutil.rmtree(whole, ignore_errors=True)  # of a call that was killed before it looked at it
        return extract_archive(archive, whole)


@dataclass(frozen=True)
class GitLfsFiles:
    """A corpus in a Git repository whose audio is in Git LFS: the repository holds a checksum in place of each file.

    `url` is the repository as a .zip, at a fixed commit, in which `wanted` (a regular expression) chooses the files.
    `sources` are URLs to which the name of a file is added to get its contents. Each file is checked by the size and
    SHA-256 in the repository, so it does not matter which of the sources it came from. `size`, in bytes, is of all
    files together and is only announced; `num_files` are of audio.
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
        return f"clone {self.page} with Git LFS"

    def fill(self, staging: Path) -> Path:
        """A folder below `staging` that holds the corpus."""
        pointers, whole = staging / "pointers", staging / "whole"
        if not pointers.is_dir():
            archive = fetch(self.url, staging / "repository.zip")
            # The first part of a name is the folder of the repository.
            extract_archive(archive, pointers, lambda name: bool(re.fullmatch(f"[^/]+/(?:{self.wanted})", name)))
        root = next(pointers.iterdir(), pointers)
        files = {path.relative_to(root): _read_pointer(path) for path in sorted(root.rglob("*")) if path.is_file()}
        for name in (name for name, pointer in files.items() if pointer is None):
            with replacing(whole / name) as copy:
                shutil.copyfile(root / name, copy)
        self._fetch_all({name.as_posix(): pointer for name, pointer in files.items() if pointer}, whole)
        return whole

    def _fetch_all(self, files: dict[str, tuple[str, int]], folder: Path) -> None:
        """All files, some at a time. A source that fails is asked last from then on."""
        sources = list(self.sources)
        own = threading.local()

        def fetch_one(item: tuple[str, tuple[str, int]]) -> int:
            nonlocal sources
            name, (sha256, size) = item
            for source in (tries := sources):
                try:
                    fetch(source + name, folder / name, sha256=sha256, size=size, session=own.session, progress=False)
                    return size
                except DownloadError:
                    if source == tries[-1]:
                        raise
                    sources = [*(other for other in sources if other != source), source]
            raise AssertionError("no sources")

        total = sum(size for _, size in files.values())
        pool = ThreadPoolExecutor(_THREADS, initializer=lambda: setattr(own, "session", requests.Session()))
        try:
            with tqdm(total=total, desc=f"{len(files)} files", unit="B", unit_scale=True) as bar:
                for size in pool.map(fetch_one, files.items()):
                    bar.update(size)
        finally:
            pool.shutdown(cancel_futures=True)  # one failure ends all


def _read_pointer(path: Path) -> tuple[str, int] | None:
    """SHA-256 and size of the file that a Git LFS pointer stands for; None for any other file."""
    if path.stat().st_size > _LONGEST_POINTER:
        return None
    match = _POINTER.fullmatch(path.read_bytes().decode("ascii", "replace"))
    return (match[1], int(match[2])) if match else None


def corpus_cache(name: str) -> Path:
    """Where a corpus that this package fetched is kept."""
    return Path(os.path.expanduser(datasets.config.HF_DATASETS_CACHE)) / f"lssed_hf_{name}"


def download_corpus(name: str, source: Archive | GitLfsFiles) -> Path:
    """The folder of a corpus in the `datasets` cache, downloaded if it is not there: complete or absent.

    Calls at the same time wait for one another. What was downloaded before a break is kept beside the folder.

    Raises:
        DownloadError: it could not be had. The message says how to do it by hand.
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
                shutil.rmtree(staging)  # nothing there to go on with
            raise DownloadError(
                f"{name} could not be downloaded. {error}. To do it by hand, {source.by_hand}, and give the folder as "
                "data_dir= (--data_dir)"
            ) from error
        os.replace(whole, folder)
        shutil.rmtree(staging)
    return folder
