"""Upload of a saved model or a prepared corpus to the Hub.

Of a model, `lssed-hf push` uploads weights, configuration, code and the card, chosen by their names, and never data. A
folder of `lssed-hf prepare` goes to a dataset repository. Without --yes it only lists the files.
"""

import fnmatch
import glob
import json
import os
import pickletools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from huggingface_hub import HfApi, ModelCard
from huggingface_hub.utils import validate_repo_id
from transformers.dynamic_module_utils import get_relative_import_files

from ..corpora.prepared import read_manifest
from ..inference.classifiers.checks import count_weights, read_settings_file
from ..inference.classifiers.exported import MARKER
from ..inference.classifiers.svm import SVM_MARKER, SVM_WEIGHTS
from .cards.model_card import FORBIDDEN
from .push_dataset import dataset_files, sharing_refusal


#: Files of a model, besides its code. `training.json` and the picture count clips, and name nobody.
ALLOWED = (
    *("README.md", "LICENSE", "NOTICE", "config.json", "generation_config.json", "training.json", MARKER),
    *("preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "*.model"),
    *("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json"),
    *("probe.json", "probe.safetensors", "encoder/config.json", "encoder/preprocessor_config.json"),
    *("encoder/model.safetensors", SVM_MARKER, SVM_WEIGHTS, "model.onnx", "model.onnx.data"),
    *("openvino_model.xml", "openvino_model.bin", "confusion_matrix.png"),
)
_WEIGHTS = (".safetensors", ".onnx", ".xml")
#: Kinds of files that are never uploaded, by their names ...
_FORBIDDEN_NAMES = {
    "audio": "*.wav *.flac *.mp3 *.ogg *.opus *.m4a *.aac *.aif *.aiff *.sph *.au *.wma *.mp4 *.avi *.mkv",
    "data": "*.parquet *.arrow *.csv *.tsv *.jsonl *.npy *.npz *.h5 *.hdf5 *.mat *.zip *.tar *.gz *.tgz *.7z",
    "a pickle": "*.pkl *.pickle *.pt *.pth *.ckpt *.joblib pytorch_model*.bin training_args.bin",
    "a state of training": "checkpoint-*/* optimizer.* scheduler.* rng_state* trainer_state.json scaler.*",
    "a secret": ".env *.pem *.key token token.*",
}
#: ... and by their first bytes, under any name.
_FORBIDDEN_BYTES = {
    "audio": (b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM"),
    "data": (b"PAR1", b"ARROW1", b"\x93NUMPY", b"\x89HDF"),
    "a pickle or archive": (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04"),
}
_TEXTS = (".md", ".json", ".py", ".xml", "")
_START = 2**16  # bytes at the start of a file that tell what it is


class PushError(ValueError):
    """Error of a folder that may not be uploaded. The message says why."""


@dataclass(frozen=True)
class Upload:
    """Files of an upload.

    Attributes:
        files: Sizes in bytes of the files to upload, by their paths within the folder.
        left_out: Paths of the files that stay.
        refusal: Reason why the licence of the data may forbid the upload, or "".
        warnings: Points to consider before the upload.
        repo_type: Kind of the repository, "model" or "dataset".
    """

    files: dict[str, int]
    left_out: list[str]
    refusal: str
    warnings: list[str]
    repo_type: str = "model"


def plan_upload(folder: str | os.PathLike, allow_patterns: Sequence[str] = ()) -> Upload:
    """List the files of a folder that an upload takes.

    Args:
        folder: Folder of a saved model, with its card, or of a prepared corpus.
        allow_patterns: Patterns of file names of a model to upload besides `ALLOWED`.

    Raises:
        FileNotFoundError: There is no such folder, or no configuration, no weights or no card in it.
        PushError: A chosen file holds audio, data, pickled objects, states of training or secrets, or is a link out of
            the folder; or the card cannot be read or is no card.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: push takes that of a saved model")
    if manifest := read_manifest(folder):
        files = dataset_files(folder, manifest)
        for name in files:
            _check_inside(folder / name, folder)
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        return Upload(files, sorted(there - {*files}), sharing_refusal(manifest), [], "dataset")
    allowed = (*ALLOWED, *map(glob.escape, _code(folder)), *allow_patterns)
    files, left_out = {}, []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            continue
        # A pattern without a slash is for the folder itself: deeper files belong to other models, or to training.
        if not any(_matches(name, pattern) for pattern in allowed):
            left_out.append(name)
            continue
        _check_file(path, name, folder)
        files[name] = path.stat().st_size
    if not {"config.json", SVM_MARKER} & files.keys():
        raise FileNotFoundError(
            f"{folder} holds neither config.json nor {SVM_MARKER}: push takes the folder of a saved model"
        )
    if not any(name.endswith(_WEIGHTS) for name in files):
        raise FileNotFoundError(f"{folder} holds no weights ({', '.join(f'*{suffix}' for suffix in _WEIGHTS)})")
    if "README.md" not in files:
        raise FileNotFoundError(f"{folder} holds no model card: write one with `lssed-hf card {folder}`")
    forbidden, warnings = _check_card(folder / "README.md")
    refusal = (
        f"the card of {folder} says that the licence of its training data forbids redistribution, which may bear on "
        "the model."
    )
    return Upload(files, left_out, refusal if forbidden else "", warnings)


def _code(folder: Path) -> list[str]:
    """Return the names of the modules that the settings of a model lead to, with those that they import."""
    names: set[str] = set()
    for file in ("config.json", "preprocessor_config.json", "processor_config.json", "tokenizer_config.json"):
        entries = read_settings_file(folder / file).get("auto_map") if (folder / file).is_file() else None
        classes = chain.from_iterable(
            one if isinstance(one, list) else [one]
            for one in (entries or {}).values()  # a tokenizer has two
        )
        names |= {f"{one.rpartition('.')[0]}.py" for one in classes if one and "--" not in one}
    modules = [folder / name for name in names if Path(name).name == name and (folder / name).is_file()]
    imported = chain.from_iterable(map(get_relative_import_files, modules))
    return sorted({path.name for path in (*modules, *map(Path, imported))})


def _matches(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)


def _check_inside(path: Path, folder: Path) -> None:
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise PushError(f"{path} is a link out of the folder, or to nothing; put the file itself there")


def _check_file(path: Path, name: str, folder: Path) -> None:
    _check_inside(path, folder)
    lower = name.lower()
    for kind, patterns in _FORBIDDEN_NAMES.items():
        for pattern in patterns.split():
            if fnmatch.fnmatchcase(lower if "/" in pattern else lower.rpartition("/")[2], pattern):
                raise PushError(f"{path} is {kind}, by its name ({pattern}), and push uploads models alone: remove it")
    with path.open("rb") as file:
        start = file.read(_START)
    for kind, marks in _FORBIDDEN_BYTES.items():
        if start.startswith(marks):
            raise PushError(f"{path} is {kind}, by its first bytes, and push uploads models alone: remove it")
    try:
        if path.suffix == ".safetensors":
            count_weights([path])
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PushError(f"{path} is not what its name says: {error}") from error
    # Pickles of old protocols begin with any letter.
    if path.suffix not in _TEXTS and _is_pickle(start):
        raise PushError(f"{path} is a pickle, by its first operations, and push uploads models alone: remove it")


def _is_pickle(start: bytes) -> bool:
    """Return whether a file with these first bytes reads as a pickle, to its end or to theirs."""
    operations = 0
    try:
        for operation, _, _ in pickletools.genops(start):
            operations += 1
            if operation.name == "STOP":
                return True
    except (ValueError, OverflowError):
        pass
    return len(start) == _START and operations > 1000  # cut off; no other content looks like so many operations


def _check_card(path: Path) -> tuple[bool, list[str]]:
    """Return whether the card says that redistribution is forbidden, and warnings."""
    try:
        card = ModelCard.load(path)
    except Exception as error:  # of YAML, of the text's encoding, of the model index
        raise PushError(f"{path} cannot be read as a model card: {error}") from error
    if not card.data.to_dict() or not card.text.strip():
        raise PushError(f"{path} is no model card with YAML and text: write one with `lssed-hf card {path.parent}`")
    warnings = []
    if card.data.get("license", "unknown") == "unknown":
        warnings.append("the card names no licence of the weights (`lssed-hf card --license`)")
    forbidden = card.data.get(FORBIDDEN)
    if forbidden is None:
        warnings.append("the card does not say whether the licence of the training data forbids redistribution")
    elif not isinstance(forbidden, bool):
        raise PushError(f"{path}: {FORBIDDEN} must be true or false, got {forbidden!r}")
    if "Licence: unknown" in card.text or "trained on is unknown" in card.text:
        warnings.append("the licence of training data is unknown")
    return bool(forbidden), warnings


def push(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    dry_run: bool = True,
    public: bool = False,
    data_license_allows_sharing: bool = False,
    allow_patterns: Sequence[str] = (),
    commit_message: str | None = None,
) -> Upload:
    """Upload a saved model or a prepared corpus, or list the files that an upload takes.

    Args:
        folder: Folder of a saved model, with its card, or of a prepared corpus.
        repo_id: Name of the repository, "owner/name". The repository is made if need be.
        dry_run: Whether to list the files only.
        public: Whether a new repository is public. An existing one stays unchanged.
        data_license_allows_sharing: Whether you made sure that the model may be shared, although the card says that
            the licence of the data forbids redistribution of the data; or that a corpus without an open licence may.
        allow_patterns: Patterns of file names of a model to upload besides `ALLOWED`.
        commit_message: Message of the commit. Default: "Upload model" or "Upload dataset".

    Returns:
        Files that were uploaded, or would be.

    Raises:
        PushError: A file is no part of a model (see `plan_upload`), the licence of the data forbids the upload, or the
            repository is public and `public` is false.
        FileNotFoundError: A file of the model is missing, see `plan_upload`.
        ValueError: `repo_id` is no name of a repository.
    """
    validate_repo_id(repo_id)
    if "/" not in repo_id:
        raise ValueError(f"{repo_id!r} names no owner: write OWNER/{repo_id}")
    upload = plan_upload(folder, allow_patterns)
    if upload.refusal and not data_license_allows_sharing:
        shared = "weights" if upload.repo_type == "model" else "data"
        raise PushError(
            f"{upload.refusal} Read the licence or ask who gave you the data; if you may share the {shared}, say so "
            "with --data_license_allows_sharing"
        )
    if dry_run:
        return upload
    api, repo_type = HfApi(), upload.repo_type
    api.create_repo(repo_id, repo_type=repo_type, private=not public, exist_ok=True)
    if not public and not api.repo_info(repo_id, repo_type=repo_type).private:
        raise PushError(f"{repo_id} is public already: say --public if that is meant, or choose another name")
    api.upload_folder(
        folder_path=folder,
        repo_id=repo_id,
        repo_type=repo_type,
        allow_patterns=[glob.escape(name) for name in upload.files],
        commit_message=commit_message or f"Upload {repo_type}",
    )
    return upload
