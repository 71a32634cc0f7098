"""Reader of pickles as data: no class is looked up, nothing is imported or called.

The few operations that `torch.save` writes act on plain containers. Instances become `SavedObject`, tensors
`SavedTensor`. Anything else ends the reading with an error that names it.

`torch.load(weights_only=True)` with stub classes is no substitute in torch 2.14. It refuses whole modules in the
format of before torch 1.6 and pickle protocols 4 and 5, and it unpacks compressed archives without a limit.
"""

import pickletools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import torch


#: Bytes and operations that the pickles of one file may have. Each element that a call copies counts as an operation.
MAX_BYTES = 16_000_000
MAX_OPERATIONS = 2_000_000

#: Storage classes by name, and the types of their numbers.
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
#: Classes and functions besides weights, such as a best score or the arguments of a training. Kept as `SavedObject`.
_OPAQUE = {
    "_codecs.encode",
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "torch.device",
    "torch.nn.backends.thnn._get_thnn_function_backend",  # in every module of torch 1.0
}


class CheckpointError(ValueError):
    """Error of a file that is damaged or holds unexpected content. The message names the file and the content."""


@dataclass(frozen=True)
class GlobalName:
    """Name of a class or function in a pickle."""

    name: str


@dataclass(eq=False)
class SavedObject:
    """Record of an instance or of a call, neither of which was made.

    Attributes:
        kind: Full name of the class or function.
        args: Arguments of the call.
        state: State for `__setstate__`.
    """

    kind: str
    args: tuple = ()
    state: Any = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SavedStorage:
    """Slice of a storage in the file: `numel` numbers from number `start` of storage `key`."""

    key: str
    dtype: torch.dtype
    numel: int
    start: int = 0


@dataclass(frozen=True, eq=False)
class SavedTensor:
    """Tensor whose numbers are still in the file. It lies within its storage and holds each number at most once."""

    storage: SavedStorage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def shown(value: object) -> str:
    """Return a value of the file for a message: quoted, without control characters, and short."""
    text = repr(value) if isinstance(value, (str, int)) else type(value).__name__
    return text if len(text) <= 100 else f"{text[:100]}..."


def is_count(value: object) -> bool:
    """Return whether a value is an integer from 0 to 2**62."""
    return type(value) is int and 0 <= value < 2**62


def read_pickle(
    file: BinaryIO, classes: Collection[str] = (), persistent: Callable[[object], object] | None = None
) -> Any:
    """Read the next pickle of a file as data.

    Args:
        file: File in memory, so that claimed sizes allocate nothing. It is left behind the end of the pickle.
        classes: Full names of the classes whose instances may occur.
        persistent: Function that checks a persistent id and returns the object behind it.

    Raises:
        CheckpointError: The pickle is damaged, too long, or has another global, call or operation.
    """
    machine = _Machine(frozenset(classes), persistent)
    try:
        for operation, argument, _ in pickletools.genops(file):
            machine.count()
            handler = _OPERATIONS.get(operation.name)
            if handler is None:
                raise CheckpointError(f"its pickle has the operation {operation.name}, which torch.save never writes")
            handler(machine, argument)
        return machine.stack.pop()
    except CheckpointError:
        raise
    # What pickletools and the stack raise, and calls with too few or too many arguments.
    except (ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError) as error:
        raise CheckpointError(
            f"its pickle is cut off or damaged, or exceeds {MAX_BYTES} bytes ({type(error).__name__}: {error})"
        ) from error


class _Machine:
    """Stack and memo of the pickle machine, and its operations by their names in pickletools."""

    def __init__(self, classes: frozenset[str], persistent: Callable[[object], object] | None):
        self.classes = classes
        self.persistent = persistent
        self.operations = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # stacks under each open mark
        self.memo: dict[int, Any] = {}

    def count(self, number: int = 1) -> None:
        self.operations += number
        if self.operations > MAX_OPERATIONS:
            raise CheckpointError(f"its pickle has more than {MAX_OPERATIONS} operations")

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

    def fill(self, kind: type, items: list[Any]) -> None:
        """Put items into the list, set or dict on top of the stack; of a dict, keys and values in turn."""
        target = self.stack[-1]
        if type(target) is not kind:
            raise CheckpointError(f"its pickle fills a {type(target).__name__} as if it were a {kind.__name__}")
        if kind is list:
            target.extend(items)
        else:
            target.update(_set(items) if kind is set else _dict(items))

    def find(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:
            raise CheckpointError(f"its pickle names a global by {shown(module)} and {shown(name)}")
        full = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if not any(full in known for known in (self.classes, _CALLS, _OPAQUE, DTYPES)):
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
        name = function.name if type(function) is GlobalName and type(args) is tuple else ""
        if name in _CALLS:
            # A short pickle can hand one long list to many calls.
            self.count(sum(len(arg) for arg in args if isinstance(arg, (list, tuple))))
            self.push(_CALLS[name](*args))
        elif name in _OPAQUE:
            self.push(SavedObject(name, args))
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
    # Other keys can be made to collide, or to take exponential time to hash.
    if type(key) is not str and not is_count(key):
        raise CheckpointError(f"its pickle has a {type(key).__name__} for a key")
    return key


def _dict(flat: Sequence[Any]) -> dict:
    """Return the dict of keys and values in turn."""
    if len(flat) % 2:
        raise IndexError("a key without a value")
    return {_key(key): value for key, value in zip(flat[::2], flat[1::2])}


def _ordered_dict(pairs: Any = ()) -> dict:
    if type(pairs) not in (list, tuple) or any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
        raise CheckpointError("its pickle makes an OrderedDict of something else than pairs")
    return _dict([item for pair in pairs for item in pair])


def _set(items: Any) -> set:
    if type(items) not in (list, tuple):
        raise CheckpointError("its pickle makes a set of something else than a list")
    return {_key(item) for item in items}


def _size(axes: Any) -> tuple:
    if type(axes) is not tuple:
        raise CheckpointError("its pickle makes a torch.Size of something else than a tuple")
    return axes


def _parameter(tensor: Any, *_) -> SavedTensor:
    if type(tensor) is not SavedTensor:
        raise CheckpointError("its pickle makes a parameter of something else than a tensor")
    return tensor


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *_) -> SavedTensor:
    """Return the tensor of `torch._utils._rebuild_tensor`, and of `_v2` without its gradients and hooks."""
    if type(storage) is not SavedStorage:
        raise CheckpointError("its pickle makes a tensor of something else than a storage")
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


#: Functions that a checkpoint calls, and their replacements here.
_CALLS: dict[str, Callable[..., Any]] = {
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
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
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
    "DICT": lambda machine, _: machine.push(_dict(machine.pop_to_mark())),
    "APPEND": lambda machine, _: machine.fill(list, machine.pop(1)),
    "APPENDS": lambda machine, _: machine.fill(list, machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine.fill(set, machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.fill(dict, machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.fill(dict, machine.pop_to_mark()),
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
