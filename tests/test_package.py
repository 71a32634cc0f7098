"""The package as a whole: public names, one-way imports, the demo."""

import ast
import itertools
import pickle
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
from datasets.fingerprint import Hasher

import lssed_hf


SOURCE = Path(lssed_hf.__file__).parent

# Modules and packages from the lowest: each may import those of its own rank and below.
RANKS = [
    {
        "environment",
        "escaping",
        "labels",
        "files",
        "lookup",
        "ray_cluster",
        "scan",
        "signals",
        "decoding",
        "suggest",
        "unpack",
        "wording",
    },
    {"audio"},
    {"corpora", "models", "evaluation"},
    {"registration"},
    {"preparation", "testing"},
    {"inference"},
    {"hub"},
    {"training"},
    {"experiments"},
    {"web"},
    {"cli"},
    {"__main__"},
]
STRANGERS = {("corpora", "models"), ("models", "corpora"), ("models", "labels"), ("models", "audio")}


#: Module, by its path below the package without suffix -> modules that it imports anywhere, in functions as well.
Imports = dict[tuple[str, ...], set[tuple[str, ...]]]


@pytest.fixture(scope="module")
def imports() -> Imports:
    paths = {path.relative_to(SOURCE).with_suffix("").parts: path for path in SOURCE.rglob("*.py")}

    def imported(module: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for node in ast.walk(ast.parse(paths[module].read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                assert not isinstance(node, ast.Import) or "lssed_hf" not in [name.name for name in node.names]
                continue
            origin = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                origin = (*module[: len(module) - node.level], *origin)
            elif origin[0] == "lssed_hf":
                origin = origin[1:]
            else:
                continue
            for name in node.names:
                # A module, a package, or a name in either.
                places = ((*origin, name.name), (*origin, name.name, "__init__"), origin, (*origin, "__init__"))
                yield next(place for place in places if place in paths)

    return {module: set(imported(module)) - {module} for module in paths}


def test_imports_run_one_way(imports):
    rank = {name: level for level, names in enumerate(RANKS) for name in names}
    wrong = [
        f"{'.'.join(module)} imports {'.'.join(other)}"
        for module, others in imports.items()
        for other in others
        if "__init__" not in (module[0], other[0])
        and (rank[other[0]] > rank[module[0]] or (module[0], other[0]) in STRANGERS)
    ]
    assert not wrong, "against the order:\n" + "\n".join(wrong)


def test_imports_run_in_no_circle(imports):
    """Neither among modules nor among the parts of a package, so that each can be read before those that use it."""
    circles = []
    for package in sorted({module[:depth] for module in imports for depth in range(len(module))}):
        depth, reasons = len(package), {}
        for module, others in imports.items():
            for other in others:
                if module[:depth] == other[:depth] == package and module[depth] != other[depth]:
                    reasons[module[depth], other[depth]] = f"{'.'.join(module)} imports {'.'.join(other)}"
        graph = TopologicalSorter()
        for part, other in reasons:
            graph.add(part, other)
        try:
            graph.prepare()
        except CycleError as error:
            circle = error.args[1][::-1]
            circles += [
                f"in {'.'.join(('lssed_hf', *package))}:",
                *(reasons[step] for step in itertools.pairwise(circle)),
            ]
    assert not circles, "circles:\n" + "\n".join(circles)


def test_every_public_name_can_be_had():
    assert {"PyResNetConfig", "load_corpus", "metric_path", "fit_normalization"} <= set(lssed_hf.__all__)
    for name in lssed_hf.__all__:
        assert getattr(lssed_hf, name) is not None
    assert set(lssed_hf.__all__) <= set(dir(lssed_hf))
    with pytest.raises(AttributeError, match="nothing_here"):
        lssed_hf.nothing_here  # noqa: B018


def test_datasets_know_a_mapped_function_again():
    def load(row):
        return lssed_hf.load_audio(row["audio"])

    before = Hasher.hash(load)
    extractor = lssed_hf.create_feature_extractor("pyresnet-small", normalization="utterance")
    extractor(np.zeros(16000), sampling_rate=16000)
    assert Hasher.hash(load) == before and pickle.loads(pickle.dumps(lssed_hf)) is lssed_hf


def test_the_zoo_by_name():
    assert lssed_hf.list_models("pyresnet*") == ["pyresnet50", "pyresnet101", "pyresnet152", "pyresnet-small"]
    model = lssed_hf.create_model(
        "pyresnet50", num_labels=3, hidden_sizes=[64] * 4, depths=[1] * 4, groups=[[1] * 4, [1] * 3, [1, 1], [1]]
    )
    assert model.config.num_labels == 3 and model.config.depths == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="unknown model 'lenet'; known are pyresnet50"):
        lssed_hf.create_model("lenet", num_labels=4)


def test_every_network_of_the_zoo_has_its_front_end():
    from lssed_hf.models.registry import create_feature_extractor

    for name in ("pyresnet50", "vgg16", "espnet-conformer"):
        extractor = create_feature_extractor(name, num_mel_bins=40)
        own = lssed_hf.EspnetAsrFeatureExtractor if "espnet" in name else lssed_hf.PyResNetFeatureExtractor
        assert type(extractor) is own and extractor.num_mel_bins == 40
    assert create_feature_extractor("pyresnet-small").num_mel_bins == 64
    assert create_feature_extractor("pyresnet-small", num_mel_bins=40).num_mel_bins == 40
    assert {"espnet-transformer", "espnet-conformer"} <= set(lssed_hf.list_models("espnet-*"))


def test_a_corpus_that_is_missing_or_unknown_is_named(tmp_path):
    assert {"lssed", "ravdess", "emodb", "synthetic"} <= set(lssed_hf.list_corpora())
    with pytest.raises(ValueError, match="unknown corpus 'ravdes'; known are"):
        lssed_hf.load_corpus("ravdes", tmp_path)
    with pytest.raises(ValueError, match="lssed needs data_dir="):
        lssed_hf.load_corpus("lssed")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        lssed_hf.load_corpus("ravdess", tmp_path / "nowhere")


def test_corpora_import_without_torch_and_transformers():
    # datasets 3.6, which loads scripts, lives in environments that have neither.
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'torchaudio', 'transformers']))  # None: cannot be imported\n"
        "from lssed_hf.corpora.lssed import Lssed\n"
        "print(Lssed.__name__)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "Lssed", result.stderr


def test_output_that_nobody_reads_is_no_error(tmp_path):
    lines = "\n".join(["name,faces", *(f"E{number:04}_1,sad" for number in range(4))])
    (tmp_path / "metadata.csv").write_text(lines)
    for number in range(4):
        (tmp_path / f"E{number:04}_1.wav").touch()
    command = [sys.executable, "-m", "lssed_hf", "stats", "lssed", "--data_dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 1
    assert "Broken" not in errors and "Traceback" not in errors


@pytest.mark.slow
def test_the_demo_runs_end_to_end(tmp_path, capfd):
    pytest.importorskip("espeakng_loader")
    from lssed_hf import cli

    status = cli.main(["demo", "--output_dir", str(tmp_path), "--num_speakers", "4", "--num_train_epochs", "1"])
    output = capfd.readouterr().out
    assert status == 0
    assert 'always "neutral"' in output and "->" in output
    assert (tmp_path / "model" / "confusion_matrix.png").is_file()
