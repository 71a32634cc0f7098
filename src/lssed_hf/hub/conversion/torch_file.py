"""Files of `torch.save`, in the zip format and in the stream format of before torch 1.6, read without running them."""

import collections
import contextlib
import io
import os
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

from .restricted_pickle import (
    DTYPES,
    MAX_BYTES,
    CheckpointError,
    GlobalName,
    SavedStorage,
    SavedTensor,
    is_count,
    read_pickle,
    shown,
)


_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"  # first operation, from protocol 2 on
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
#: Exceptions of zipfile for damaged archives. OSError: the place of a member is negative.
_DAMAGE = (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OverflowError, struct.error, OSError)


def is_torch_file(path: str | os.PathLike) -> bool:
    """Return whether a file looks like one of `torch.save`, of either format."""
    with open(path, "rb") as file:
        start = file.read(4)
        if start != _ZIP:
            return start[:1] == _PICKLE
        try:
            with zipfile.ZipFile(file) as archive:
                return any(_is_root_pickle(name) for name in archive.namelist())
        except _DAMAGE:
            return False


def _is_root_pickle(name: str) -> bool:
    folder, _, base = name.partition("/")
    return bool(folder) and base == "data.pkl"


class TorchFile:
    """File of `torch.save`, to be closed or used as a context manager.

    Work is bounded by the size of the file: nothing in it may be compressed, numbers are read once and on demand, and
    claimed sizes are compared with the file.

    Args:
        path: Path of the file.
        classes: Full names of the classes whose instances may occur.

    Attributes:
        content: Saved object, of dicts, lists, tuples, sets, texts, numbers, `SavedObject` and `SavedTensor`.

    Raises:
        CheckpointError: The file is damaged, of another format, or holds anything else.
        OSError: The file cannot be read.
    """

    def __init__(self, path: str | os.PathLike, classes: Collection[str] = ()):
        self._name = Path(path).name
        self._classes = classes
        self._claimed: dict[str, tuple[torch.dtype, int]] = {}
        self._read: dict[str, torch.Tensor] = {}
        self._file = open(path, "rb")  # noqa: SIM115 (closed by close)
        try:
            with self._named_errors():
                self.content, self._storages = self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "TorchFile":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def tensor(self, saved: SavedTensor) -> torch.Tensor:
        """Return a tensor on the CPU. Tensors of one storage share memory.

        Raises:
            CheckpointError: The numbers are missing, or not as many as the pickle says.
        """
        storage = saved.storage
        if storage.key not in self._read:
            dtype, numel = self._claimed[storage.key]
            with self._named_errors():
                data = bytearray(self._storages.data(storage.key, numel * dtype.itemsize))
            self._read[storage.key] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self._read[storage.key].as_strided(saved.shape, saved.stride, storage.start + saved.offset)

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Put the name of the file into the messages of errors."""
        try:
            yield
        except CheckpointError as error:
            raise CheckpointError(f"{self._name} cannot be read as weights alone: {error}") from error

    def _open(self) -> tuple[Any, "_ZipStorages | _StreamStorages"]:
        self._size = os.fstat(self._file.fileno()).st_size
        start = self._file.read(4)
        self._file.seek(0)
        if start == _ZIP:
            storages = _ZipStorages(self._file, self._size)
            return read_pickle(io.BytesIO(storages.pickle()), self._classes, self._resolve), storages
        if start[:1] == _PICKLE:
            return self._open_stream(io.BytesIO(self._file.read(MAX_BYTES)))
        raise CheckpointError("it is no file of torch.save, neither a zip archive nor a pickle")

    def _open_stream(self, pickles: BinaryIO) -> tuple[Any, "_StreamStorages"]:
        if read_pickle(pickles, self._classes) != _MAGIC or read_pickle(pickles) != _PROTOCOL:
            raise CheckpointError("it is a pickle, but none of torch.save")
        system = read_pickle(pickles)
        if type(system) is not dict or system.get("little_endian") is not True:
            raise CheckpointError("it was saved by a big-endian machine; save it anew on another")
        content, keys = read_pickle(pickles, self._classes, self._resolve), read_pickle(pickles)
        if type(keys) is not list or not all(type(key) is str for key in keys) or len(set(keys)) < len(keys):
            raise CheckpointError("its list of storages is damaged")
        self._file.seek(pickles.tell())
        return content, _StreamStorages(self._file, self._size, keys, self._claimed)

    def _resolve(self, saved_id: object) -> object:
        """Return the storage, or the class saved with its source (old format), that a persistent id stands for."""
        match saved_id:
            case ("module", GlobalName() as kind, _, _):
                return kind
            case ("storage", GlobalName(name), str(key), _, int(numel), *view) if len(view) <= 1:
                if name in DTYPES and is_count(numel):
                    return self._storage(key, DTYPES[name], numel, view[0] if view else None)
        raise CheckpointError("its pickle refers to something other than a storage of numbers")

    def _storage(self, key: str, dtype: torch.dtype, numel: int, view: object) -> SavedStorage:
        if numel * dtype.itemsize > self._size:
            raise CheckpointError(f"storage {shown(key)} claims {numel} numbers, more than the file can hold")
        if self._claimed.setdefault(key, (dtype, numel)) != (dtype, numel):
            raise CheckpointError(f"storage {shown(key)} is claimed with two types or sizes")
        match view:
            case None:
                return SavedStorage(key, dtype, numel)
            case (_, start, size) if is_count(start) and is_count(size) and start + size <= numel:
                return SavedStorage(key, dtype, size, start)
        raise CheckpointError(f"a view of storage {shown(key)} lies outside of it")


class _ZipStorages:
    """Members of a zip archive: NAME/data.pkl, and NAME/data/KEY for each storage, none of them compressed."""

    def __init__(self, file: BinaryIO, size: int):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._archive = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise CheckpointError(f"it is a damaged zip archive ({error})") from error
        members = self._archive.infolist()
        (name, count), *_ = collections.Counter(info.filename for info in members).most_common(1) or [("", 1)]
        if count > 1:
            raise CheckpointError(f"it has {shown(name)} {count} times")
        for info in members:
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
                raise CheckpointError(f"{shown(info.filename)} is compressed or encrypted, as torch.save never does")
        if sum(info.file_size for info in members) > size:
            raise CheckpointError("its members claim more bytes than the whole file has")
        self._members = {info.filename: info for info in members}
        roots = [name for name in self._members if _is_root_pickle(name)]
        if len(roots) != 1:
            raise CheckpointError("it is a zip archive, but none of torch.save (which has one data.pkl)")
        self._folder = roots[0].partition("/")[0]
        if f"{self._folder}/constants.pkl" in self._members:
            raise CheckpointError("it is a TorchScript archive; save the model or its state_dict by torch.save")
        if f"{self._folder}/byteorder" in self._members and self._member("byteorder", 10) != b"little":
            raise CheckpointError("it was saved by a big-endian machine; save it anew on another")

    def pickle(self) -> bytes:
        return self._member("data.pkl", MAX_BYTES)

    def data(self, key: str, size: int) -> bytes:
        info = self._members.get(f"{self._folder}/data/{key}")
        if info is None or info.file_size != size:
            there = "is missing" if info is None else f"has {info.file_size} bytes"
            raise CheckpointError(f"storage {shown(key)} {there} where the pickle says {size} bytes")
        return self._member(f"data/{key}", size)

    def _member(self, name: str, most: int) -> bytes:
        info = self._members[f"{self._folder}/{name}"]
        if info.file_size > most:
            raise CheckpointError(f"{shown(info.filename)} has {info.file_size} bytes; {most} are read at most")
        try:
            return self._archive.read(info)
        except _DAMAGE as error:
            raise CheckpointError(f"{shown(info.filename)} is damaged ({error})") from error


class _StreamStorages:
    """Storages behind the pickles of a stream, in the order of their list: an int64 count, then the numbers."""

    def __init__(self, file: BinaryIO, size: int, keys: list[str], claimed: dict[str, tuple[torch.dtype, int]]):
        self._file = file
        self._places: dict[str, int] = {}
        for key in keys:
            if key not in claimed:
                raise CheckpointError(f"storage {shown(key)} is listed, but nothing is made of it")
            dtype, numel = claimed[key]
            if file.read(8) != numel.to_bytes(8, "little"):
                raise CheckpointError(f"storage {shown(key)} is cut off, or has not the {numel} numbers it claims")
            self._places[key] = file.tell()
            if file.seek(numel * dtype.itemsize, os.SEEK_CUR) > size:
                raise CheckpointError(f"storage {shown(key)} is cut off")

    def data(self, key: str, size: int) -> bytes:
        if key not in self._places:
            raise CheckpointError(f"storage {shown(key)} has no numbers")
        self._file.seek(self._places[key])
        return self._file.read(size)
