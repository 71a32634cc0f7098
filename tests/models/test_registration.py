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
    ],
)
def test_in_any_order(imports):
    code = (
        f"{imports}\n"
        "from transformers import AutoModelForAudioClassification, AutoFeatureExtractor\n"
        "from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING\n"
        "config = AutoConfig.for_model('pyresnet', depths=[1, 1, 1, 1])\n"
        "names = [type(config), type(AutoModel.from_config(config))]\n"
        "names.append(type(AutoModelForAudioClassification.from_config(config)))\n"
        "names.append(FEATURE_EXTRACTOR_MAPPING[type(config)])\n"
        "print(*[n.__module__.split('.')[0] + '.' + n.__name__ for n in names])"
    )
    expected = "PyResNetConfig PyResNetModel PyResNetForAudioClassification PyResNetFeatureExtractor".split()  # noqa: SIM905
    assert run(code).split() == [f"lssed_hf.{name}" for name in expected]
