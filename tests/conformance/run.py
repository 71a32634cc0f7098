"""Run transformers' own test suite on the models of this package: `make conformance`.

The suite is part of the source distribution of transformers. The one of the installed version is downloaded once into
`.conformance/<version>/` at the root of the repository, and git ignores it. `suite.py` says what is tested.
Further arguments go to pytest, e.g. `run.py -rs -k batching`.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
import transformers


HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".conformance"
# Not `tests`, which would hide, or be hidden by, other packages of that name.
PACKAGE = "transformers_tests"

# The source distribution holds the files directly in tests/, which import these from its subfolders. The mixins that
# are left empty test generation and export of models that have them; our exports have tests of our own.
STUBS = {
    "__init__.py": "",
    "exporters/__init__.py": "",
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/__init__.py": "",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "utils/__init__.py": "",
    # Fields that every configuration has, with values that are not the defaults.
    "utils/test_configuration_utils.py": """config_common_kwargs = {
    "return_dict": False,
    "output_hidden_states": True,
    "dtype": "float16",
    "chunk_size_feed_forward": 5,
    "architectures": ["BertModel"],
    "id2label": {0: "label"},
    "label2id": {"label": "0"},
    "problem_type": "regression",
}
""",
}


def fetch(version: str) -> Path:
    """Return a folder with transformers' tests of this version as `transformers_tests`, which is made if missing."""
    folder = CACHE / version
    if folder.is_dir():
        return folder
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        # pip, because it knows the user's indexes, proxies and certificates. It builds the metadata as well, for which
        # it needs its isolated build environment.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "transformers"]
        subprocess.run([*command, "--dest", temporary, f"transformers=={version}"], check=True)
        (archive,) = Path(temporary).glob("transformers-*.tar.gz")
        unpacked = Path(temporary) / "unpacked"
        with tarfile.open(archive) as tar:
            prefix = f"{archive.name.removesuffix('.tar.gz')}/tests/"
            members = [member for member in tar.getmembers() if member.name.startswith(prefix)]
            tar.extractall(unpacked, members=members, filter="data")
        tests = unpacked / prefix
        for name, text in STUBS.items():
            if not (tests / name).exists():
                (tests / name).parent.mkdir(exist_ok=True)
                (tests / name).write_text(text, encoding="utf-8")
        finished = Path(temporary) / "finished"
        finished.mkdir()
        shutil.move(tests, finished / PACKAGE)
        os.replace(finished, folder)
    return folder


def main() -> int:
    try:
        folder = fetch(transformers.__version__)
    except subprocess.CalledProcessError:
        print(f"pip could not download the sources of transformers {transformers.__version__}", file=sys.stderr)
        return 1
    sys.path.insert(0, str(folder))
    print(f"transformers {transformers.__version__}: {folder / PACKAGE}")
    # --noconftest, since our fixtures should not change what the suite sees. Our strict markers do not fit it either.
    options = ["--noconftest", "-p", "no:cacheprovider", "-o", "addopts=-q", "-W", "ignore", *sys.argv[1:]]
    return pytest.main([str(HERE / "suite.py"), *options])


if __name__ == "__main__":
    sys.exit(main())
