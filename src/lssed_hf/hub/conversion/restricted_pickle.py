"""A pickle, read as data: no class is looked up, nothing is imported or called.

Python's unpickler runs whatever a pickle names, and can be restricted only from within. Here the few operations that
`torch.save` writes act on plain containers; instances become `SavedObject`, tensors `SavedTensor`. Anything else ends
the reading with an error that says what it was.
"""

import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import torch


#: Bytes and operations that the pickles of one file may have.
MAX_BYTES = 16_000_000
MAX_OPERATIONS = 2_000_000

#: Storage classes by name, which say what a tensor's numbers are.
DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
#: What checkpoints hold beside weights, such as a best score or the arguments of a training. Kept as `SavedObject`.
_BESIDE = {
    "_codecs.encode",
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "torch.device",
    "torch.nn.backends.thnn._get_thnn_function_backend",  # in every module of torch 1.0
}


class CheckpointError(ValueError):
    """A file that is damaged, or holds what is not read. The message names the file and what it holds."""


@dataclass(frozen=True)
class GlobalName:
    """A class or function that a pickle names."""

    name: str


@dataclass(eq=False)
class SavedObject:
    """An instance of a class, or the result of a call, that was not made.

    Attributes:
        kind: full name of the class or function.
        args: what it would have been called with.
        state: what `__setstate__` would have got.
    """

    kind: str
    args: tuple = ()
    state: Any = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SavedStorage:
    """Part of the file's numbers: `numel` of them from number `start` of storage `key`."""

    key: str
    dtype: torch.dtype
    numel: int
    start: int = 0


@dataclass(frozen=True, eq=False)
class SavedTensor:
    """A tensor, not read yet. It lies within its storage, whose numbers it has at most once each."""

    storage: SavedStorage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def shown(value: object) -> str:
    """Text of a file for a message: quoted, without control characters, and short."""
    text = repr(value) if isinstance(value, (str, int)) else type(value).__name__
    return text if len(text) <= 100 else f"{text[:100]}..."


def is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**62


class BoundedReader:
    """A file for pickles, which says no before it reads or allocates more than `MAX_BYTES` in all."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._left = MAX_BYTES

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise CheckpointError(f"claims {size} bytes where {self._left} are the most that is read")
        self._left -= size
        return self._file.read(size)

    def readline(self) -> bytes:
        line = self._file.readline(self._left + 1)
        if len(line) > self._left:
            raise CheckpointError(f"its pickles exceed {MAX_BYTES} bytes")
        self._left -= len(line)
        return line


def read_pickle(
    file: BoundedReader, classes: Collection[str] = (), persistent: Callable[[object], object] | None = None
) -> Any:
    """The next pickle of a file, as data.

    Args:
        file: positioned at the pickle; left behind its end.
        classes: full names of the classes whose instances may occur.
        persistent: turns a persistent id, checking it, into what it stands for.

    Raises:
        CheckpointError: the pickle is damaged, too long, or has a global, call or operation beyond these.
    """
    machine = _Machine(frozenset(classes), persistent)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if operation.name == "STOP":
                return machine.stack.pop()
            if count == MAX_OPERATIONS:
                raise CheckpointError(f"its pickle has more than {MAX_OPERATIONS} operations")
            handler = _OPERATIONS.get(operation.name)
            if handler is None:
                raise CheckpointError(f"its pickle has the operation {operation.name}, which torch.save never writes")
            handler(machine, argument)
    except CheckpointError:
        raise
    except (ValueError, IndexError, KeyError, EOFError, OverflowError) as error:  # what pickletools and a stack raise
        raise CheckpointError(f"its pickle is cut off or damaged ({type(error).__name__}: {error})") from error
    raise CheckpointError("its pickle has no end")


class _Machine:
    """The pickle machine's stack and memo, and its operations by their names in pickletools."""

    def __init__(self, classes: frozenset[str], persistent: Callable[[object], object] | None):
        self.classes = classes
        self.persistent = persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # stacks under each open mark
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("too little on the stack")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def pop_to_mark(self) -> list[Any]:
        taken, self.stack = self.stack, self.below.pop()
        return taken

    def mark(self, _) -> None:
        self.below.append(self.stack)
        self.stack = []

    def remember(self, place: int | None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.push(self.memo[place])

    def append(self, items: list[Any]) -> None:
        self._target(list).extend(items)

    def add(self, items: list[Any]) -> None:
        self._target(set).update(map(_key, items))

    def set_items(self, flat: list[Any]) -> None:
        self._target(dict).update(_pairs(flat))

    def _target(self, kind: type) -> Any:
        target = self.stack[-1]
        if type(target) is not kind:
            raise CheckpointError(f"its pickle fills {_described(target)} as if it were a {kind.__name__}")
        return target

    def find(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:
            raise CheckpointError(f"its pickle names a global by {shown(module)} and {shown(name)}")
        full = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full not in self.classes and full not in _CALLS and full not in _BESIDE and full not in DTYPES:
            raise CheckpointError(
                f"it holds {shown(full)}, which is not among what a checkpoint needs; nothing in it was run"
            )
        self.push(GlobalName(full))

    def instance(self, _) -> None:
        kind, args = self.pop(2)
        if type(kind) is not GlobalName or kind.name not in self.classes or args != ():
            raise CheckpointError(f"its pickle makes an instance of {_described(kind)}")
        self.push(SavedObject(kind.name))

    def call(self, _) -> None:
        function, args = self.pop(2)
        if type(function) is not GlobalName or type(args) is not tuple:
            raise CheckpointError(f"its pickle calls {_described(function)}")
        if function.name in _CALLS:
            self.push(_CALLS[function.name](args))
        elif function.name in _BESIDE:
            self.push(SavedObject(function.name, args))
        else:
            raise CheckpointError(f"its pickle calls {_described(function)}")

    def build(self, _) -> None:
        (state,) = self.pop(1)
        target = self.stack[-1]
        if type(target) is SavedObject:
            target.state = state
        elif type(target) is not dict or type(state) is not dict:  # a state dict has attributes: its versions
            raise CheckpointError(f"its pickle sets the state of {_described(target)}")

    def look_up(self, _) -> None:
        (key,) = self.pop(1)
        if self.persistent is None:
            raise CheckpointError("its pickle refers to something outside of itself")
        self.push(self.persistent(key))


def _described(value: object) -> str:
    return shown(value.name) if type(value) is GlobalName else f"a {type(value).__name__}"


def _key(key: object) -> object:
    # Others hash slowly or alike by design.
    if type(key) is not str and not is_count(key):
        raise CheckpointError(f"its pickle has {_described(key)} for a key")
    return key


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    if len(flat) % 2:
        raise IndexError("a key without a value")
    return [(_key(key), value) for key, value in zip(flat[::2], flat[1::2])]


def _ordered_dict(args: tuple) -> dict:
    items = args[0] if len(args) == 1 and type(args[0]) is list else []
    if len(args) > 1 or (args and type(args[0]) is not list) or any(type(i) not in (list, tuple) for i in items):
        raise CheckpointError("its pickle makes an OrderedDict of something else than pairs")
    return dict(_pairs([part for item in items for part in item]))


def _set(args: tuple) -> set:
    if len(args) != 1 or type(args[0]) not in (list, tuple):
        raise CheckpointError("its pickle makes a set of something else than a list")
    return {_key(item) for item in args[0]}


def _size(args: tuple) -> tuple:
    if len(args) != 1 or type(args[0]) is not tuple:
        raise CheckpointError("its pickle makes a torch.Size of something else than a tuple")
    return args[0]


def _tensor(args: tuple) -> SavedTensor:
    """Of `torch._utils._rebuild_tensor`; what `_v2` adds (gradients, hooks) is left."""
    if len(args) < 4 or type(args[0]) is not SavedStorage:
        raise CheckpointError("its pickle makes a tensor of something else than a storage")
    storage, offset, shape, stride = args[:4]
    if (
        not is_count(offset)
        or any(type(axes) is not tuple or len(axes) > 8 or not all(map(is_count, axes)) for axes in (shape, stride))
        or len(shape) != len(stride)
    ):
        raise CheckpointError("its pickle has a tensor whose offset, shape or strides are not plain counts")
    numel, last = 1, offset
    for size, step in zip(shape, stride):
        numel *= size
        last += (size - 1) * step
    if numel > storage.numel or (numel and last >= storage.numel) or offset > storage.numel:
        raise CheckpointError(
            f"a tensor of shape {shape}, strides {stride} and offset {offset} lies outside of its storage "
            f"{shown(storage.key)} of {storage.numel} numbers"
        )
    return SavedTensor(storage, offset, shape, stride)


def _parameter(args: tuple) -> SavedTensor:
    if not args or type(args[0]) is not SavedTensor:
        raise CheckpointError("its pickle makes a parameter of something else than a tensor")
    return args[0]


#: Functions that are followed, by what follows them.
_CALLS: dict[str, Callable[[tuple], Any]] = {
    "builtins.set": _set,
    "collections.OrderedDict": _ordered_dict,
    "torch.Size": _size,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
}

_VALUES = (
    "INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE STRING BINSTRING "
    "SHORT_BINSTRING BINBYTES SHORT_BINBYTES"
)
_OPERATIONS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(_VALUES.split(), _Machine.push),
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop(3))),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "LIST": lambda machine, _: machine.push(machine.pop_to_mark()),
    "DICT": lambda machine, _: machine.push(dict(_pairs(machine.pop_to_mark()))),
    "APPEND": lambda machine, _: machine.append(machine.pop(1)),
    "APPENDS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine.add(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "POP": lambda machine, _: machine.pop(1),
    "POP_MARK": lambda machine, _: machine.pop_to_mark(),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.recall),
    "GLOBAL": lambda machine, names: machine.find(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.find(*machine.pop(2)),
    "NEWOBJ": _Machine.instance,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.look_up,
}
