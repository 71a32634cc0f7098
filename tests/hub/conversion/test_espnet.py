"""Conversion of released ESPnet2 models, and faults of releases. test_parity_*.py compare results with ESPnet."""

import contextlib
import io
import json
import pickle
import re
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lssed_hf import EspnetAsrFeatureExtractor, EspnetAsrForSpeechSeq2Seq, EspnetAsrProcessor, cli
from lssed_hf.hub.conversion.espnet import convert_espnet
from lssed_hf.hub.conversion.espnet_config import UnsupportedModelError, read_settings
from lssed_hf.unpack import ArchiveError


sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "espnet"))
from espnet_fixtures import FIXTURES, load_clips, make_state_dict, write_espnet_model


@pytest.fixture
def exp(tmp_path) -> Path:
    """Write a trained model: config.yaml and averaged weights."""
    return write_espnet_model("conformer", tmp_path / "exp" / "asr_train")


def read_config(case: str = "conformer") -> dict:
    return yaml.safe_load((FIXTURES / case / "config.yaml").read_text())


def write_release(folder: Path, **config) -> Path:
    """Write an unpacked release: paths in its YAML files begin at its root."""
    exp = write_espnet_model("conformer", folder / "exp" / "asr_train_conformer", config=config or None)
    shutil.copy(exp / "valid.acc.ave_10best.pth", exp / "valid.acc.ave.pth")
    meta = {
        "espnet": "202511",
        "files": {"asr_model_file": "exp/asr_train_conformer/valid.acc.ave_10best.pth"},
        "yaml_files": {"asr_train_config": "exp/asr_train_conformer/config.yaml"},
    }
    (folder / "meta.yaml").write_text(yaml.safe_dump(meta))
    (folder / "exp" / "asr_train_conformer" / "RESULTS.md").write_text("# RESULTS\n")
    (folder / "exp" / "lm_train").mkdir()
    (folder / "exp" / "lm_train" / "config.yaml").write_text("lm: transformer\n")
    return folder


def zip_folder(folder: Path) -> Path:
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    return archive


class TestRelease:
    def test_zip_becomes_a_folder_that_serves(self, tmp_path, capsys):
        archive = zip_folder(write_release(tmp_path / "release"))
        output = tmp_path / "models" / "converted"
        assert cli.main(["convert", str(archive), str(output)]) == 0
        assert "valid.acc.ave_10best.pth" in capsys.readouterr().out
        assert [path.name for path in output.parent.iterdir()] == ["converted"], "nothing temporary is left"
        names = {path.name for path in output.iterdir()}
        assert {"model.safetensors", "config.json", "preprocessor_config.json", "generation_config.json"} <= names
        assert {"README.md", "modeling_espnet_asr.py", "tokenization_espnet_asr.py", "vocab.json"} <= names
        card = (output / "README.md").read_text()
        assert "conformer encoder" in card and "SHA-256" in card
        metadata = yaml.safe_load(card.split("---")[1])
        assert metadata["pipeline_tag"] == "automatic-speech-recognition"

        from transformers import pipeline

        recognise = pipeline("automatic-speech-recognition", model=str(output), device="cpu")
        text = recognise(load_clips()[0], generate_kwargs={"num_beams": 4, "ctc_weight": 0.3})["text"]
        reference = json.loads((FIXTURES / "conformer" / "reference.json").read_text())
        tokens = reference["clips"][0]["beam"]["0.3"][0]["tokens"]
        assert text == "".join(read_config()["token_list"][token] for token in tokens).replace("<space>", " ")

    def test_pieces_come_along(self, tmp_path):
        folder = write_release(tmp_path / "release", token_type="bpe", bpemodel="data/en_token_list/bpe.model")
        with pytest.raises(FileNotFoundError, match=r"sentencepiece model 'data/en_token_list/bpe.model' is not in"):
            convert_espnet(folder, tmp_path / "out")
        model = folder / "data" / "en_token_list" / "bpe.model"
        model.parent.mkdir(parents=True)
        model.write_bytes(b"pieces")
        output = convert_espnet(folder, tmp_path / "out").folder
        assert (output / "bpe.model").read_bytes() == b"pieces"
        tokenizer = EspnetAsrProcessor.from_pretrained(output).tokenizer
        assert tokenizer.token_type == "bpe"
        model.rename(folder / "bpe.model")  # config.yaml often names the place on the trainer's disk
        assert (convert_espnet(folder, tmp_path / "again").folder / "bpe.model").is_file()

    def test_non_linguistic_symbols(self, tmp_path):
        folder = write_release(tmp_path / "release", non_linguistic_symbols="data/nlsyms.txt")
        assert any("nlsyms.txt" in note for note in convert_espnet(folder, tmp_path / "without").notes)
        (folder / "data").mkdir()
        (folder / "data" / "nlsyms.txt").write_text("<noise>\n<laugh>\n")
        made = convert_espnet(folder, tmp_path / "with")
        assert made.notes == []
        tokenizer = EspnetAsrProcessor.from_pretrained(made.folder).tokenizer
        assert tokenizer.non_linguistic_symbols == ["<noise>", "<laugh>"]

    def test_statistics_and_weights_are_taken_over_to_the_bit(self, exp, tmp_path):
        output = convert_espnet(exp, tmp_path / "out").folder
        state = make_state_dict("conformer")
        extractor = EspnetAsrFeatureExtractor.from_pretrained(output)
        np.testing.assert_array_equal(np.float32(extractor.mean), state["normalize.mean"])
        np.testing.assert_array_equal(np.float32(extractor.std), state["normalize.std"])
        ours = EspnetAsrForSpeechSeq2Seq.from_pretrained(output).state_dict()
        theirs = {k: v for k, v in state.items() if not k.startswith(("frontend", "normalize"))}
        assert len(ours) == len(theirs)
        for name, tensor in theirs.items():
            assert torch.equal(ours[f"model.{name}" if name.startswith("encoder") else name], tensor), name

    def test_generation_fits_models_of_one_branch(self, tmp_path):
        for case, weight in (("transformer_conv2d6", 1.0), ("e_branchformer_plain", 0.0)):
            folder = write_espnet_model(case, tmp_path / case)
            model = EspnetAsrForSpeechSeq2Seq.from_pretrained(convert_espnet(folder, tmp_path / f"{case}.out").folder)
            assert model.generation_config.ctc_weight == weight
            model.generate(torch.zeros(1, 40, 20), num_beams=2)


class TestFiles:
    def test_averaged_weights_come_first(self, exp, tmp_path):
        shutil.copy(exp / "valid.acc.ave_10best.pth", exp / "12epoch.pth")
        torch.save({"model": {}}, exp / "checkpoint.pth")
        assert convert_espnet(exp, tmp_path / "out").checkpoint == "valid.acc.ave_10best.pth"
        (exp / "valid.acc.ave.pth").symlink_to("valid.acc.ave_10best.pth")
        convert_espnet(exp, tmp_path / "with_link")

    def test_several_checkpoints_need_a_choice(self, exp, tmp_path):
        (exp / "valid.acc.ave_10best.pth").rename(exp / "3epoch.pth")
        shutil.copy(exp / "3epoch.pth", exp / "4epoch.pth")
        with pytest.raises(ValueError, match=r"--checkpoint_file: 3epoch.pth, 4epoch.pth"):
            convert_espnet(exp, tmp_path / "out")
        assert convert_espnet(exp, tmp_path / "out", checkpoint_file="4epoch.pth").checkpoint == "4epoch.pth"

    def test_missing_files_are_named(self, exp, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            convert_espnet(tmp_path / "nowhere", tmp_path / "out")
        (exp / "config.yaml").write_text("lm: transformer\n")
        with pytest.raises(FileNotFoundError, match=r"no config.yaml of a speech recogniser"):
            convert_espnet(exp, tmp_path / "out")
        (exp / "valid.acc.ave_10best.pth").unlink()
        (exp / "config.yaml").write_text(yaml.safe_dump(read_config()))
        with pytest.raises(FileNotFoundError, match=r"no \.pth file"):
            convert_espnet(exp, tmp_path / "out")

    def test_an_output_folder_is_not_overwritten(self, exp, tmp_path):
        output = tmp_path / "out"
        output.mkdir()
        (output / "precious").touch()
        with pytest.raises(FileExistsError, match="not empty"):
            convert_espnet(exp, output)
        assert [path.name for path in output.iterdir()] == ["precious"]

    def test_a_failure_leaves_nothing(self, exp, tmp_path):
        state = make_state_dict("conformer")
        state.pop("ctc.ctc_lo.bias")
        torch.save(state, exp / "valid.acc.ave_10best.pth")
        assert cli.main(["convert", str(exp), str(tmp_path / "new" / "out")]) == 1
        assert not (tmp_path / "new").exists()


#: Ten values, ten times over in each of seven lines.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
BOMB += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8)) + "token_list: *a7\n"

#: Converts a model in a process of little memory and time, and prints the error.
BOUNDED = """
import resource, sys
sys.path[:0] = {path!r}
from pathlib import Path
from lssed_hf.hub.conversion.espnet import convert_espnet
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
seconds = round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 60
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
try:
    convert_espnet({source!r}, {output!r})
except (ValueError, OSError) as error:
    print(error)
"""
#: Pieces that mean something in YAML.
PIECES = [
    "&a ",
    "*a",
    "- ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    "!!python/object:os.system ",
    "null",
    ".inf",
    "-1",
    "1e999",
    "\n",
]
PIECES += ["999999999999", "? ", "| ", "'", '"', "../", "/etc/passwd", "\t", "#", "<<: "]


class TestHostileFiles:
    def test_objects_are_not_unpickled(self, exp, tmp_path):
        class Bomb:
            def __reduce__(self):
                return Path.touch, (tmp_path / "exploded",)

        (exp / "valid.acc.ave_10best.pth").write_bytes(pickle.dumps({"encoder": Bomb()}))
        with pytest.raises(ValueError, match="cannot be read as weights alone"):
            convert_espnet(exp, tmp_path / "out")
        torch.save({"encoder": Bomb()}, exp / "valid.acc.ave_10best.pth")
        with pytest.raises(ValueError, match="cannot be read as weights alone"):
            convert_espnet(exp, tmp_path / "out")
        assert not (tmp_path / "exploded").exists()

    def test_yaml_builds_no_objects(self, exp, tmp_path):
        (exp / "config.yaml").write_text(f"token_list: !!python/object/apply:os.mkdir ['{tmp_path}/exploded']\n")
        with pytest.raises(ValueError, match=r"config.yaml cannot be read as YAML"):
            convert_espnet(exp, tmp_path / "out")
        assert not (tmp_path / "exploded").exists()

    def test_statistics_are_plain_numbers(self, exp, tmp_path):
        state = make_state_dict("conformer")
        del state["normalize.mean"], state["normalize.std"]
        torch.save(state, exp / "valid.acc.ave_10best.pth")
        with pytest.raises(FileNotFoundError, match=r"feats_stats.npz"):
            convert_espnet(exp, tmp_path / "out")
        np.savez(exp / "feats_stats.npz", count=np.array(4), sum=np.arange(20.0), sum_square=np.full(20, 400.0))
        extractor = EspnetAsrFeatureExtractor.from_pretrained(convert_espnet(exp, tmp_path / "out").folder)
        np.testing.assert_allclose(extractor.mean, np.arange(20) / 4)
        np.testing.assert_allclose(extractor.std, np.sqrt(100 - (np.arange(20) / 4) ** 2))
        np.savez(exp / "feats_stats.npz", count=np.array([{}], dtype=object), sum=0, sum_square=0)
        with pytest.raises(ValueError, match=r"feats_stats.npz does not hold"):
            convert_espnet(exp, tmp_path / "again")

    def test_an_archive_cannot_write_elsewhere(self, tmp_path):
        archive = zip_folder(write_release(tmp_path / "release"))
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr("../escaped.yaml", "x: 1\n")
        with pytest.raises(ArchiveError, match="escaped"):
            convert_espnet(archive, tmp_path / "out")
        assert not list(tmp_path.rglob("escaped.yaml"))

    @pytest.mark.parametrize("part", [("files", "asr_model_file"), ("yaml_files", "asr_train_config")])
    def test_meta_cannot_read_elsewhere(self, tmp_path, part):
        folder = write_release(tmp_path / "release")
        (tmp_path / "secret").write_text("token_list: [a]\n")
        meta = yaml.safe_load((folder / "meta.yaml").read_text())
        meta[part[0]][part[1]] = "../secret"
        (folder / "meta.yaml").write_text(yaml.safe_dump(meta))
        with pytest.raises(ValueError, match="lies outside of the model"):
            convert_espnet(folder, tmp_path / "out")

    @pytest.mark.parametrize(
        "name", ["meta.yaml", "config.yaml", "valid.acc.ave_10best.pth", "bpe.model", "nlsyms.txt"]
    )
    def test_links_out_of_a_folder_are_not_followed(self, tmp_path, name):
        given = {"token_type": "bpe", "bpemodel": "/gone/bpe.model"} if name == "bpe.model" else {}
        given = {"non_linguistic_symbols": "/gone/nlsyms.txt"} if name == "nlsyms.txt" else given
        folder = write_release(tmp_path / "release", **given)
        if name == "config.yaml":
            (folder / "meta.yaml").unlink()
        path = next(folder.rglob(name), folder / name)
        secret = tmp_path / "secret"
        secret.write_bytes(path.read_bytes() if path.exists() else b"secret")
        path.unlink(missing_ok=True)
        path.symlink_to(secret)
        with pytest.raises(ValueError, match=r"release: .*(is a link out of the model|lies outside of the model)"):
            convert_espnet(folder, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_the_cache_of_the_hub_is_a_folder_of_links(self, tmp_path):
        folder = write_release(tmp_path / "models--me--asr" / "snapshots" / "main")
        blobs = tmp_path / "models--me--asr" / "blobs"
        blobs.mkdir()
        for number, path in enumerate(path for path in sorted(folder.rglob("*")) if path.is_file()):
            path.rename(blobs / str(number))
            path.symlink_to(blobs / str(number))
        assert convert_espnet(folder, tmp_path / "out").checkpoint == "valid.acc.ave_10best.pth"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (BOMB, "more than 1,000,000 values are not read"),
            ("a: " * 60, "cannot be read as YAML"),
            ("[" * 100_000, "more than 50 levels are not read"),
            ("&a [*a]", "cannot be read as YAML|has no token_list|no config.yaml"),
            (f"token_list: [{', '.join(['x'] * 40_000)}]\nencoder: conformer\nencoder_conf: {'9' * 5000}", ""),
            ("token_list: [a, a]\nencoder: conformer\ndecoder: transformer", "mel filters"),
            ("token_list: [a]\n" + "x" * 2**24, "larger than the 16 MB"),
        ],
        ids=["bomb", "keys", "depth", "loop", "digits", "twice", "size"],
    )
    def test_yaml_is_bounded(self, exp, tmp_path, text, words, forking_python):
        (exp / "config.yaml").write_text(text)
        error = forking_python.run(BOUNDED.format(source=str(exp), output=str(tmp_path / "out"), path=sys.path))
        assert "asr_train: " in error or "no config.yaml" in error, error
        assert re.search(words, error) and len(error) < 2000

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"encoder_conf": {"num_blocks": 10**9}}, "at most 200 layers are read"),
            ({"encoder_conf": {"linear_units": 10**9}}, "instead of"),
            ({"frontend_conf": {"n_fft": 2**40}}, ""),
            ({"frontend_conf": {"n_mels": 10**9}}, ""),
            ({"encoder_conf": {"cnn_module_kernel": 10**9 + 1}}, "instead of"),
        ],
    )
    def test_sizes_are_compared_with_the_weights_first(self, exp, tmp_path, change, words, forking_python):
        config = read_config()
        for section, options in change.items():
            config[section] = {**(config.get(section) or {}), **options}
        (exp / "config.yaml").write_text(yaml.safe_dump(config))
        error = forking_python.run(BOUNDED.format(source=str(exp), output=str(tmp_path / "out"), path=sys.path))
        assert "asr_train: " in error and re.search(words, error), error

    @pytest.mark.parametrize(
        ("statistics", "words"),
        [
            ({"count": np.array(0)}, r"holds no finite mean and deviation \(count 0\)"),
            ({"sum": np.full(20, np.nan)}, "holds no finite mean"),
            ({"sum": np.zeros(2**22)}, "it unpacks to over 16 MB"),
            ({"sum": np.zeros(3)}, "could not be broadcast|have the shape"),
        ],
    )
    def test_statistics_are_bounded_and_finite(self, exp, tmp_path, statistics, words):
        state = make_state_dict("conformer")
        del state["normalize.mean"], state["normalize.std"]
        torch.save(state, exp / "valid.acc.ave_10best.pth")
        plain = {"count": np.array(4), "sum": np.arange(20.0), "sum_square": np.full(20, 400.0)}
        np.savez_compressed(exp / "feats_stats.npz", **{**plain, **statistics})
        with pytest.raises(ValueError, match=rf"feats_stats\.npz.*{words}|{words}"):
            convert_espnet(exp, tmp_path / "out")

    def test_statistics_that_claim_too_much(self, exp, tmp_path, forking_python):
        state = make_state_dict("conformer")
        del state["normalize.mean"], state["normalize.std"]
        torch.save(state, exp / "valid.acc.ave_10best.pth")
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
        with zipfile.ZipFile(exp / "feats_stats.npz", "w") as file:
            for name in ("count", "sum", "sum_square"):
                file.writestr(f"{name}.npy", header.getvalue())
        error = forking_python.run(BOUNDED.format(source=str(exp), output=str(tmp_path / "out"), path=sys.path))
        assert "feats_stats.npz does not hold count" in error

    @pytest.mark.parametrize(
        ("tensor", "words"),
        [
            (torch.full((14,), float("nan")), r"asr_train: ctc\.ctc_lo\.bias has values that are NaN or infinite"),
            (torch.ones(14, dtype=torch.int64), r"asr_train: ctc\.ctc_lo\.bias has the type torch\.int64"),
        ],
    )
    def test_weights_are_finite_floats(self, exp, tmp_path, tensor, words):
        torch.save({**make_state_dict("conformer"), "ctc.ctc_lo.bias": tensor}, exp / "valid.acc.ave_10best.pth")
        with pytest.raises(UnsupportedModelError, match=words):
            convert_espnet(exp, tmp_path / "out")

    @pytest.mark.fuzz
    @given(
        st.sampled_from(["config.yaml", "meta.yaml"]),
        st.lists(st.tuples(st.integers(0, 10**6), st.text(max_size=4) | st.sampled_from(PIECES)), max_size=4),
    )
    @settings(max_examples=settings.default.max_examples // 2)
    def test_any_yaml_is_read_or_refused_by_name(self, tmp_path_factory, name, changes):
        folder = write_release(tmp_path_factory.mktemp("any") / "release")
        path = next(folder.rglob(name))
        text = path.read_text()
        for place, piece in changes:
            place %= len(text) + 1
            text = text[:place] + piece + text[place + len(piece) // 2 :]
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            convert_espnet(folder, folder.parent / "out")
        except UnsupportedModelError as error:
            assert str(error).startswith("release: ")
        except FileNotFoundError as error:
            assert "release" in str(error)
        assert {path.name for path in folder.parent.iterdir()} <= {"release", "out"}


class TestWeights:
    def convert(self, tmp_path, change, case: str = "conformer", config: dict | None = None):
        state = make_state_dict(case)
        change(state)
        folder = write_espnet_model(case, tmp_path / "exp", state, config)
        return convert_espnet(folder, tmp_path / "out")

    def test_every_one_has_a_place(self, tmp_path):
        def change(state):
            state["encoder.conditioning_layer.weight"] = torch.zeros(2, 2)
            state["decoder.after_norm.weight"] = torch.zeros(3)
            del state["encoder.encoders.1.norm_ff.bias"]

        with pytest.raises(UnsupportedModelError) as caught:
            self.convert(tmp_path, change)
        for problem in (
            "model.encoder.encoders.1.norm_ff.bias is missing",
            "model.encoder.conditioning_layer.weight has no place",
            r"decoder.after_norm.weight has the shape (3,) instead of (16,)",
        ):
            assert problem in str(caught.value)

    def test_positions_of_old_versions_are_computed_instead(self, tmp_path):
        def change(state):
            state["encoder.embed.out.1.pe"] = torch.zeros(1, 5000, 16)
            state["decoder.embed.1.pe"] = torch.zeros(1, 5000, 16)

        assert self.convert(tmp_path, change).notes == []

    def test_untrained_parts_are_left_out_with_a_note(self, tmp_path):
        def change(state):
            state["ctc.ctc_lo.weight"], state["ctc.ctc_lo.bias"] = torch.zeros(14, 16), torch.zeros(14)

        (note,) = self.convert(tmp_path, change, "e_branchformer_plain").notes
        assert "ctc.*: not taken over" in note

    def test_deepspeed_nests_them(self, tmp_path):
        state = make_state_dict("transformer")
        folder = write_espnet_model("transformer", tmp_path / "exp", {"module": state, "epoch": 3})
        model = EspnetAsrForSpeechSeq2Seq.from_pretrained(convert_espnet(folder, tmp_path / "out").folder)
        assert torch.equal(model.state_dict()["ctc.ctc_lo.weight"], state["ctc.ctc_lo.weight"])

    @pytest.mark.parametrize("content", [{}, [1, 2], {"a": 1}, {"encoder.x": "text"}])
    def test_other_contents_are_refused(self, tmp_path, content):
        folder = write_espnet_model("transformer", tmp_path / "exp", content)
        with pytest.raises(ValueError, match=r"holds no weights|is no tensor"):
            convert_espnet(folder, tmp_path / "out")

    def test_other_mel_filters_are_refused(self, tmp_path):
        def change(state):
            state["frontend.logmel.melmat"] = state["frontend.logmel.melmat"] * 1.01

        with pytest.raises(UnsupportedModelError, match="mel filters are not those that frontend_conf describes"):
            self.convert(tmp_path, change)

    def test_vocabulary_of_another_size_is_refused(self, tmp_path):
        config = {"token_list": ["<blank>", "<unk>", "A", "<sos/eos>"]}
        with pytest.raises(UnsupportedModelError, match=r"ctc.ctc_lo.bias has the shape \(14,\) instead of \(4,\)"):
            self.convert(tmp_path, lambda state: None, config=config)


class TestSettings:
    @pytest.mark.parametrize(
        ("case", "change", "message"),
        [
            ("conformer", {"frontend": "s3prl"}, "frontend 's3prl' is not supported"),
            ("conformer", {"frontend": None}, "frontend None is not supported"),
            ("conformer", {"input_size": 83}, "input_size is given"),
            ("conformer", {"preencoder": "sinc"}, "preencoder 'sinc'"),
            ("conformer", {"postencoder": "hugging_face_transformers"}, "postencoder"),
            ("conformer", {"model": "maskctc"}, "model 'maskctc'"),
            ("conformer", {"encoder": "contextual_block_conformer"}, "encoder 'contextual_block_conformer'"),
            ("conformer", {"encoder": "branchformer"}, "encoder 'branchformer' is not supported"),
            ("conformer", {"decoder": "s4"}, "decoder 's4' is not supported; transformer, rnn are"),
            ("vgg_rnn", {"decoder_conf.att_conf": {"atype": "dot"}}, "atype='dot'"),
            ("vgg_rnn", {"decoder_conf.num_encs": 2}, "num_encs=2"),
            ("conformer", {"decoder": "transducer"}, "transducers are no CTC/attention models"),
            ("conformer", {"decoder": None}, "decoder None"),
            ("conformer", {"normalize": "mvn"}, "normalize 'mvn'"),
            ("conformer", {"token_type": "phn"}, "token_type 'phn'"),
            ("conformer", {"token_list": "tokens.txt"}, "token_list is no list of strings"),
            ("conformer", {"use_adapter": True}, "use_adapter"),
            ("conformer", {"specaug": "other"}, "specaug 'other'"),
            ("conformer", {"encoder_conf.input_layer": "linear"}, "input_layer='linear'"),
            ("conformer", {"encoder_conf.normalize_before": False}, "normalize_before=False is not supported"),
            ("conformer", {"encoder_conf.concat_after": True}, "concat_after=True"),
            ("conformer", {"encoder_conf.positionwise_layer_type": "conv1d"}, "positionwise_layer_type='conv1d'"),
            ("conformer", {"encoder_conf.zero_triu": True}, "zero_triu=True"),
            ("conformer", {"encoder_conf.qk_norm": True}, "qk_norm=True"),
            ("conformer", {"encoder_conf.ctc_trim": True}, "ctc_trim=True"),
            ("conformer", {"encoder_conf.interctc_use_conditioning": True}, "interctc_use_conditioning=True"),
            (
                "conformer",
                {"encoder_conf.pos_enc_layer_type": "scaled_abs_pos"},
                "pos_enc_layer_type='scaled_abs_pos'",
            ),
            ("conformer", {"encoder_conf.rel_pos_type": "newest"}, "rel_pos_type='newest'"),
            ("conformer", {"encoder_conf.brand_new": 3}, "encoder_conf of conformer: unknown option brand_new=3"),
            ("transformer", {"encoder_conf.pos_enc_layer_type": "conv"}, "pos_enc_layer_type='conv'"),
            ("e_branchformer", {"encoder_conf.attention_layer_type": "fast_selfattn"}, "fast_selfattn"),
            ("vgg_rnn", {"encoder_conf.in_channel": 2}, "in_channel=2"),
            ("conformer", {"decoder_conf.input_layer": "linear"}, "decoder_conf of transformer: input_layer='linear'"),
            ("conformer", {"model_conf.lang_token_id": 4}, "lang_token_id=4"),
            ("conformer", {"model_conf.sym_sos": "<s>"}, "sym_sos"),
            ("conformer", {"frontend_conf.center": False}, "center=False"),
            ("conformer", {"frontend_conf.fs": "fast"}, "fs='fast' is no sampling rate"),
            ("conformer", {"frontend_conf.frontend_conf": {"use_wpe": True}}, "use_wpe=True"),
            ("conformer", {"encoder_conf": [1]}, "encoder_conf of conformer is no mapping"),
            ("conformer", {"encoder": ["conformer"]}, "wrong kind"),
        ],
    )
    def test_unsupported_options_are_named(self, case, change, message):
        config = read_config(case)
        for key, value in change.items():
            section, _, option = key.partition(".")
            if option:
                config[section] = {**(config.get(section) or {}), option: value}
            else:
                config[section] = value
        with pytest.raises(UnsupportedModelError) as caught:
            read_settings(config)
        assert message in str(caught.value)

    def test_other_yaml_files(self):
        for content in ({"lm": "transformer"}, [], None, "text"):
            with pytest.raises(UnsupportedModelError, match="no token_list"):
                read_settings(content)

    def test_training_alone_is_noted(self):
        config = read_config()
        config["encoder_conf"] |= {"interctc_layer_idx": [1], "stochastic_depth_rate": 0.1}
        config["model_conf"] |= {"interctc_weight": 0.3}
        config |= {"cleaner": "tacotron"}
        notes = " ".join(read_settings(config).notes)
        assert all(
            word in notes for word in ("interctc_layer_idx", "stochastic_depth_rate", "interctc_weight", "cleaner")
        )

    def test_missing_options_have_espnets_defaults(self):
        config = {"token_list": ["<blank>", "<unk>", "<sos/eos>"], "encoder": "conformer", "decoder": "transformer"}
        read = read_settings(config)
        assert read.model["position_embeddings_type"] == "relative_legacy" and not read.model["macaron_style"]
        assert (read.model["num_hidden_layers"], read.model["decoder_layers"], read.model["ctc_weight"]) == (6, 6, 0.5)
        assert read.feature_extractor["normalization"] == "utterance_mvn"
        assert (read.feature_extractor["hop_length"], read.feature_extractor["win_length"]) == (128, 512)

    def test_specaug_is_taken_over(self, tmp_path):
        conf = {"apply_time_warp": True, "time_warp_window": 5, "time_mask_width_ratio_range": [0.0, 0.05]}
        folder = write_espnet_model("conformer", tmp_path / "exp", config={"specaug": "specaug", "specaug_conf": conf})
        model = EspnetAsrForSpeechSeq2Seq.from_pretrained(convert_espnet(folder, tmp_path / "out").folder)
        assert model.config.specaug == conf

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers(-9, 999) | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
        max_leaves=4,
    )

    @pytest.mark.fuzz
    @given(st.sampled_from(sorted(read_config())), json_values)
    @settings(max_examples=3 * settings.default.max_examples)
    def test_any_content_is_read_or_refused(self, key, value):
        config = {**read_config(), key: value}
        try:
            read = read_settings(config)
        except UnsupportedModelError:
            return
        assert read.model["vocab_size"] == len(read.tokens)

    @pytest.mark.fuzz
    @given(
        st.sampled_from([(s, o) for s in ("encoder_conf", "decoder_conf", "model_conf", "frontend_conf")
                         for o in sorted(read_config()[s])]),
        json_values,
    )  # fmt: skip
    @settings(max_examples=3 * settings.default.max_examples)
    def test_any_option_is_read_or_refused(self, place, value):
        config = read_config()
        config[place[0]] = {**config[place[0]], place[1]: value}
        with contextlib.suppress(UnsupportedModelError):
            assert read_settings(config).tokens == config["token_list"]
