"""Built-in models by ONNX Runtime: the answers of PyTorch, without its import."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from lssed_hf import list_pretrained, load_classifier, predict
from lssed_hf.hub.graph import write_graph
from lssed_hf.inference.classifiers.graph import GRAPH, GraphClassifier
from lssed_hf.inference.classifiers.pretrained import pretrained_folder
from lssed_hf.inference.classifiers.statistics import StatisticsClassifier


pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16000


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Make pulses of a tone in noise, as loud as speech."""
    times = np.arange(round(seconds * RATE)) / RATE
    tone = 0.1 * np.sin(2 * np.pi * (120 + 40 * seed) * times) * (np.sin(2 * np.pi * 3 * times) > 0)
    return (tone + np.random.default_rng(seed).normal(0, 0.01, len(times))).astype(np.float32)


CLIPS = [*(speech(seconds, seed) for seed, seconds in enumerate((0.03, 0.2, 1, 1.0001, 2.5, 6, 31))), np.zeros(RATE)]
CLIPS = [clip.astype(np.float32) for clip in CLIPS]


@pytest.fixture(scope="module", params=list_pretrained())
def engines(request):
    return [load_classifier(request.param, device="cpu", engine=engine) for engine in ("onnx", "torch")]


class TestSameAnswers:
    @pytest.mark.parametrize("batch_size", [1, 3, 8])
    def test_probabilities(self, engines, batch_size):
        for classifier in engines:
            classifier.batch_size = batch_size
        graph, network = (np.array(list(classifier.probabilities(CLIPS))) for classifier in engines)
        np.testing.assert_allclose(graph, network, atol=1e-4)

    def test_logits_and_embeddings(self, engines):
        for found in zip(*(classifier.logits(CLIPS) for classifier in engines), strict=True):
            np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-4)
        for found in zip(*(classifier.embeddings(CLIPS) for classifier in engines), strict=True):
            np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-4)
        with pytest.raises(ValueError, match="engine torch"):
            next(engines[0].embeddings(CLIPS, frames=True))

    def test_speakers(self, engines):
        graph, network = engines
        for name in ("labels", "sampling_rate", "wants_speaker", "suits_speakers", "takes_any_speech"):
            assert getattr(graph, name) == getattr(network, name)
        if not isinstance(network, StatisticsClassifier) and network.feature_extractor.normalization == "none":
            return
        assert graph.front_end == network.front_end, "files of speakers are for both"
        clips = [speech(2, seed) for seed in range(4)]
        found = [classifier.speaker_statistics(clips) for classifier in engines]
        np.testing.assert_allclose(found[0].mean, found[1].mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[0].std, found[1].std, rtol=1e-4, atol=1e-5)
        by_speaker = [np.array(list(one.for_speaker(found[1]).probabilities(clips))) for one in engines]
        np.testing.assert_allclose(*by_speaker, atol=1e-4)
        plain = np.array(list(graph.probabilities(clips)))
        assert np.abs(plain - by_speaker[0]).max() > 1e-3, "the model without a speaker stays as it was"

    def test_predictions(self, tmp_path):
        for seed in range(3):
            soundfile.write(tmp_path / f"{seed}.wav", speech(2, seed), RATE)
        for settings in ({"min_confidence": 0.4}, {"speaker_from": "path"}):
            found = [predict(tmp_path, engine=engine, device="cpu", **settings) for engine in (None, "torch")]
            for one, other in zip(*found, strict=True):
                assert (one.label, one.notes) == (other.label, other.notes)
                assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


class TestFiles:
    @pytest.mark.parametrize("name", list_pretrained())
    def test_the_graph_holds_no_weights(self, name):
        assert (pretrained_folder(name) / GRAPH).stat().st_size < 200_000

    def test_the_graph_is_made_of_the_model(self, tmp_path):
        """A stale graph would point at other bytes, so a new one must say the same."""
        pytest.importorskip("onnxscript")
        name = list_pretrained()[-1]
        folder = shutil.copytree(pretrained_folder(name), tmp_path / "model")
        (folder / GRAPH).unlink()
        with pytest.raises(ValueError, match=r"holds no model\.onnx for engine onnx"):
            load_classifier(folder, engine="onnx")
        write_graph(folder)
        made, packaged = load_classifier(folder, engine="onnx"), load_classifier(name, engine="onnx")
        assert isinstance(made, GraphClassifier) and made.facts == packaged.facts
        np.testing.assert_array_equal(made.logits(CLIPS[2:5]), packaged.logits(CLIPS[2:5]))

    def test_engines_that_do_not_fit(self, tmp_path):
        with pytest.raises(ValueError, match="engine='jax' must be torch or onnx"):
            load_classifier(engine="jax")
        model = tmp_path / "model"
        model.mkdir()
        (model / "export.json").write_text(json.dumps({}))
        with pytest.raises(ValueError, match="the runtime that it was exported for and not by engine torch"):
            load_classifier(model, engine="torch")


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "clip.wav"],
        ["predict", "pyresnet-small", "clip.wav"],
        ["timeline", "clip.wav"],
        ["timeline", "pyresnet-small", "clip.wav"],
        ["enroll", "clip.wav", "--speaker", "anna", "--speakers", "speakers.json"],
    ],
    ids=" ".join,
)
def test_commands_import_neither_torch_nor_transformers_nor_datasets(arguments, tmp_path):
    soundfile.write(tmp_path / "clip.wav", speech(1.5), RATE)
    heavy = {"torch", "transformers", "datasets", "sklearn", "matplotlib", "librosa", "pandas", "pyarrow"}
    code = (
        "import sys\nfrom lssed_hf import cli\nfrom lssed_hf.inference import predict\n"
        "predict.unscored_notes = lambda *arguments: ()\n"  # noise is classified, too
        "status = cli.main(sys.argv[1:])\n"
        f"print(status, {heavy!r} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1:] == ["0 set()"], done.stderr
