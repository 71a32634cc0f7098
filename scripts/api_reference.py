"""Write docs/api.md, the reference of all public names, from signatures and docstrings (`make api`).

Sources are read and not imported, by griffe (`pip install griffelib`, in the extra `dev`).
"""

import argparse
import ast
import logging
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import griffe


ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "docs" / "api.md"
WIDTH = 119
OPTIONS = {"returns_named_value": False, "returns_multiple_items": False, "warnings": False}
HEAD = """\
# Reference

All public names of `lssed_hf`; `scripts/api_reference.py` writes this page. Models also have what transformers'
[`PreTrainedModel`](https://huggingface.co/docs/transformers/main_classes/model) has; configurations and feature
extractors what their base classes have.
"""
#: Sections and their names, those that people call first on top.
SECTIONS = {
    "Recordings": (
        *("predict", "Prediction", "load_classifier", "list_pretrained", "default_model", "DEFAULT_MODEL"),
        *("embed", "Embedding", "score_timeline", "read_turns", "draw_timeline", "load_audio", "AudioError"),
    ),
    "Training and scores": ("train", "adapt", "evaluate", "metric_path", "fit_normalization"),
    "Corpora": ("load_corpus", "list_corpora", "EMOTIONS", "BENCHMARK_EMOTIONS"),
    "Models": (
        *(
            "create_model",
            "create_feature_extractor",
            "list_models",
            "PyResNetFeatureExtractor",
            "PyResNetConfig",
            "PyResNetModel",
        ),
        *("PyResNetForAudioClassification", "SerCnnConfig", "SerCnnModel", "SerCnnForAudioClassification"),
        *("FcnAttentionConfig", "FcnAttentionModel", "FcnAttentionForAudioClassification", "MtsConfig", "MtsModel"),
        *("MtsForAudioClassification", "WhisperStatisticsConfig", "WhisperStatisticsModel"),
        *("WhisperStatisticsForAudioClassification", "convert_checkpoint"),
    ),
    "Speech recognition": (
        *(
            "EspnetAsrConfig",
            "EspnetAsrFeatureExtractor",
            "EspnetAsrTokenizer",
            "EspnetAsrProcessor",
            "EspnetAsrModel",
        ),
        *("EspnetAsrForSpeechSeq2Seq", "EspnetAsrForAudioClassification"),
    ),
}


def main() -> int:
    """Write the page, or compare it with --check, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if the page is not current")
    args = parser.parse_args()
    text = reference()
    if args.check:
        current = OUTPUT.is_file() and OUTPUT.read_text(encoding="utf-8") == text
        if not current:
            print(f"{OUTPUT.relative_to(ROOT)} is not current: run python scripts/api_reference.py", file=sys.stderr)
        return 0 if current else 1
    OUTPUT.write_text(text, encoding="utf-8")
    return 0


def reference() -> str:
    """Return the page, Markdown."""
    logging.getLogger("griffe").setLevel(logging.ERROR)  # it misses types and names that are there for readers only
    package = griffe.load("lssed_hf", search_paths=[ROOT / "src"])
    modules = public_names()
    shown = [name for names in SECTIONS.values() for name in names]
    if sorted(shown) != sorted(modules):
        raise ValueError(f"SECTIONS and __init__.pyi differ in {', '.join(sorted(set(shown) ^ set(modules)))}")
    parts = [HEAD]
    for title, names in SECTIONS.items():
        parts += [f"## {title}", *(part for name in names for part in entry(name, package[f"{modules[name]}.{name}"]))]
    text = "\n\n".join(part.strip("\n") for part in parts) + "\n"
    return re.sub(r"\[(`)~?([\w.]+`)\](?!\()", r"\1\2", text)  # transformers' way to name what stands elsewhere


def public_names() -> dict[str, str]:
    """Return the public names and the modules that they are defined in."""
    tree = ast.parse((ROOT / "src" / "lssed_hf" / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {name.name: node.module for node in imports for name in node.names}


def entry(name: str, item: griffe.Object | griffe.Alias, level: int = 3) -> Iterator[str]:
    """Yield the paragraphs of a public name, and of the methods of a class that have a docstring."""
    yield f"{'#' * level} {name}"
    if isinstance(item, griffe.Alias):
        item = item.final_target
    if item.is_attribute:
        yield f"```text\n{textwrap.fill(f'{name} = {item.value}', WIDTH, subsequent_indent='    ')}\n```"
    elif item.is_function or "__init__" in item.all_members:
        yield f"```text\n{signature(name, item)}\n```"
    if item.is_class and item.bases:
        yield f"Bases: {', '.join(f'`{base}`' for base in item.bases)}."
    if item.docstring:
        for section in item.docstring.parse("google", **OPTIONS):
            yield from paragraphs(section)
    if item.is_class:
        for method in item.functions.values():
            if method.is_public and method.docstring:
                yield from entry(f"{name}.{method.name}", method, level + 1)


def signature(name: str, item: griffe.Function | griffe.Class) -> str:
    """Return a signature on one line if that is short enough, else with a line for each parameter."""
    shown, bare, by_name = [], False, False
    for parameter in item.parameters:
        kind = parameter.kind
        if parameter.name in ("self", "cls"):
            continue
        if kind is griffe.ParameterKind.keyword_only and not by_name:
            shown += [] if bare else ["*"]
            by_name = True
        bare = bare or kind is griffe.ParameterKind.var_positional
        stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(kind, "")
        text = f"{stars}{parameter.name}"
        text += f": {parameter.annotation}" if parameter.annotation is not None else ""
        if parameter.default is not None and not stars:
            text += f" = {parameter.default}" if parameter.annotation is not None else f"={parameter.default}"
        shown.append(text)
    returns = f" -> {item.returns}" if item.is_function and item.returns is not None else ""
    line = f"{name}({', '.join(shown)}){returns}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {text},\n" for text in shown) + f"){returns}"


def paragraphs(section: griffe.DocstringSection) -> Iterator[str]:
    """Yield the paragraphs of a section of a docstring."""
    kind, value = section.kind, section.value
    if kind is griffe.DocstringSectionKind.text:
        yield value
        return
    title = section.title or kind.value.replace("parameters", "args").capitalize()
    if kind is griffe.DocstringSectionKind.examples:
        yield f"**{title}**"
        yield from (
            text if what is griffe.DocstringSectionKind.text else f"```python\n{text}\n```" for what, text in value
        )
    elif kind is griffe.DocstringSectionKind.admonition:
        yield f"**{title}** {value.contents}"
    elif kind is griffe.DocstringSectionKind.returns:
        yield f"**{title}** {' '.join(typed(item) + item.description.strip() for item in value)}"
    elif kind is griffe.DocstringSectionKind.raises:
        yield f"**{title}**\n\n" + "\n".join(f"- `{item.annotation}`: {flat(item.description)}" for item in value)
    else:
        rows = (f"- `{item.name}`{typed(item)}: {flat(item.description)}" for item in value)
        yield f"**{title}**\n\n" + "\n".join(rows)


def typed(item: griffe.DocstringElement) -> str:
    """Return a type that the docstring gives. Types of the signature stand there already."""
    if not isinstance(item.annotation, str):
        return ""
    return f" ({item.annotation})"


def flat(text: str) -> str:
    """Return a description as one item of a list: its lines stay together, its own lists become deeper."""
    return text.strip().replace("\n", "\n  ")


if __name__ == "__main__":
    sys.exit(main())
