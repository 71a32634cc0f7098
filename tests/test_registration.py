"""Auto classes know our models whatever is imported first, and `import lssed_hf` alone stays light."""

import importlib.machinery
import json
import subprocess
import sys

import pytest

from lssed_hf.registration import after_import


CHECK = """
from transformers import AutoConfig
from transformers.models.auto import modeling_auto
from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING

from lssed_hf.models import FAMILIES, family_class

mappings = {name: auto._model_mapping for name, auto in vars(modeling_auto).items() if name.startswith("AutoModel")}
mappings["AutoFeatureExtractor"] = FEATURE_EXTRACTOR_MAPPING
mappings["AutoProcessor"] = PROCESSOR_MAPPING
mappings["AutoTokenizer"] = TOKENIZER_MAPPING
for family, auto_classes in FAMILIES.items():
    config = AutoConfig.for_model(family_class(family, "AutoConfig").model_type)
    assert type(config) is family_class(family, "AutoConfig"), family
    for auto_class in set(auto_classes) - {"AutoConfig"}:
        assert mappings[auto_class][type(config)] is family_class(family, auto_class), (family, auto_class)
"""


def loaded_after(code: str, *names: str) -> set[str]:
    """Modules among `names` that a new interpreter has loaded behind the code."""
    code += f"\nimport json, sys; print(json.dumps([name for name in {names} if name in sys.modules]))"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return set(json.loads(process.stdout))


def test_the_package_alone_imports_nothing_slow():
    assert not loaded_after("import lssed_hf", "torch", "transformers", "timm", "datasets", "numpy")


def test_listing_imports_neither_torch_nor_transformers():
    code = "import lssed_hf; lssed_hf.list_corpora(); lssed_hf.list_models()"
    assert loaded_after(code, "torch", "transformers", "timm", "datasets") == {"datasets"}


@pytest.mark.parametrize(
    "imports",
    [
        "import lssed_hf; from transformers import AutoConfig, AutoFeatureExtractor, AutoModel",
        "from transformers import AutoConfig, AutoFeatureExtractor, AutoModel; import lssed_hf",
        "import lssed_hf; import transformers.modeling_utils; from transformers import AutoConfig, AutoModel",
        "import transformers.modeling_utils; import lssed_hf; from transformers import AutoConfig, AutoModel",
        "from lssed_hf import PyResNetForAudioClassification; from transformers import AutoConfig, AutoModel",
        "import lssed_hf; from lssed_hf import PyResNetConfig; from transformers import AutoConfig, AutoModel",
        "import lssed_hf; from transformers import pipeline, AutoConfig, AutoModel",
        # modeling_layers, which most models of transformers begin with, imports the Auto classes in its midst.
        "import lssed_hf; import transformers.modeling_layers; from transformers import AutoConfig, AutoModel",
        "import lssed_hf; from transformers import BertModel, AutoConfig, AutoModel",
        "import transformers.modeling_layers; import lssed_hf; from transformers import AutoConfig, AutoModel",
        "from lssed_hf import SerCnnForAudioClassification; from transformers import AutoConfig, AutoModel",
        "import lssed_hf; from lssed_hf import SerCnnConfig; from transformers import AutoConfig, AutoModel",
        "from lssed_hf import create_model; from transformers import AutoConfig, AutoModel",
        "from lssed_hf import EspnetAsrForSpeechSeq2Seq; from transformers import AutoConfig, AutoModel",
        "import lssed_hf; from lssed_hf import EspnetAsrConfig; from transformers import AutoConfig, AutoModel",
        # Modules of one kind alone.
        "import lssed_hf; from transformers import AutoTokenizer",
        "from transformers import AutoProcessor; import lssed_hf",
        "from lssed_hf import PyResNetFeatureExtractor",
        "from lssed_hf import EspnetAsrTokenizer, EspnetAsrProcessor",
        "from lssed_hf.models.mts.modeling_mts import MtsModel",
        "from transformers import AutoModel; from lssed_hf.models.cnn.configuration_cnn import SerCnnConfig",
    ],
)
def test_in_any_order(forking_python, imports):
    before = "import sys; assert not {'transformers.modeling_layers', 'transformers.models.auto'} & set(sys.modules)"
    forking_python.run(f"{before}\n{imports}{CHECK}")


@pytest.mark.parametrize(
    "imports",
    [
        "import lssed_hf, datasets",
        "import datasets, lssed_hf",
        "import lssed_hf; from datasets import load_dataset",
        "import lssed_hf.corpora",
        "from lssed_hf.corpora.lssed import Lssed",
        "from lssed_hf import load_corpus, predict",
    ],
)
def test_datasets_know_lssed_in_any_order(forking_python, imports):
    code = (
        "from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES\n"
        "assert _PACKAGED_DATASETS_MODULES['lssed'][0] == 'lssed_hf.corpora.lssed'"
    )
    forking_python.run(f"import sys; assert 'datasets' not in sys.modules\n{imports}\n{code}")


@pytest.mark.parametrize(
    "wrong, said",
    [
        (
            "mts.configuration_mts.MTSConfig",
            "the class MTSConfig; lssed_hf.models.mts.configuration_mts has MtsConfig",
        ),
        ("mt.configuration_mt.MtsConfig", "the module lssed_hf.models.mt.configuration_mt, and there is no lssed"),
    ],
)
def test_a_wrong_line_in_the_table_of_families_is_named(forking_python, wrong, said):
    code = (
        "import lssed_hf\n"
        f"lssed_hf.models.FAMILIES['mts']['AutoConfig'] = {wrong!r}\n"
        "try:\n    from transformers import AutoConfig\n"
        "except ImportError as error: print(error)"
    )
    assert f"lssed_hf.models.FAMILIES['mts'] names {said}" in forking_python.run(code)


def test_a_module_of_any_finder_is_followed(monkeypatch):
    """Editable installs and frozen programs have finders of their own."""

    class Finder:
        def find_spec(self, name, path=None, target=None):
            return importlib.machinery.ModuleSpec(name, self) if name == "module_of_a_finder" else None

        def create_module(self, spec):
            return None

        def exec_module(self, module):
            module.there = True

    called = []
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    after_import("module_of_a_finder", lambda: called.append(sys.modules["module_of_a_finder"].there))
    assert not called
    try:
        importlib.import_module("module_of_a_finder")
    finally:
        sys.modules.pop("module_of_a_finder", None)
    assert called == [True]
