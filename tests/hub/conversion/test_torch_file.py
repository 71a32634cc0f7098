"""Hostile, damaged and other files: each is refused with the reason, and no code in it runs."""

import contextlib
import copyreg
import io
import os
import pickle
import struct
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

import lssed_hf
from lssed_hf.hub.conversion.restricted_pickle import MAX_OPERATIONS, CheckpointError, SavedObject
from lssed_hf.hub.conversion.torch_file import TorchFile


CONV = "torch.nn.modules.conv.Conv2d"
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)


# Pieces of pickles. A value is the operations that leave it on the stack.
def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def name(full: str) -> bytes:
    module, _, attribute = full.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def tuple_of(*values: bytes) -> bytes:
    return b"(" + b"".join(values) + b"t"


def call(function: str, *arguments: bytes) -> bytes:
    return name(function) + tuple_of(*arguments) + b"R"


def storage(key: str = "0", numel: int = 4, kind: str = "torch.FloatStorage") -> bytes:
    return tuple_of(text("storage"), name(kind), text(key), text("cpu"), number(numel)) + b"Q"


def tensor(*, of: bytes | None = None, offset: int = 0, shape=(4,), stride=(1,)) -> bytes:
    sizes = (tuple_of(*map(number, axes)) for axes in (shape, stride))
    hooks = call("collections.OrderedDict")
    return call("torch._utils._rebuild_tensor_v2", of or storage(), number(offset), *sizes, b"\x89", hooks)


def pickled(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def state_dict(value: bytes) -> bytes:
    return pickled(b"}" + text("conv1.weight") + value + b"s")


def write_zip(path: Path, pickle_: bytes, storages: dict[str, bytes] | None = None, **members: bytes) -> Path:
    storages = {"0": bytes(16)} if storages is None else storages
    with zipfile.ZipFile(path, "w") as file:
        for member, content in {"data.pkl": pickle_, "version": b"3\n", **members}.items():
            file.writestr(f"m/{member}", content)
        for key, content in storages.items():
            file.writestr(f"m/data/{key}", content)
    return path


def write_legacy(path: Path, pickle_: bytes, storages: dict[str, bytes] | None = None) -> Path:
    storages = {"0": bytes(16)} if storages is None else storages
    numbers = b"".join(struct.pack("<q", len(content) // 4) + content for content in storages.values())
    path.write_bytes(MAGIC + pickle_ + pickle.dumps(list(storages), 2) + numbers)
    return path


WRITERS = {"zip": write_zip, "legacy": write_legacy}


def refuse(path: Path, match: str) -> None:
    """Check that the converter refuses a file and writes nothing."""
    with pytest.raises(CheckpointError, match=match) as caught:
        lssed_hf.convert_checkpoint(path, path.parent / "out")
    assert str(caught.value).startswith(f"{path.name} cannot be read as weights alone: ")
    assert not (path.parent / "out").exists()


class TestNothingRuns:
    """Attacks that work on Python's unpickler, which the tests show first, and not here."""

    ATTACKS = {
        "os.system": lambda run: (pickled(call("os.system", text(run))), "'os.system'"),
        "posix.system": lambda run: (pickled(call("posix.system", text(run))), "'posix.system'"),
        "subprocess": lambda run: (pickled(call("subprocess.getoutput", text(run))), "'subprocess.getoutput'"),
        "eval": lambda run: (
            pickled(call("builtins.eval", text(f"__import__('os').system({run!r})"))),
            "'builtins.eval'",
        ),
        "eval of Python 2": lambda run: (
            pickled(call("__builtin__.eval", text(f"__import__('os').system({run!r})"))),
            "'builtins.eval'",
        ),
        "among weights": lambda run: (state_dict(call("os.system", text(run))), "'os.system'"),
        "below a list in a dict": lambda run: (
            pickled(b"}" + text("a") + b"](" + call("os.system", text(run)) + b"es"),
            "'os.system'",
        ),
        "getattr": lambda run: (
            pickled(call("builtins.getattr", call("importlib.import_module", text("os")), text("system"))[:-1] + b"R")
            [:-1] + tuple_of(text(run)) + b"R.",
            "'builtins.getattr'",
        ),
        "STACK_GLOBAL": lambda run: (
            b"\x80\x04" + text("os") + text("system") + b"\x93" + tuple_of(text(run)) + b"R.",
            "'os.system'",
        ),
        "a dotted name": lambda run: (
            b"\x80\x04" + text("torch") + text("os.system") + b"\x93" + tuple_of(text(run)) + b"R.",
            "'torch.os.system'",
        ),
        "INST": lambda run: (b"(" + text(run) + b"ios\nsystem\n.", "operation INST"),
        "OBJ": lambda run: (b"(" + name("subprocess.Popen") + text(run) + b"\x89\x8c\x00o.", "'subprocess.Popen'"),
        "hidden behind a memo": lambda run: (
            b"\x80\x02" + name("os.system") + b"q\x05" + b"0" + b"h\x05" + tuple_of(text(run)) + b"R.",
            "'os.system'",
        ),
        "dropped from the stack": lambda run: (pickled(call("os.system", text(run)) + b"0N"), "'os.system'"),
        "a pickle within": lambda run: (
            pickled(call("pickle.loads", b"U" + bytes([len(p := pickled(call("os.system", text(run))))]) + p)),
            "'pickle.loads'",
        ),
        "arguments of a state": lambda run: (
            pickled(
                name("argparse.Namespace") + b")\x81" + b"}" + text("a") + call("os.system", text(run)) + b"sb"
            ),
            "makes an instance of 'argparse.Namespace'",
        ),
    }  # fmt: skip

    @pytest.mark.parametrize("container", WRITERS)
    @pytest.mark.parametrize("attack", ATTACKS)
    def test_attack(self, tmp_path, attack, container):
        canary = tmp_path / "canary"
        payload, match = self.ATTACKS[attack](f"touch {canary}")
        with contextlib.suppress(Exception):
            pickle.loads(payload, encoding="latin-1")
        if attack not in ("OBJ", "a pickle within"):
            assert canary.exists(), "an attack that does nothing shows nothing"
            canary.unlink()
        refuse(WRITERS[container](tmp_path / "m.pth", payload), match)
        (tmp_path / "raw.pth").write_bytes(b"\x80\x02" + payload if payload[:1] != b"\x80" else payload)
        refuse(tmp_path / "raw.pth", match)
        assert not canary.exists()

    def test_in_the_arguments_of_a_tensor(self, tmp_path):
        attack = call("os.system", text(f"touch {tmp_path}/canary"))
        for of in (attack, storage() + b"0" + attack):
            refuse(write_zip(tmp_path / "m.pth", state_dict(tensor(of=of))), r"'os\.system'")
        persistent = tuple_of(text("storage"), attack, text("0"), text("cpu"), number(4)) + b"Q"
        refuse(write_zip(tmp_path / "m.pth", state_dict(tensor(of=persistent))), r"'os\.system'")
        assert not (tmp_path / "canary").exists()

    def test_by_objects_that_pickle_themselves(self, tmp_path):
        class Attack:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "canary"),)

        for legacy in (False, True):
            torch.save({"state_dict": Attack()}, tmp_path / "m.pth", _use_new_zipfile_serialization=not legacy)
            refuse(tmp_path / "m.pth", r"it holds '\w+\.mkdir', which is not among .*; nothing in it was run")
        assert not (tmp_path / "canary").exists()

    def test_extension_codes(self, tmp_path):
        copyreg.add_extension("os", "mkdir", 240)
        try:
            payload = b"\x80\x02\x82\xf0" + tuple_of(text(f"{tmp_path}/canary")) + b"R."
            pickle.loads(payload)
            (tmp_path / "canary").rmdir()
            refuse(write_zip(tmp_path / "m.pth", payload), "operation EXT1, which torch.save never writes")
        finally:
            copyreg.remove_extension("os", "mkdir", 240)
        assert not (tmp_path / "canary").exists()

    @pytest.mark.parametrize(
        ("value", "match"),
        [
            (name(CONV) + b"}" + text("forward") + text("x") + b"sb", f"sets the state of '{CONV}'"),
            (tensor() + b"}b", "sets the state of a SavedTensor"),
            (b"]}b", "sets the state of a list"),
            (name(CONV) + b")R", "calls 'torch.nn.modules.conv.Conv2d'"),
            (name(CONV) + tuple_of(number(1)) + b"\x81", "makes an instance of 'torch.nn.modules.conv.Conv2d'"),
            (name("torch.FloatStorage") + tuple_of(number(2**40)) + b"R", "calls 'torch.FloatStorage'"),
            (name("torch._utils._rebuild_tensor_v2") + b")\x81", "makes an instance of"),
            (text("os.system") + b")R", "calls a str"),
            (b"N" + number(3) + b"\x93", "names a global by NoneType and 3"),
            (name("torch.nn.modules.conv.Conv2d.__init__"), r"'torch\.nn\.modules\.conv\.Conv2d\.__init__'"),
            (name("torch.load"), "'torch.load'"),
            (name("torch.storage._load_from_bytes"), "'torch.storage._load_from_bytes'"),
            (name("torch.nn.modules.module.Module"), "'torch.nn.modules.module.Module'"),
            (name("pyconvresnet.torch"), "'pyconvresnet.torch'"),
            (name("evil.pyconvresnet.PyConvResNet"), "'evil.pyconvresnet.PyConvResNet'"),
            (b"c\x1b[2J" + b"x" * 500 + b"\nsystem\n", r"'\\x1b\[2Jx+\.\.\.,"),
            (b"}]Ns", "has a list for a key"),
            (b"}((ttNs", "has a tuple for a key"),
            (b"]" + number(1) + number(2) + b"s", "fills a list as if it were a dict"),
            (tensor() + b"Na", "fills a SavedTensor as if it were a list"),
            (call("collections.OrderedDict", text("ab")), "OrderedDict of something else than pairs"),
            (call("builtins.set", number(3)), "set of something else"),
            (call("torch.Size", text("a")), "torch.Size of something else"),
            (call("torch._utils._rebuild_parameter", name(CONV)), "parameter of something else"),
        ],
    )  # fmt: skip
    def test_allowed_names_in_other_places(self, tmp_path, value, match):
        refuse(write_zip(tmp_path / "m.pth", pickled(value)), match)

    def test_state_is_data_whatever_its_names(self, tmp_path):
        state = b"}" + b"".join(
            text(n) + text("x") + b"s" for n in ("__class__", "__setstate__", "__reduce__", "kind")
        )
        write_zip(tmp_path / "m.pth", pickled(name(CONV) + b")\x81" + state + b"b"))
        with TorchFile(tmp_path / "m.pth", [CONV]) as file:
            assert type(file.content) is SavedObject and file.content.kind == CONV
            assert file.content.state["__class__"] == "x"

    def test_old_versions(self, tmp_path):
        pairs = b"](](U\x01a" + number(1) + b"e](U\x01b" + number(2) + b"ee"
        backend = call("torch.nn.backends.thnn._get_thnn_function_backend")
        value = (
            b"}" + text("pairs") + call("collections.OrderedDict", pairs) + b"s" + text("_backend") + backend + b"s"
        )
        value += text("set") + call("__builtin__.set", b"](" + number(3) + b"e") + b"s"
        write_zip(tmp_path / "m.pth", pickled(value))
        with TorchFile(tmp_path / "m.pth") as file:
            assert file.content["pairs"] == {"a": 1, "b": 2} and file.content["set"] == {3}
            assert file.content["_backend"].kind == "torch.nn.backends.thnn._get_thnn_function_backend"


class TestTensors:
    @pytest.mark.parametrize("container", WRITERS)
    @pytest.mark.parametrize(
        ("value", "match"),
        [
            (tensor(shape=(5,)), r"shape \(5,\), strides \(1,\) and offset 0 lies outside of its storage '0' of 4"),
            (tensor(offset=1), "outside of its storage"),
            (tensor(shape=(2, 2), stride=(3, 1)), "outside of its storage"),
            (tensor(offset=5, shape=(0,)), "outside of its storage"),
            (tensor(shape=(10**12,), stride=(0,)), "outside of its storage"),
            (tensor(shape=(2**40, 2**40), stride=(1, 1)), "outside of its storage"),
            (tensor(offset=-1), "not plain counts"),
            (tensor(shape=(-1,)), "not plain counts"),
            (tensor(stride=(-1,)), "not plain counts"),
            (tensor(shape=(1,) * 9, stride=(1,) * 9), "not plain counts"),
            (tensor(shape=(2, 2)), "not plain counts"),
            (tensor(of=number(3)), "a tensor of something else than a storage"),
            (tensor(of=storage(numel=10**12), shape=(10**12,)), "claims 1000000000000 numbers, more than the file"),
            (tensor(of=storage(numel=-4)), "refers to something other than a storage"),
            (tensor(of=storage(kind=CONV)), "refers to something other than a storage"),
            (tensor(of=storage() + storage(numel=3)), "claimed with two types or sizes"),
            (tensor(of=storage() + storage(kind="torch.IntStorage")), "claimed with two types or sizes"),
            (tensor(of=text("0") + b"Q"), "refers to something other than a storage"),
            (tensor(of=tuple_of(*map(text, ("module", "os", "a", "b"))) + b"Q"), "refers to something other"),
        ],
    )  # fmt: skip
    def test_impossible_tensors(self, tmp_path, value, match, container):
        refuse(WRITERS[container](tmp_path / "m.pth", state_dict(value)), match)

    @pytest.mark.parametrize(
        ("storages", "match"),
        [
            ({}, "storage '0' is missing where the pickle says 16 bytes"),
            ({"0": bytes(12)}, "storage '0' has 12 bytes where the pickle says 16 bytes"),
            ({"0": bytes(20)}, "storage '0' has 20 bytes where the pickle says 16 bytes"),
        ],
    )
    def test_numbers_that_are_not_there(self, tmp_path, storages, match):
        write_zip(tmp_path / "m.pth", state_dict(tensor()), storages)
        with TorchFile(tmp_path / "m.pth") as file, pytest.raises(CheckpointError, match=match):
            file.tensor(file.content["conv1.weight"])

    @pytest.mark.parametrize(
        ("storages", "match"),
        [
            ({"0": bytes(12)}, "storage '0' is cut off, or has not the 4 numbers it claims"),
            ({"0": bytes(16), "1": b""}, "storage '1' is listed, but nothing is made of it"),
        ],
    )
    def test_numbers_that_are_not_there_in_the_old_format(self, tmp_path, storages, match):
        refuse(write_legacy(tmp_path / "m.pth", state_dict(tensor()), storages), match)

    def test_views_of_the_old_format(self, tmp_path):
        def viewed(start: int, size: int) -> bytes:
            view = tuple_of(text("v"), number(start), number(size))
            parts = (text("storage"), name("torch.FloatStorage"), text("0"), text("cpu"), number(4), view)
            return state_dict(tensor(of=tuple_of(*parts) + b"Q", shape=(2,)))

        numbers = np.arange(4, dtype=np.float32).tobytes()
        write_legacy(tmp_path / "m.pth", viewed(2, 2), {"0": numbers})
        with TorchFile(tmp_path / "m.pth") as file:
            assert file.tensor(file.content["conv1.weight"]).tolist() == [2, 3]
        refuse(write_legacy(tmp_path / "m.pth", viewed(3, 2), {"0": numbers}), "a view of storage '0' lies outside")

    def test_every_type_and_layout(self, tmp_path):
        floats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
        dtypes = (*floats, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
        content = {str(dtype): torch.tensor([[0, 1, 2], [3, 4, 5]]).to(dtype) for dtype in dtypes}
        content |= {
            "t": torch.arange(12.0).view(3, 4).t()[1:],
            "empty": torch.empty(0, 3),
            "scalar": torch.tensor(2.5),
        }
        content["parameter"] = nn.Parameter(torch.ones(2))
        for legacy in (False, True):
            torch.save(content, tmp_path / "m.pth", _use_new_zipfile_serialization=not legacy)
            with TorchFile(tmp_path / "m.pth") as file:
                read = {key: file.tensor(value) for key, value in file.content.items()}
            assert read.keys() == content.keys()
            for key, value in content.items():
                assert read[key].dtype == value.dtype and torch.equal(read[key], value), key


class TestBoundedWork:
    def test_compressed_members(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "m.pth", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("m/data.pkl", state_dict(tensor(of=storage(numel=10**7))))
            file.writestr("m/data/0", bytes(4 * 10**7))
        assert (tmp_path / "m.pth").stat().st_size < 100_000
        refuse(tmp_path / "m.pth", r"'m/data\.pkl' is compressed or encrypted, as torch\.save never does")

    def test_members_that_overlap(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "m.pth", "w") as file:
            file.writestr("m/data.pkl", state_dict(tensor()))
            file.writestr("m/data/0", bytes(10_000))
            for number_ in range(1, 100):
                info = zipfile.ZipInfo(f"m/data/{number_}")
                first = file.getinfo("m/data/0")
                info.header_offset, info.CRC = first.header_offset, first.CRC
                info.file_size = info.compress_size = first.file_size
                file.filelist.append(info)
        refuse(tmp_path / "m.pth", "claim more bytes than the whole file has")

    @pytest.mark.parametrize(
        ("value", "match"),
        [
            (b"Nr\xff\xff\xff\x7f", "holds neither"),  # a place in the memo, which costs Python's unpickler gigabytes
            (b"X\xff\xff\xff\xff", "expected 4294967295 bytes"),
            (b"B\xff\xff\xff\x7f", "expected 2147483647 bytes"),
            (b"\x8e" + struct.pack("<Q", 2**62), "expected 4611686018427387904 bytes"),
            (b"\x96" + struct.pack("<Q", 2**40), "expected 1099511627776 bytes"),
            (b"\x8b" + struct.pack("<i", 100) + bytes(100), "operation LONG4"),
            (b"I" + b"9" * 5000 + b"\n", "damaged"),
            (b"N0" * (MAX_OPERATIONS // 2) + b"N", f"more than {MAX_OPERATIONS} operations"),
            (b"(" * 100_000 + b"t" * 100_000, "holds neither"),
            (b"N" + b"\x85" * 100_000, "holds neither"),
        ],
        ids=["memo", "unicode", "bytes", "bytes8", "bytearray", "long", "int", "operations", "marks", "depth"],
    )
    def test_huge_claims(self, tmp_path, value, match):
        write_zip(tmp_path / "m.pth", pickled(value))
        start = time.process_time()
        with pytest.raises(ValueError, match=match):
            lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert time.process_time() - start < 30

    @pytest.mark.parametrize("function", ["collections.OrderedDict", "builtins.set"])
    def test_a_long_list_for_many_calls(self, tmp_path, function, forking_python):
        element = tuple_of(text("a"), b"N") if "Dict" in function else text("a")
        long = b"](" + element * 20_000 + b"eq\x00"
        write_zip(tmp_path / "m.pth", pickled(long + (name(function) + b"h\x00\x85R0") * 200_000))
        code = """
import resource, sys
sys.path[:0] = {path!r}
from lssed_hf.hub.conversion.torch_file import TorchFile
seconds = round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 60
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
try:
    TorchFile({file!r})
except ValueError as error:
    print(error)
"""
        error = forking_python.run(code.format(path=sys.path, file=str(tmp_path / "m.pth")))
        assert f"more than {MAX_OPERATIONS} operations" in error

    def test_a_module_within_itself(self, tmp_path):
        empty = b"".join(text(f"_{kind}") + b"}s" for kind in ("parameters", "buffers"))
        modules = text("_modules") + b"}" + text("again") + b"h\x00ss"
        payload = name("pyconvresnet.PyConvResNet") + b")\x81q\x00}" + empty + modules + b"b"
        write_zip(tmp_path / "m.pth", pickled(payload))
        with pytest.raises(ValueError, match="module 'again' occurs twice"):
            lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")

    def test_a_dict_within_itself(self, tmp_path):
        write_zip(tmp_path / "m.pth", pickled(b"}q\x00" + text("model") + b"h\x00s"))
        with pytest.raises(ValueError, match="holds neither a module nor weights"):
            lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")


class TestOtherFiles:
    @pytest.mark.parametrize(
        ("content", "match"),
        [
            (b"", "no file of torch.save, neither a zip archive nor a pickle"),
            (b"version https://git-lfs.github.com/spec/v1\n", "no file of torch.save"),
            (b"PK\x03\x04 and nothing more", "damaged zip archive"),
            (pickle.dumps({"a": 1}, 2), "it is a pickle, but none of torch.save"),
            (b"\x80\x02", "cut off or damaged"),
            (MAGIC.replace(b"\x88", b"\x89"), "big-endian machine"),
            (MAGIC + state_dict(tensor()) + pickle.dumps(["0", "0"], 2), "list of storages is damaged"),
            (MAGIC + state_dict(tensor()) + pickle.dumps(3, 2), "list of storages is damaged"),
        ],
    )
    def test_are_named(self, tmp_path, content, match):
        (tmp_path / "m.pth").write_bytes(content)
        refuse(tmp_path / "m.pth", match)

    def test_archives_that_are_none_of_ours(self, tmp_path):
        path = tmp_path / "m.pth"
        refuse(write_zip(path, pickled(b"N"), **{"constants.pkl": b""}), "TorchScript archive")
        refuse(write_zip(path, pickled(b"N"), byteorder=b"big"), "big-endian machine")
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("readme.txt", "hello")
        refuse(path, "zip archive, but none of torch.save")
        with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("m/data.pkl", pickled(b"N"))
            file.writestr("m/data.pkl", pickled(b"N"))
        refuse(path, r"it has 'm/data\.pkl' 2 times")
        with tarfile.open(path, "w") as file:
            info = tarfile.TarInfo("storages")
            info.size = 3
            file.addfile(info, io.BytesIO(b"abc"))
        refuse(path, "no file of torch.save")

    def test_a_bit_that_flipped(self, tmp_path):
        torch.save({"conv1.weight": torch.ones(1000)}, tmp_path / "m.pth")
        content = bytearray((tmp_path / "m.pth").read_bytes())
        content[content.index(np.float32(1).tobytes() * 10) + 2] ^= 1
        (tmp_path / "m.pth").write_bytes(content)
        with TorchFile(tmp_path / "m.pth") as file, pytest.raises(CheckpointError, match="'m/data/0' is damaged"):
            file.tensor(file.content["conv1.weight"])

    @pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
    def test_truncated_anywhere(self, tmp_path, legacy):
        torch.save(
            {"a": torch.ones(3), "b": torch.zeros(2)}, tmp_path / "whole", _use_new_zipfile_serialization=not legacy
        )
        whole = (tmp_path / "whole").read_bytes()
        for length in range(0, len(whole) - 1, 7):
            (tmp_path / "m.pth").write_bytes(whole[:length])
            with pytest.raises(CheckpointError):
                TorchFile(tmp_path / "m.pth")

    @pytest.mark.fuzz
    @given(
        st.booleans(),
        st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    )
    @example(False, [(2628, 14)])  # a member whose place is negative
    @settings(max_examples=2 * settings.default.max_examples)
    def test_any_damage_is_harmless(self, tmp_path_factory, legacy, changes):
        path = tmp_path_factory.mktemp("damage") / "m.pth"
        torch.save(nn.Conv2d(1, 2, 3), path, _use_new_zipfile_serialization=not legacy)
        content = bytearray(path.read_bytes())
        for place, value in changes:
            content[place % len(content)] = value
        path.write_bytes(content)
        with contextlib.suppress(CheckpointError), TorchFile(path, [CONV]) as file:
            if isinstance(file.content, SavedObject) and isinstance(file.content.state, dict):
                weights = file.content.state.get("_parameters")
                for value in weights.values() if isinstance(weights, dict) else ():
                    with contextlib.suppress(AttributeError):  # no tensor any more
                        file.tensor(value)
