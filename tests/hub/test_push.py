"""Uploads of models: the chosen files, the refused files, and no upload without --yes."""

import os
import pickle
from types import SimpleNamespace

import pytest
from huggingface_hub.utils import filter_repo_objects

from lssed_hf import PyResNetFeatureExtractor, cli, create_model
from lssed_hf.hub import push
from lssed_hf.hub.cards.model_card import write_model_card


TINY = {
    "depths": [1, 1, 1, 1],
    "embedding_size": 4,
    "hidden_sizes": [16, 16, 16, 16],
    "groups": [[1] * 4, [1] * 3, [1, 1], [1]],
}
RAVDESS = {"name": "ravdess", "corpus": "ravdess"}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original") / "model"
    create_model("pyresnet50", num_labels=2, **TINY).save_pretrained(folder)
    PyResNetFeatureExtractor(mean=[0.0] * 128, std=[10.0] * 128).save_pretrained(folder)
    write_model_card(folder, corpora=[RAVDESS], license="cc-by-nc-sa-4.0")
    return folder


@pytest.fixture
def model(original, tmp_path):
    """Save a model with the other files of a training beside it."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in original.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    checkpoint = folder / "checkpoint-3"
    checkpoint.mkdir()
    for name in ("model.safetensors", "optimizer.pt", "config.json"):
        (checkpoint / name).write_bytes(b"x")
    (folder / "training_args.bin").write_bytes(pickle.dumps([1]))
    (folder / "token.py").write_text("TOKEN = 'hf_secret'")
    (folder / "analysis.py").write_text("import modeling_pyresnet")
    for name in ("predictions.csv", "all_results.json", "report.md", "train_results.json", "events.out.tfevents.1"):
        (folder / name).write_text("speaker 17")
    (folder / "clip.wav").write_bytes(b"RIFF")
    return folder


class Hub:
    """Stand-in for `HfApi` that records its calls."""

    def __init__(self, private=True):
        self.private, self.calls = private, []

    def create_repo(self, repo_id, **kwargs):
        self.calls.append(("create_repo", repo_id, kwargs))

    def repo_info(self, repo_id, **kwargs):
        return SimpleNamespace(private=self.private)

    def upload_folder(self, **kwargs):
        self.calls.append(("upload_folder", kwargs))
        names = [
            os.path.relpath(os.path.join(place, file), kwargs["folder_path"])
            for place, _, files in os.walk(kwargs["folder_path"])
            for file in files
        ]
        self.uploaded = sorted(filter_repo_objects(names, allow_patterns=kwargs["allow_patterns"]))


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    monkeypatch.setattr(push, "HfApi", lambda: hub)
    return hub


GOES_UP = [
    *("README.md", "config.json", "configuration_pyresnet.py", "feature_extraction_pyresnet.py", "model.safetensors"),
    *("front_end_pyresnet.py", "modeling_pyresnet.py", "preprocessor_config.json", "torch_front_end_pyresnet.py"),
]


def test_a_dry_run_lists_and_sends_nothing(model, hub, capsys):
    assert cli.main(["push", str(model), "me/model"]) == 0
    output = capsys.readouterr().out
    listed = [line.split() for line in output.splitlines() if line.startswith("  ")]
    assert sorted(line[0] for line in listed) == sorted(GOES_UP)
    for name, size, _ in listed:
        assert int(size.replace(",", "")) == (model / name).stat().st_size
    assert "Nothing was uploaded" in output and "12 others stay here" in output
    assert hub.calls == []


def test_a_support_vector_machine_goes_up_too(model, hub):
    (model / "config.json").rename(model / "svm.json")
    (model / "model.safetensors").rename(model / "svm.safetensors")
    assert cli.main(["push", str(model), "me/svm", "--yes"]) == 0
    assert {"svm.json", "svm.safetensors", "README.md"} <= {*hub.uploaded}


@pytest.mark.parametrize("flag", ["--yes", "--no_dry_run"])
def test_an_upload_takes_the_model_alone_into_a_private_repository(model, hub, flag, capsys):
    assert cli.main(["push", str(model), "me/model", flag, "--commit_message", "First"]) == 0
    (_, repo_id, created), (_, sent) = hub.calls
    assert repo_id == sent["repo_id"] == "me/model" and created["private"] is True
    assert sent["commit_message"] == "First" and sent["repo_type"] == "model"
    assert hub.uploaded == sorted(GOES_UP)
    assert "Uploaded to me/model (private)" in capsys.readouterr().out


def test_a_public_repository_has_to_be_asked_for(model, hub, capsys):
    hub.private = False
    assert cli.main(["push", str(model), "me/model", "--yes"]) == 1
    assert "is public already" in capsys.readouterr().err and len(hub.calls) == 1
    assert cli.main(["push", str(model), "me/model", "--yes", "--public"]) == 0
    assert hub.calls[1][2]["private"] is False and hub.uploaded


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("bpe.model", pickle.dumps({"a": [1, 2]}, 0), "a pickle"),
        ("openvino_model.bin", pickle.dumps(list(range(200_000)), 1), "a pickle"),
        ("vocab.txt", pickle.dumps(os.getcwd, 0), "a pickle"),
        ("probe.safetensors", b"(lp0", "not what its name says"),
        ("generation_config.json", b"(dp0", "not what its name says"),
        ("token.py", b"TOKEN = 1", "a secret"),
        ("clip.wav", b"RIFF", "audio"),
        ("CLIP.FLAC", b"", "audio"),
        ("predictions.csv", b"id", "data"),
        ("rows.parquet", b"PAR1", "data"),
        ("pytorch_model.bin", b"PK", "a pickle"),
        ("training_args.bin", b"PK", "a pickle"),
        ("checkpoint-3/optimizer.pt", b"", "a pickle"),
        ("checkpoint-3/model.safetensors", b"x", "a state of training"),
        ("trainer_state.json", b"{}", "a state of training"),
        (".env", b"TOKEN=", "a secret"),
        ("hidden.txt", b"RIFF\x00\x00", "audio"),
        ("hidden.txt", b"PAR1", "data"),
        ("hidden.txt", pickle.dumps({"a": 1}), "a pickle"),
    ],
)
def test_files_of_no_model_are_refused(model, hub, name, content, kind, capsys):
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(content)
    assert cli.main(["push", str(model), "me/model", "--yes", "--allow_patterns", name]) == 1
    error = capsys.readouterr().err
    assert name.rpartition("/")[2] in error and f"is {kind}" in error
    assert hub.calls == []


def test_more_files_can_be_let_in_but_not_from_outside(model, hub, tmp_path, capsys):
    assert cli.main(["push", str(model), "me/model", "--yes", "--allow_patterns", "report.md"]) == 0
    assert "report.md" in hub.uploaded
    (tmp_path / "secret.json").write_text("{}")
    (model / "generation_config.json").symlink_to(tmp_path / "secret.json")
    assert cli.main(["push", str(model), "me/model", "--yes"]) == 1
    assert "link out of the folder" in capsys.readouterr().err


def test_weights_that_are_something_else_are_refused(model, hub, capsys):
    (model / "model.safetensors").write_bytes(b"PK\x03\x04whatever")
    assert cli.main(["push", str(model), "me/model", "--yes"]) == 1
    assert "by its first bytes" in capsys.readouterr().err and hub.calls == []


def test_the_licence_of_the_data_can_forbid_it(model, hub, capsys):
    write_model_card(model, corpora=[{"name": "daic", "corpus": "daic_woz"}])
    assert cli.main(["push", str(model), "me/model"]) == 1
    assert "--data_license_allows_sharing" in capsys.readouterr().err
    assert cli.main(["push", str(model), "me/model", "--yes"]) == 1
    assert hub.calls == []
    assert cli.main(["push", str(model), "me/model", "--yes", "--data_license_allows_sharing"]) == 0
    assert hub.uploaded


def test_unknown_licences_are_noted(model, hub, capsys):
    write_model_card(model)
    assert cli.main(["push", str(model), "me/model"]) == 0
    output = capsys.readouterr().out
    assert "names no licence" in output and "licence of training data is unknown" in output


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (None, "holds no model card"),
        ("", "no model card with YAML"),
        ("# Only text\n", "no model card with YAML"),
        ("---\nlicense: [\n---\ntext\n", "cannot be read as a model card"),
        ("---\nmodel-index: 3\n---\ntext\n", "cannot be read as a model card"),
        ("---\ntraining_data_forbids_redistribution: 'no'\n---\ntext\n", "must be true or false"),
    ],
)
def test_no_push_without_a_card(model, hub, card, message, capsys):
    (model / "README.md").unlink()
    if card is not None:
        (model / "README.md").write_text(card)
    assert cli.main(["push", str(model), "me/model", "--yes"]) == 1
    assert message in capsys.readouterr().err and hub.calls == []


def test_other_folders_are_refused(model, hub, tmp_path, capsys):
    for folder, repo_id, message in (
        (tmp_path / "nowhere", "me/model", "is not a folder"),
        (model, "model", "names no owner"),
        (model, "me/mo del", "me/mo del"),
    ):
        assert cli.main(["push", str(folder), repo_id, "--yes"]) == 1
        assert message in capsys.readouterr().err
    (model / "model.safetensors").unlink()
    assert cli.main(["push", str(model), "me/model", "--yes"]) == 1
    assert "holds no weights" in capsys.readouterr().err
    (model / "config.json").unlink()
    assert cli.main(["push", str(model), "me/model", "--yes"]) == 1
    assert "holds neither config.json nor svm.json" in capsys.readouterr().err and hub.calls == []
