"""Outputs of ESPnet 202511, and of its converted models here."""

import json

import numpy as np
import pytest
import torch
from espnet_fixtures import CASES, FIXTURES, load_clips, load_labels, write_espnet_model

from lssed_hf import EspnetAsrFeatureExtractor, EspnetAsrForSpeechSeq2Seq
from lssed_hf.hub.conversion.espnet import convert_espnet
from lssed_hf.hub.conversion.espnet_config import read_settings


TOLERANCE = {"rtol": 1e-5, "atol": 2e-5}


@pytest.fixture(scope="module", params=CASES)
def case(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(case, tmp_path_factory):
    folder = tmp_path_factory.mktemp(case)
    return convert_espnet(write_espnet_model(case, folder / "exp"), folder / "converted").folder


@pytest.fixture(scope="module")
def reference(case) -> dict:
    with np.load(FIXTURES / case / "reference.npz") as file:
        arrays = {name: file[name] for name in file}
    return {**arrays, **json.loads((FIXTURES / case / "reference.json").read_text())}


@pytest.fixture(scope="module")
def model(folder) -> EspnetAsrForSpeechSeq2Seq:
    return EspnetAsrForSpeechSeq2Seq.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def extractor(folder) -> EspnetAsrFeatureExtractor:
    return EspnetAsrFeatureExtractor.from_pretrained(folder)


@pytest.fixture(scope="module")
def literal(folder, extractor) -> dict:
    """A batch as ESPnet sees it: waveforms padded, convolutions that see the padding."""
    model = EspnetAsrForSpeechSeq2Seq.from_pretrained(folder, mask_padding=False).eval()
    extractor = EspnetAsrFeatureExtractor.from_dict({**extractor.to_dict(), "pad_waveforms": True})
    inputs = extractor(load_clips(), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        hidden, mask = model.encode(**inputs)
        outputs = model(**inputs, labels=pad(load_labels()))
    return {"inputs": inputs, "hidden": hidden, "mask": mask, "outputs": outputs}


def pad(labels: list[list[int]]) -> torch.Tensor:
    rows = [torch.tensor(row) for row in labels]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)


def without(special: int, tokens: list[int]) -> list[int]:
    return [token for token in tokens if token != special]


def test_all_cases_are_there():
    assert {"conformer", "conformer_legacy", "transformer", "e_branchformer", "vgg_rnn", "rnn"} <= set(CASES)


def test_features_of_a_batch(literal, reference):
    inputs = literal["inputs"]
    assert inputs["attention_mask"].sum(dim=1).tolist() == reference["frames"].tolist()
    if "features" in reference:
        np.testing.assert_allclose(inputs["input_features"], reference["features"], **TOLERANCE)


def test_encoder_output_of_a_batch(literal, reference):
    assert literal["mask"].sum(dim=1).tolist() == reference["hidden_lengths"].tolist()
    for hidden, expected, length in zip(literal["hidden"], reference["hidden"], reference["hidden_lengths"]):
        np.testing.assert_allclose(hidden[:length], expected[:length], **TOLERANCE)


def test_losses_of_a_batch(literal, reference):
    for ours, name in (("loss", "loss"), ("ctc_loss", "loss_ctc"), ("attention_loss", "loss_att")):
        value, expected = literal["outputs"].get(ours), reference["batch"][name]
        assert (value is None) == (expected is None), name
        if expected is not None:
            assert value.item() == pytest.approx(expected, rel=1e-5), name


def test_each_clip_alone(model, extractor, reference):
    for index, (clip, labels) in enumerate(zip(load_clips(), load_labels())):
        inputs = extractor(clip, sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            outputs = model(**inputs, labels=torch.tensor([labels]))
        np.testing.assert_allclose(outputs.encoder_last_hidden_state[0], reference[f"hidden_{index}"], **TOLERANCE)
        assert outputs.loss.item() == pytest.approx(reference["clips"][index]["loss"], rel=1e-5)


def test_a_batch_has_the_results_of_each_clip_alone(model, extractor, reference):
    inputs = extractor(load_clips(), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        hidden, mask = model.encode(**inputs)
        loss = model(**inputs, labels=pad(load_labels())).loss.item()
    for index in range(3):
        np.testing.assert_allclose(hidden[index][mask[index]], reference[f"hidden_{index}"], **TOLERANCE)
    if not model.config.length_normalized_loss:
        assert loss == pytest.approx(np.mean([clip["loss"] for clip in reference["clips"]]), rel=1e-5)


@pytest.mark.parametrize("ctc_weight", ["0.0", "0.3", "1.0"])
def test_beam_search(model, extractor, reference, ctc_weight):
    if ctc_weight not in reference["clips"][0]["beam"]:
        pytest.skip("ESPnet has no such search for this model")
    inputs = extractor(load_clips(), sampling_rate=16000, return_tensors="pt")
    found = model.generate(
        **inputs,
        num_beams=reference["beam_size"],
        num_return_sequences=3,
        ctc_weight=float(ctc_weight),
        return_dict_in_generate=True,
    )
    special = model.config.eos_token_id
    for index, clip in enumerate(reference["clips"]):
        expected = clip["beam"][ctc_weight]
        rows = range(3 * index, 3 * index + len(expected))
        tokens = [without(special, found.sequences[row].tolist()) for row in rows]
        scores = [found.sequences_scores[row].item() for row in rows]
        # ESPnet puts a second end behind one that was found in the last step.
        assert tokens == [without(special, hypothesis["tokens"]) for hypothesis in expected]
        np.testing.assert_allclose(scores, [hypothesis["score"] for hypothesis in expected], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", json.loads((FIXTURES / "frontends.json").read_text()))
def test_front_ends(name):
    conf = json.loads((FIXTURES / "frontends.json").read_text())[name]
    minimal = {"token_list": ["<blank>", "<unk>", "<sos/eos>"], "encoder": "transformer", "decoder": "transformer"}
    arguments = read_settings({**minimal, "normalize": None, "frontend_conf": conf}).feature_extractor
    features = EspnetAsrFeatureExtractor(**arguments)(load_clips()[2], sampling_rate=16000, return_tensors="np")
    with np.load(FIXTURES / "frontends.npz") as file:
        np.testing.assert_allclose(features["input_features"][0], file[name], **TOLERANCE)
