"""Downloads from a server on this machine."""

import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import datasets
import pytest
import requests
from local_server import serving

from lssed_hf import load_corpus
from lssed_hf.corpora import crema_d, download, emodb, ravdess
from lssed_hf.corpora.download import DownloadError, fetch
from lssed_hf.corpora.sources import load_splits


CONTENT = bytes(range(256)) * 4000  # 1 MB
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Handler that serves `server.files` by the settings of the server."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and content are two writes

    def do_GET(self):
        server = self.server
        server.log.append((self.path, self.headers.get("Range")))
        content = server.files.get(self.path)
        if server.statuses:
            return self.answer(*server.statuses.pop(0))
        if content is None:
            return self.answer(404)
        first = 0
        strong = None if (server.tag or "W/").startswith("W/") else server.tag
        fresh = self.headers.get("If-Range") in (None, strong, server.modified)
        if server.ranges and fresh and (wanted := self.headers.get("Range")):
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                return self.answer(416)
        headers = {"Content-Length": len(content) - first, "ETag": server.tag, "Last-Modified": server.modified}
        if first:
            headers["Content-Range"] = f"bytes {first + server.shift}-{len(content) - 1}/{len(content)}"
        self.answer(206 if first else 200, headers)
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(content[first:][:cut])
        if cut is not None:
            self.close_connection = True

    def answer(self, status, headers=None):
        self.send_response(status)
        for name, value in (headers or {"Content-Length": 0}).items():
            if value is not None:
                self.send_header(name, str(value))
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    state = {"log": [], "cuts": [], "statuses": [], "ranges": True, "tag": '"one"', "modified": None, "shift": 0}
    with serving(Handler, files={"/clip.bin": CONTENT}, **state) as server:
        yield server


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """Turn off waiting, proxies and the offline mode of the other tests."""
    monkeypatch.setattr(download, "RETRY_DELAYS", (0, 0))
    monkeypatch.setattr(download, "_PIECE", 1000)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv(download.MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def waits(monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    return waits


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestFetch:
    def test_once(self, server, tmp_path):
        target = tmp_path / "new" / "clip.bin"
        for _ in range(2):
            path = fetch(f"{server.url}/clip.bin", target, md5=MD5, sha256=SHA256.upper(), size=len(CONTENT))
            assert path == target and path.read_bytes() == CONTENT
        assert server.log == [("/clip.bin", None)]
        assert names(target.parent) == ["clip.bin"]

    def test_a_file_that_is_there_and_wrong_is_replaced(self, server, tmp_path):
        (tmp_path / "clip.bin").write_bytes(b"other")
        assert fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin", md5=MD5).read_bytes() == CONTENT

    @pytest.mark.parametrize("tag", ['"one"', None, 'W/"one"'])
    def test_a_cut_connection_is_gone_on_with(self, server, tmp_path, tag):
        server.tag, server.modified = tag, "Mon, 01 Jan 2024 00:00:00 GMT"
        server.cuts = [300_000, 300_000]
        assert fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin", sha256=SHA256).read_bytes() == CONTENT
        offsets = [wanted for _, wanted in server.log]
        assert offsets == [None, "bytes=300000-", "bytes=600000-"]
        assert names(tmp_path) == ["clip.bin"]

    def test_the_next_call_goes_on(self, server, tmp_path):
        server.cuts = [300_000, 100_000, 0]
        with pytest.raises(DownloadError, match=r"clip\.bin: the connection ended after 400000 bytes of 1024000"):
            fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin")
        assert names(tmp_path) == ["clip.bin.part", "clip.bin.part.validator"]
        server.log.clear()
        assert fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin").read_bytes() == CONTENT
        assert server.log == [("/clip.bin", "bytes=400000-")]

    def test_an_end_that_urllib3_does_not_notice(self, server, tmp_path, monkeypatch):
        pieces = iter([b"short", b""])
        monkeypatch.setattr(requests.Response, "iter_content", lambda self, size: [next(pieces)])
        monkeypatch.setattr(download, "RETRY_DELAYS", (0,))
        with pytest.raises(DownloadError, match="ended after 5 bytes of 1024000"):
            fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin")

    def test_a_whole_part_asks_for_nothing(self, server, tmp_path):
        (tmp_path / "clip.bin.part").write_bytes(CONTENT)
        (tmp_path / "clip.bin.part.validator").write_text('"one"')
        fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin", size=len(CONTENT))
        assert server.log == [] and names(tmp_path) == ["clip.bin"]

    def test_a_part_that_is_too_long_starts_over(self, server, tmp_path):
        (tmp_path / "clip.bin.part").write_bytes(CONTENT + b"more")
        (tmp_path / "clip.bin.part.validator").write_text('"one"')
        assert fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin").read_bytes() == CONTENT
        assert [wanted for _, wanted in server.log] == [f"bytes={len(CONTENT) + 4}-", None]

    def test_a_changed_file_is_not_spliced(self, server, tmp_path):
        server.cuts = [300_000, 0, 0]
        with pytest.raises(DownloadError):
            fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin")
        server.tag, server.files["/clip.bin"] = '"two"', CONTENT[::-1]
        assert fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin").read_bytes() == CONTENT[::-1]

    def test_a_changed_file_is_not_spliced_even_by_a_call_that_is_killed(self, server, tmp_path, monkeypatch):
        (tmp_path / "clip.bin.part").write_bytes(CONTENT[:1000])
        (tmp_path / "clip.bin.part.validator").write_text('"older"')
        write_text = Path.write_text

        def killed(path, *args):
            write_text(path, *args)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", killed)
            with pytest.raises(KeyboardInterrupt):
                fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin")
        server.files["/clip.bin"] = CONTENT[::-1]
        assert fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin").read_bytes() == CONTENT[::-1]

    @pytest.mark.parametrize("setting", [{"ranges": False}, {"tag": None}, {"shift": 7}])
    def test_a_server_that_cannot_go_on_starts_over(self, server, tmp_path, setting):
        vars(server).update(setting)
        server.cuts = [300_000]
        assert fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin", sha256=SHA256).read_bytes() == CONTENT
        assert server.log[-1][1] is None or setting == {"ranges": False}

    @pytest.mark.parametrize(
        ("checks", "message"),
        [
            ({"md5": "0" * 32}, f"its md5 is {MD5}, not {'0' * 32}"),
            ({"sha256": "0" * 64}, f"its sha256 is {SHA256}, not {'0' * 64}"),
            ({"size": 5}, f"{len(CONTENT)} bytes, not 5"),
        ],
    )
    def test_another_file_is_removed(self, server, tmp_path, checks, message):
        with pytest.raises(DownloadError, match=message):
            fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin", **checks)
        assert names(tmp_path) == []

    def test_passing_errors_are_tried_again_when_the_server_says(self, server, tmp_path, waits):
        server.statuses = [(503,), (429, {"Retry-After": "7", "Content-Length": 0})]
        fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin", md5=MD5)
        assert waits == [0, 7]

    def test_passing_errors_that_stay(self, server, tmp_path, monkeypatch, waits):
        monkeypatch.setattr(download, "RETRY_DELAYS", (1, 2, 4))
        server.statuses = [(503,)] * 9
        with pytest.raises(DownloadError, match=r"/clip\.bin: 503"):
            fetch(f"{server.url}/clip.bin", tmp_path / "clip.bin")
        assert waits == [1, 2, 4] and len(server.log) == 4

    def test_lasting_errors_are_not_tried_again(self, server, tmp_path):
        with pytest.raises(DownloadError, match=r"/gone\.bin: 404"):
            fetch(f"{server.url}/gone.bin", tmp_path / "gone.bin")
        assert len(server.log) == 1 and names(tmp_path) == []

    def test_nobody_answers(self, server, tmp_path):
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1:1/clip\.bin: .*refused"):
            fetch("http://127.0.0.1:1/clip.bin", tmp_path / "clip.bin")

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "clip.bin"])
    def test_http_alone(self, tmp_path, url):
        with pytest.raises(ValueError, match="neither http nor https"):
            fetch(url, tmp_path / "clip.bin")

    def test_offline_and_the_mirror(self, server, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        with pytest.raises(DownloadError, match=r"https://a\.org/b/clip\.bin: downloads are forbidden by HF_HUB_OFF"):
            fetch("https://a.org/b/clip.bin", tmp_path / "clip.bin")
        monkeypatch.setenv(download.MIRROR_VARIABLE, f"{server.url}/corpora/")
        server.files = {"/corpora/a.org/b/clip.bin": CONTENT}
        assert fetch("https://a.org/b/clip.bin?download=1", tmp_path / "clip.bin").read_bytes() == CONTENT


def zip_of(folder, prefix=""):
    """Return the bytes of a .zip of a folder, names below `prefix`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return buffer.getvalue()


@pytest.fixture
def mirror(server, monkeypatch):
    """Make the server LSSED_HF_MIRROR, offline."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv(download.MIRROR_VARIABLE, server.url)
    server.files = {}
    return server


def serve_archive(server, monkeypatch, module, content, num_files):
    source = replace(module.DOWNLOAD, size=len(content), md5=hashlib.md5(content).hexdigest(), num_files=num_files)
    monkeypatch.setattr(module, "DOWNLOAD", source)
    server.files[source.url.removeprefix("https:/")] = content
    return source


@pytest.fixture
def ravdess_folder(tmp_path, write_clip):
    folder = tmp_path / "ravdess"
    for actor in (1, 15, 17):
        for emotion in (1, 5, 8):
            write_clip(folder / f"Actor_{actor:02}" / f"03-01-{emotion:02}-01-01-01-{actor:02}.wav")
    return folder


@pytest.fixture
def served_ravdess(mirror, monkeypatch, ravdess_folder):
    serve_archive(mirror, monkeypatch, ravdess, zip_of(ravdess_folder), 9)
    return mirror


def cached(tmp_path):
    """Return the names in the cache beside the Arrow files."""
    return [name for name in names(tmp_path / "cache") if name.startswith("lssed_hf_") and not name.endswith(".lock")]


def assert_same_corpus(name, folder, cache_dir):
    """Check that `load_corpus` gives the same rows from its download as from `folder`."""
    got, expected = load_corpus(name, cache_dir=cache_dir), load_corpus(name, folder, cache_dir=cache_dir)
    assert set(got) == set(expected)
    for split in expected:
        rows = [splits[split].cast_column("audio", datasets.Audio(decode=False)) for splits in (got, expected)]
        audio = [[open(row["path"], "rb").read() for row in part["audio"]] for part in rows]  # noqa: SIM115
        assert audio[0] == audio[1]
        assert rows[0].remove_columns("audio").to_list() == rows[1].remove_columns("audio").to_list()


class TestCorpora:
    def test_the_sources(self):
        assert ravdess.DOWNLOAD.num_files == 24 * 60
        assert emodb.DOWNLOAD.num_files == 535
        assert crema_d.DOWNLOAD.num_files == 6 * 1271 - (1271 - 1087)
        for source in (ravdess.DOWNLOAD, emodb.DOWNLOAD):
            assert source.url.startswith("https://zenodo.org/records/") and len(source.md5) == 32
        assert all(source.startswith("https://") and source.endswith("/") for source in crema_d.DOWNLOAD.sources)

    def test_ravdess(self, served_ravdess, tmp_path, ravdess_folder, monkeypatch):
        warnings = []
        monkeypatch.setattr(download.logger, "warning", warnings.append)
        assert_same_corpus("ravdess", ravdess_folder, tmp_path / "c")
        assert len(served_ravdess.log) == 1 and cached(tmp_path) == ["lssed_hf_ravdess"]
        assert len(warnings) == 1 and "MB from zenodo.org" in warnings[0] and "CC BY-NC-SA 4.0" in warnings[0]
        served_ravdess.shutdown()
        assert len(load_corpus("ravdess", cache_dir=tmp_path / "c")["train"]) == 3  # without a server
        assert len(load_splits("ravdess")["train"]) == 2  # angry and neutral

    def test_emodb(self, mirror, tmp_path, write_clip, monkeypatch):
        folder = tmp_path / "emodb"
        for speaker in ("03", "12", "15"):
            for emotion in "WN":
                write_clip(folder / "wav" / f"{speaker}a01{emotion}a.wav")
        (folder / "db.yaml").write_text("name: emodb")
        serve_archive(mirror, monkeypatch, emodb, zip_of(folder, "emodb/"), 6)
        assert_same_corpus("emodb", folder, tmp_path / "c")
        assert cached(tmp_path) == ["lssed_hf_emodb"]

    def test_offline(self, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        message = (
            r"ravdess could not be downloaded\. https://zenodo\.org/records/1188976/files/Audio_Speech_Actors_01-24\.zip"
            r": downloads are forbidden by HF_HUB_OFFLINE .*by hand, download https.*and unpack it.*data_dir="
        )
        with pytest.raises(DownloadError, match=message):
            load_corpus("ravdess")
        with pytest.raises(DownloadError, match=r"by hand, clone https://github\.com/.*/CREMA-D with Git LFS"):
            load_corpus("crema_d")

    def test_an_archive_with_files_missing_is_not_kept(self, mirror, tmp_path, ravdess_folder, monkeypatch):
        serve_archive(mirror, monkeypatch, ravdess, zip_of(ravdess_folder), 1440)
        with pytest.raises(DownloadError, match=r"Actors_01-24\.zip holds 9 audio files, not 1440"):
            load_corpus("ravdess")
        assert cached(tmp_path) == []

    def test_an_archive_of_other_bytes_is_not_kept(self, served_ravdess, tmp_path):
        for path, content in served_ravdess.files.items():
            served_ravdess.files[path] = content[:-1] + b"!"
        with pytest.raises(DownloadError, match=r"ravdess could not be downloaded.*its md5 is [0-9a-f]{32}, not"):
            load_corpus("ravdess")
        assert not list((tmp_path / "cache").rglob("*.zip*"))

    def test_a_broken_download_is_gone_on_with(self, served_ravdess, tmp_path):
        served_ravdess.cuts = [1000, 0, 0]
        with pytest.raises(DownloadError, match="the connection ended after 1000 bytes of"):
            load_corpus("ravdess")
        assert cached(tmp_path) == ["lssed_hf_ravdess.download"]
        assert len(load_corpus("ravdess")["train"]) == 3
        assert served_ravdess.log[-1][1] == "bytes=1000-" and cached(tmp_path) == ["lssed_hf_ravdess"]

    def test_a_call_that_was_killed_before_the_end(self, served_ravdess, tmp_path):
        left = tmp_path / "cache" / "lssed_hf_ravdess.download" / "whole"
        left.mkdir(parents=True)
        (left / "old.wav").write_bytes(b"")
        assert len(load_corpus("ravdess")["train"]) == 3
        assert cached(tmp_path) == ["lssed_hf_ravdess"]

    def test_calls_at_the_same_time_download_once(self, served_ravdess):
        with ThreadPoolExecutor(4) as pool:
            folders = list(pool.map(lambda _: ravdess.Ravdess.default_data_dir(), range(4)))
        assert len(set(folders)) == 1 and len(served_ravdess.log) == 1


class TestGitLfs:
    @pytest.fixture
    def folder(self, tmp_path, write_clip):
        folder = tmp_path / "crema"
        for index, actor in enumerate(range(1001, 1013)):
            for emotion in ("ANG", "NEU"):
                write_clip(folder / "AudioWAV" / f"{actor}_DFA_{emotion}_XX.wav", frequency=300 + 50 * index)
        (folder / "VideoDemographics.csv").write_text('"ActorID","Age","Sex"\n1001,51,"Male"\n')
        return folder

    @pytest.fixture
    def served(self, mirror, folder, tmp_path, monkeypatch):
        """Serve the repository with pointers in place of audio, and the audio at the first source."""
        monkeypatch.setattr(crema_d, "DOWNLOAD", replace(crema_d.DOWNLOAD, num_files=24))
        repository = tmp_path / "repository"
        for path in folder.rglob("*.*"):
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            if path.suffix == ".wav":
                mirror.files[crema_d.DOWNLOAD.sources[0].removeprefix("https:/") + name] = content
                digest = hashlib.sha256(content).hexdigest()
                content = (
                    f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()
                )
            for copy in (name, name.replace("AudioWAV", "AudioMP3").replace(".wav", ".mp3")):
                (repository / copy).parent.mkdir(parents=True, exist_ok=True)
                (repository / copy).write_bytes(content)
        (repository / "finishedResponses.csv").write_text("large")
        mirror.files[crema_d.DOWNLOAD.url.removeprefix("https:/")] = zip_of(repository, "CREMA-D-1658cd3/")
        return mirror

    def requests_of(self, server, source):
        return [path for path, _ in server.log if path.startswith(source.removeprefix("https:/"))]

    def test_crema_d(self, served, folder, tmp_path):
        assert_same_corpus("crema_d", folder, tmp_path / "c")
        assert len(served.log) == 25 and cached(tmp_path) == ["lssed_hf_crema_d"]
        got = tmp_path / "cache" / "lssed_hf_crema_d"
        assert names(got) == ["AudioWAV", "VideoDemographics.csv"]
        load_corpus("crema_d", cache_dir=tmp_path / "c")
        assert len(served.log) == 25

    @pytest.mark.parametrize("fault", ["gone", "pointer", "other"])
    def test_the_mirror_of_the_repository_stands_in(self, served, folder, tmp_path, fault, monkeypatch):
        monkeypatch.setattr(download, "_THREADS", 1)
        first, second = crema_d.DOWNLOAD.sources
        for path in [path for path in served.files if path.endswith(".wav")]:
            content = served.files.pop(path)
            served.files[path.replace(first.removeprefix("https:/"), second.removeprefix("https:/"))] = content
            if fault != "gone":
                served.files[path] = b"version https" if fault == "pointer" else content[::-1]
        assert_same_corpus("crema_d", folder, tmp_path / "c")
        assert len(self.requests_of(served, first)) == 1  # it failed, and was not asked again
        assert len(self.requests_of(served, second)) == 24

    def test_one_file_that_cannot_be_had(self, served, tmp_path, monkeypatch):
        monkeypatch.setattr(download, "_THREADS", 1)
        gone = next(path for path in served.files if path.endswith("1003_DFA_ANG_XX.wav"))
        content = served.files.pop(gone)
        with pytest.raises(DownloadError, match=r"crema_d could not be downloaded.*1003_DFA_ANG_XX\.wav: 404"):
            load_corpus("crema_d")
        assert cached(tmp_path) == ["lssed_hf_crema_d.download"]
        served.log.clear()
        served.files[gone] = content
        load_corpus("crema_d")
        fetched = self.requests_of(served, crema_d.DOWNLOAD.sources[0])
        assert len(served.log) == len(fetched) < 24 and gone in fetched  # fetched files were kept

    def test_a_damaged_repository_is_not_kept(self, served, tmp_path):
        url = crema_d.DOWNLOAD.url.removeprefix("https:/")
        good, served.files[url] = served.files[url], b"<html>try later</html>"
        with pytest.raises(DownloadError, match=r"repository\.zip is damaged or incomplete"):
            load_corpus("crema_d")
        served.files[url] = good
        assert sum(map(len, load_corpus("crema_d").values())) == 24


def test_sessions_are_shared_on_request(server, tmp_path):
    with requests.Session() as session:
        for name in ("a", "b"):
            fetch(f"{server.url}/clip.bin", tmp_path / name, session=session)
        assert len(session.adapters["http://"].poolmanager.pools) == 1
