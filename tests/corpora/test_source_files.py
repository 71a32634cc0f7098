"""A change of the code that reads a corpus, and no other, changes the corpus's place in the cache."""

import ast
import shutil
import sys
from functools import partial
from importlib.util import resolve_name
from pathlib import Path

import datasets
import pytest

import lssed_hf
from lssed_hf.corpora import _CORPORA, corpus_builder, list_corpora, load_corpus
from lssed_hf.corpora.source_files import source_files, source_hash


PACKAGE = Path(lssed_hf.__file__).parent


def module_of(corpus: str) -> str:
    return resolve_name(_CORPORA[corpus][0], "lssed_hf.corpora")


def files_of(corpus: str) -> set[str]:
    return {path.relative_to(PACKAGE).as_posix() for path in source_files(module_of(corpus))}


@pytest.mark.parametrize("corpus", list_corpora())
def test_every_import_is_followed(corpus):
    """Compare with all imports that Python's parser finds. Nothing is imported dynamically."""
    files = source_files(module_of(corpus))
    for path in files:
        package = ".".join(("lssed_hf", *path.parent.relative_to(PACKAGE).parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                source = resolve_name("." * node.level + (node.module or ""), package)
                for alias in node.names:
                    places = [PACKAGE.parent.joinpath(*name.split(".")) for name in (f"{source}.{alias.name}", source)]
                    assert any(place.with_suffix(".py") in files or place / "__init__.py" in files for place in places)
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith("lssed_hf") for alias in node.names)
            elif isinstance(node, ast.Call):
                assert getattr(node.func, "attr", getattr(node.func, "id", "")) not in ("import_module", "__import__")


def test_corpora_do_not_share_their_readers():
    readers = {path for path in files_of("meld") if path.startswith("corpora/")}
    shared = ("base", "fields", "media", "omissions", "source_files", "tables")
    assert readers == {f"corpora/{name}.py" for name in (*shared, "meld")}
    assert files_of("lssed") < files_of("synthetic") and "testing/espeak.py" in files_of("synthetic")
    assert files_of("daic_woz") < files_of("e_daic")
    assert "corpora/own/label_names.py" in files_of("folder")


@pytest.fixture
def source(tmp_path) -> Path:
    """Copy the package's source."""
    return shutil.copytree(PACKAGE, tmp_path / "src" / "lssed_hf", ignore=shutil.ignore_patterns("__pycache__"))


def hashes(source: Path) -> dict[str, str]:
    source_hash.cache_clear()
    return {corpus: source_hash(module_of(corpus), folder=source.parent) for corpus in list_corpora()}


@pytest.mark.parametrize(
    ("changed", "corpora"),
    [
        ("corpora/meld.py", {"meld"}),
        ("corpora/lssed.py", {"lssed", "synthetic"}),
        ("corpora/feature_sets.py", {"lssed", "synthetic"}),
        ("testing/espeak.py", {"synthetic"}),
        ("corpora/daic/segments.py", {"daic_woz", "e_daic"}),
        ("corpora/own/folder_trees.py", {"folder"}),
        ("corpora/base.py", set(list_corpora())),
        ("decoding/headers.py", set(list_corpora())),
        ("corpora/sources.py", set()),
        ("corpora/__init__.py", set()),
        ("models/pyresnet/modeling_pyresnet.py", set()),
    ],
)
def test_what_a_change_touches(source, changed, corpora):
    before = hashes(source)
    with source.joinpath(changed).open("a", encoding="utf-8") as file:
        file.write("# A change\n")
    after = hashes(source)
    assert {corpus for corpus in before if before[corpus] != after[corpus]} == corpora


def test_imports_over_several_lines_and_within_functions(source):
    module = source / "corpora" / "rml.py"
    module.write_text(
        '"""Prose:\n\nimport it from here.\n"""\nfrom . import (  # (both)\n    splits as s,\n    tables,\n)\n'
        "def f():\n    import lssed_hf.files\n    from \\\n        ..scan import Scan\n"
    )
    found = source_files("lssed_hf.corpora.rml", "datasets.builder", folder=source.parent)
    assert {f"corpora/{name}.py" for name in ("rml", "splits", "tables")} | {"files.py", "scan.py"} <= {
        path.relative_to(source).as_posix() for path in found
    }
    assert all(source in path.parents for path in found)


def traced(function) -> set[str]:
    """Return the files of the package whose functions are called."""
    files = set()

    def profile(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_name != "<module>" and code.co_filename.startswith(str(PACKAGE)):
            files.add(Path(code.co_filename).relative_to(PACKAGE).as_posix())

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return files


def test_everything_that_runs_is_covered(tmp_path, write_clip):
    """Clips, segments of recordings, features and people's own recordings are read."""
    for name in ("wav/E0001_1.wav", "wav/E0002_1.wav", "recordings/long.mp3"):
        write_clip(tmp_path / "lssed" / name, seconds=1)
    table = "name,emotion,recording,start,end,split\nE0001_1,sad,,,,train\nE0002_1,sad,,,,test\n"
    (tmp_path / "lssed" / "metadata.csv").write_text(f"{table}cut,sad,long,0.1,0.5,train\n")
    (tmp_path / "lssed" / "is13_compare.csv").write_text("name,x,y\nE0001_1,1,2\nE0002_1,3,4\ncut,5,6\n")
    for number in (1, 15, 17):
        write_clip(tmp_path / "ravdess" / f"03-01-01-01-01-01-{number:02}.wav")
        write_clip(tmp_path / "folder" / "sad" / f"{number}.wav")
        write_clip(tmp_path / "folder" / "happy" / f"{number}.wav")
    for corpus, config in (
        ("lssed", "default"),
        ("lssed", "is13_compare"),
        ("ravdess", "default"),
        ("folder", "default"),
    ):
        ran = traced(partial(load_corpus, corpus, tmp_path / corpus, config, cache_dir=tmp_path / "cache"))
        assert f"{module_of(corpus).removeprefix('lssed_hf.').replace('.', '/')}.py" in ran
        # These find the module, and read nothing.
        assert ran - {"corpora/__init__.py", "lookup.py", "registration.py"} <= files_of(corpus)


def test_the_key_is_in_the_cache_whatever_the_route(tmp_path, write_clip):
    for number in range(3):
        write_clip(tmp_path / "data" / f"E{number:04}_1.wav")
    rows = "".join(f"E{number:04}_1,sad,{split}\n" for number, split in enumerate(("train", "validation", "test")))
    (tmp_path / "data" / "metadata.csv").write_text(f"name,emotion,split\n{rows}")
    arguments = {"data_dir": str(tmp_path / "data"), "cache_dir": str(tmp_path / "cache")}
    key = corpus_builder("lssed")(**arguments).hash
    assert key != corpus_builder("synthetic")(**arguments).hash
    for corpus in (datasets.load_dataset("lssed", **arguments), load_corpus("lssed", **arguments)):
        (file,) = corpus["train"].cache_files
        assert Path(file["filename"]).parent.name == key
