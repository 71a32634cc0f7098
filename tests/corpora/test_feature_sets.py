"""LSSED's feature sets as files: sound, damaged and hostile ones."""

import io
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lssed_hf.corpora import CorpusDataError
from lssed_hf.corpora.feature_sets import FEATURE_SETS, FEATURE_SUFFIXES, read_features, table_offsets


VALUES = np.arange(1, 25, dtype=np.float32).reshape(2, 12)


@pytest.fixture
def write(tmp_path):
    def write(content: bytes | str, name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make a folder for properties, whose examples overwrite each other's file."""
    return tmp_path_factory.mktemp("features")


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Return a grey picture whose header gives that size and whose pixels are missing."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(99))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


GREY = np.arange(200, dtype=np.uint8).reshape(10, 20)
NOISE = np.random.default_rng(0).integers(0, 256, (30, 40), dtype=np.uint8)


class TestContainers:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.npy", npy(VALUES)),
            ("a.NPY", npy(VALUES.astype(np.float64))),
            ("a.npy", npy(np.asfortranarray(VALUES.astype(np.int16)))),
            ("a.csv", "\n".join(",".join(map(str, row)) for row in VALUES)),
            ("a.csv", "\ufeff" + "\r\n".join(";".join(map(str, row)) for row in VALUES)),
            ("a.csv", "\n".join("  ".join(map(str, row)) for row in VALUES)),
            ("a.csv", ",".join("abcdefghijkl") + "\n" + "\n".join(",".join(map(str, row)) for row in VALUES)),
        ],
    )
    def test_frames(self, write, name, content):
        values = read_features(write(content, name), "vq_wav2vec")
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, VALUES)

    @pytest.mark.parametrize("shape", [(24,), (1, 24), (24, 1)])
    def test_functionals(self, write, shape):
        values = read_features(write(npy(VALUES.reshape(shape)), "a.npy"), "is13_compare")
        np.testing.assert_array_equal(values, VALUES.reshape(-1))

    def test_pictures(self, write):
        np.testing.assert_array_equal(read_features(write(png(GREY), "a.png"), "spectrogram"), GREY[None])
        grey_in_colour = np.repeat(GREY[:, :, None], 3, axis=2)
        np.testing.assert_array_equal(read_features(write(png(grey_in_colour), "b.png"), "spectrogram"), GREY[None])
        colour = np.stack([GREY, GREY[::-1], GREY.T.reshape(10, 20)], axis=2)
        values = read_features(write(png(colour), "c.png"), "spectrogram")
        np.testing.assert_array_equal(values, np.moveaxis(colour, -1, 0))


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_pictures_of_16_bits_are_scaled_to_those_of_8(write, kind):
    deep = GREY.astype(kind) * 257
    values = read_features(write(png(deep), "a.png"), "spectrogram")
    np.testing.assert_allclose(values, GREY[None], rtol=1e-6)
    assert read_features(write(png(np.full((10, 20), 65535, kind)), "a.png"), "spectrogram").max() == 255


class Payload:
    """Object that makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class TestHostileFiles:
    @pytest.mark.parametrize("kind", ["object array", "plain pickle", "npz"])
    @pytest.mark.parametrize("suffix", FEATURE_SUFFIXES)
    def test_nothing_is_unpickled(self, write, tmp_path, kind, suffix):
        payload = Payload(tmp_path / "pwned")
        array = np.array([payload], dtype=object)
        if kind == "object array":
            content = npy(array)
        elif kind == "plain pickle":
            content = pickle.dumps(payload)
        else:
            file = io.BytesIO()
            np.savez(file, array)
            content = file.getvalue()
        for feature_set in FEATURE_SETS:
            with pytest.raises(CorpusDataError, match=f"evil{suffix}: damaged, or no {feature_set}"):
                read_features(write(content, f"evil{suffix}"), feature_set)
        assert not payload.path.exists()

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            pytest.param("a.png", b"", "cannot identify", id="0 bytes"),
            pytest.param("a.png", b"Dear Sir or Madam,\n" * 50, "cannot identify", id="text"),
            pytest.param("a.png", png(NOISE)[:-400], "truncated", id="cut PNG"),
            pytest.param("a.png", png(GREY[:1, :1]), "a picture of 1 x 1 pixels", id="1 x 1"),
            pytest.param("a.png", png_header(30_000, 30_000), "pixels", id="bomb"),
            pytest.param("a.png", png_header(9_000, 9_000), "9000 x 9000 pixels", id="smaller bomb"),
            pytest.param("a.png", b"GIF89a" + bytes(99), "cannot identify", id="GIF"),
            pytest.param("a.npy", b"", "No data|EOF", id="no bytes"),
            pytest.param("a.npy", npy(VALUES)[:-4], "", id="cut NPY"),
            pytest.param("a.npy", npy(VALUES).replace(b"(2, 12)", b"(2, 9999999999)"), "", id="promises too much"),
            pytest.param("a.npy", npy(VALUES[:0]), "", id="no values"),
            pytest.param("a.npy", npy(VALUES[None, None]), "shape .1, 1, 2, 12. where", id="dimensions"),
            pytest.param("a.npy", npy(np.array(["sad"])), "holds <U3, not real numbers", id="words"),
            pytest.param("a.npy", npy(VALUES * 1j), "complex64, not real numbers", id="complex"),
            pytest.param("a.npy", npy(VALUES * np.nan), "NaN or infinite", id="NaN"),
            pytest.param("a.npy", npy(VALUES.astype(np.float64) * 1e300), "overflow", id="too large for float32"),
            pytest.param("a.csv", "", "no data", id="empty CSV"),
            pytest.param("a.csv", "a,b\n", "no data", id="header alone"),
            pytest.param("a.csv", "a,b\n1,2\n3,sad\n", "sad", id="text in CSV"),
            pytest.param("a.csv", "1,x\n3,4\n", "its first line holds both numbers and text", id="text in line 1"),
            pytest.param("a.csv", "1,2\n3\n", "columns", id="short line"),
            pytest.param("a.csv", "1,2\n3,1e400\n", "NaN or infinite", id="infinity"),
            pytest.param("a.csv", "1,ä\n".encode("latin-1"), "utf-8", id="Latin-1"),
            pytest.param("a.txt", "1,2\n", "txt", id="another suffix"),
        ],
    )
    def test_damaged_ones_are_named(self, write, name, content, message):
        path = write(content, name)
        with pytest.raises(CorpusDataError, match=f"(?s)a.{name[2:]}: damaged, or no \\w+ .*({message})") as error:
            read_features(path, "spectrogram" if name == "a.png" else "vq_wav2vec")
        assert str(path) in str(error.value)

    @pytest.mark.parametrize(
        ("suffix", "content"),
        [(".png", png(NOISE)), (".npy", npy(NOISE))],
    )
    def test_no_cut_goes_unnoticed(self, write, suffix, content):
        for length in range(0, len(content), 11):
            try:
                values = read_features(write(content[:length], f"cut{suffix}"), "spectrogram")
            except CorpusDataError:
                continue
            np.testing.assert_array_equal(values, NOISE[None])  # nothing was cut but what comes after the values

    def test_missing(self, tmp_path):
        with pytest.raises(CorpusDataError, match=r"gone\.npy"):
            read_features(tmp_path / "gone.npy", "vq_wav2vec")


HEADER = "name;frameTime;a;b\n"


class TestTables:
    @pytest.mark.parametrize("table", [HEADER + "'c1';0.0;1;2\n\n'c2';0;3;4\n", "id,a,b\r\nc1,1,2\r\nc2,3,4"])
    def test_lines_by_name(self, write, table):
        path = write(table, "is13_compare.csv")
        values = {name: read_features(path, "is13_compare", at).tolist() for name, at in table_offsets(path)}
        assert values == {"c1": [1, 2], "c2": [3, 4]}

    @pytest.mark.parametrize("line", ["c2;0;3", "c2;0;3;4;5", "c2;0;3;sad", "c2;0;3;nan", "c2;0;3;"])
    def test_a_bad_line_is_located(self, write, line):
        path = write(f"{HEADER}c1;0;1;2\n{line}\nc3;0;5;6\n", "is13_compare.csv")
        offsets = dict(table_offsets(path))
        assert list(offsets) == ["c1", "c2", "c3"]
        with pytest.raises(CorpusDataError, match=r"is13_compare\.csv, line 3: damaged, or no is13_compare"):
            read_features(path, "is13_compare", offsets["c2"])
        assert read_features(path, "is13_compare", offsets["c3"]).tolist() == [5, 6]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            pytest.param("", " has no name column: looked for name, file", id="empty"),
            pytest.param("a,b\n1,2\n", " has no name column", id="no column"),
            pytest.param("name,a\nc1,1\nö,2\n".encode("latin-1"), ", line 3: no line of a CSV file", id="Latin-1"),
            pytest.param("name,a\n" + "x" * 200_000, ", line 2: no line of a CSV file .*limit", id="a huge cell"),
            pytest.param("name,a\rc1,1\rc2,2\r", ", line 1: no line of a CSV file", id="old Mac"),
            pytest.param(png(GREY), ", line 1: no line of a CSV file", id="picture"),
        ],
    )
    def test_no_table(self, write, content, message):
        path = write(content, "is13_compare.csv")
        with pytest.raises(CorpusDataError, match=f"is13_compare.csv{message}"):
            list(table_offsets(path))


def altered(content: bytes) -> st.SearchStrategy[bytes]:
    """Return the content with some of its first 400 bytes replaced, and cut anywhere."""
    at = st.integers(0, min(400, len(content)) - 1)

    def alter(changes: list[tuple[int, int]], length: int) -> bytes:
        changed = bytearray(content)
        for index, value in changes:
            changed[index] = value
        return bytes(changed[:length])

    changes = st.lists(st.tuples(at, st.integers(0, 255)), max_size=4)
    return st.builds(alter, changes, st.integers(0, len(content)) | st.just(len(content)))


SOUND = {".png": png(GREY), ".npy": npy(VALUES), ".csv": b"a,b\n1,2\n3,4\n"}


@pytest.mark.fuzz
@pytest.mark.parametrize("suffix", FEATURE_SUFFIXES)
@given(data=st.data())
def test_any_bytes_are_read_or_refused_by_name(folder, suffix, data):
    content = data.draw(st.binary(max_size=300) | altered(SOUND[suffix]))
    path = folder / f"any{suffix}"
    path.write_bytes(content)
    for feature_set in FEATURE_SETS:
        try:
            values = read_features(path, feature_set)
        except CorpusDataError as error:
            assert f"{path}: damaged, or no {feature_set}" in str(error)
        else:
            assert values.dtype == np.float32 and values.size and np.isfinite(values).all()


@pytest.mark.fuzz
@given(st.binary(max_size=300) | altered(HEADER.encode() + b"c1;0;1;2\nc2;0;3;4\n"))
def test_any_bytes_as_a_table(folder, content):
    path = folder / "is13_compare.csv"
    path.write_bytes(content)
    try:
        for _, offset in table_offsets(path):
            read_features(path, "is13_compare", offset)
    except CorpusDataError as error:
        assert str(path) in str(error)
