"""Import of modules and classes that tables of the package name, with errors that name the entry."""

import importlib
from types import ModuleType


def module_of_table(module: str, entry: str) -> ModuleType:
    """Import and return a module that a table of the package names.

    Args:
        module: Full name of the module.
        entry: Entry of the table, for the message.

    Raises:
        ImportError: There is no such module. (transformers hides a ModuleNotFoundError behind a message of its own.)
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise  # a dependency of the module is missing
        raise ImportError(f"{entry} names the module {module}, and there is no {error.name}") from error


def class_of_table(module: ModuleType, name: str, entry: str) -> type:
    """Return a class that a table of the package names.

    Args:
        module: Module of the class.
        name: Name of the class.
        entry: Entry of the table, for the message.

    Raises:
        ImportError: The module has no such class. (transformers hides an AttributeError behind a message of its own.)
    """
    if not hasattr(module, name):
        own = [key for key, item in vars(module).items() if getattr(item, "__module__", None) == module.__name__]
        classes = [key for key in own if isinstance(getattr(module, key), type) and not key.startswith("_")]
        raise ImportError(f"{entry} names the class {name}; {module.__name__} has {', '.join(classes) or 'none'}")
    return getattr(module, name)
