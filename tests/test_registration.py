"""Auto classes know our models whatever is imported first, and `import lssed_hf` alone stays light."""

import subprocess
import sys

import pytest


def run(code: str) -> str:
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


def test_the_package_alone_imports_neither_torch_nor_transformers():
    code = "import lssed_hf, sys; lssed_hf.list_corpora(); print({'torch', 'transformers'} & set(sys.modules))"
    assert run(code) == "set()"


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
    ],
)
def test_in_any_order(imports):
    code = (
        f"{imports}\n"
        "from transformers import AutoModelForAudioClassification, AutoModelForSpeechSeq2Seq\n"
        "from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING\n"
        "from lssed_hf.models import FAMILIES, family_class\n"
        "families = {family_class(family, 'Config').model_type: family for family in FAMILIES}\n"
        "for model_type, family in families.items():\n"
        "    config = AutoConfig.for_model(model_type)\n"
        "    assert type(config) is family_class(family, 'Config')\n"
        "    assert AutoModel._model_mapping[type(config)] is family_class(family, 'Model')\n"
        "    classifier = AutoModelForAudioClassification._model_mapping[type(config)]\n"
        "    assert classifier is family_class(family, 'ForAudioClassification')\n"
        "    assert FEATURE_EXTRACTOR_MAPPING[type(config)] is family_class(family, 'FeatureExtractor')\n"
        "recogniser = AutoModelForSpeechSeq2Seq._model_mapping[type(AutoConfig.for_model('espnet_asr'))]\n"
        "assert recogniser is family_class('espnet', 'ForSpeechSeq2Seq')\n"
        "from transformers.models.auto.processing_auto import PROCESSOR_MAPPING\n"
        "from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING\n"
        "for kind, mapping in (('Tokenizer', TOKENIZER_MAPPING), ('Processor', PROCESSOR_MAPPING)):\n"
        "    assert mapping[type(AutoConfig.for_model('espnet_asr'))] is family_class('espnet', kind)\n"
        "print(*families)"
    )
    assert {"pyresnet", "ser_cnn", "espnet_asr"} <= set(run(code).split())


def test_the_zoo_is_listed_without_importing_a_network():
    code = "import lssed_hf, sys; lssed_hf.list_models(); print({'torch', 'transformers', 'timm'} & set(sys.modules))"
    assert run(code) == "set()"
