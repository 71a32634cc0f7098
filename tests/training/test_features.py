import datasets
import numpy as np
import pytest
import soundfile
from transformers import Wav2Vec2FeatureExtractor

from lssed_hf import AudioError, EspnetAsrFeatureExtractor, PyResNetFeatureExtractor, fit_normalization, load_audio
from lssed_hf.training import features as module
from lssed_hf.training.features import compute_features, decibel, is_cacheable


SECONDS = (0.3, 0.5, 0.41, 0.01)


@pytest.fixture
def corpus(tmp_path):
    """Write four clips of noise of unlike lengths and levels, one at 48 kHz, as a (cached) Dataset on disk."""
    paths = []
    for index, seconds in enumerate(SECONDS):
        rate = 48000 if index == 1 else 16000
        samples = np.random.default_rng(index).normal(0, 0.05 * (1 + index), round(seconds * rate))
        paths.append(str(tmp_path / f"clip{index}.wav"))
        soundfile.write(paths[-1], samples, rate)
    rows = datasets.Dataset.from_dict({"audio": paths, "emotion": [0, 1, 2, 3], "speaker_id": list("abcd")})
    rows.save_to_disk(tmp_path / "rows")  # still as text: from an Audio column it would copy the files
    return datasets.load_from_disk(tmp_path / "rows").cast_column("audio", datasets.Audio(sampling_rate=16000))


def frames(rows: datasets.Dataset) -> list[np.ndarray]:
    return [np.asarray(row["values"], np.float32).reshape(-1, row["width"]) for row in rows]


def paths(rows: datasets.Dataset) -> list[str]:
    return [row["audio"]["path"] for row in rows.cast_column("audio", datasets.Audio(decode=False))]


class TestComputeFeatures:
    def test_holds_what_extract_gives(self, corpus):
        extractor = PyResNetFeatureExtractor(num_mel_bins=40)
        computed = compute_features(corpus, extractor)
        assert computed.features["values"] == datasets.Sequence(datasets.Value("float32"))
        for actual, path in zip(frames(computed), paths(corpus), strict=True):
            np.testing.assert_array_equal(actual, extractor.extract(load_audio(path)))

    def test_keeps_the_other_columns(self, corpus):
        computed = compute_features(corpus, PyResNetFeatureExtractor())
        assert computed.column_names == ["emotion", "speaker_id", "values", "width"]
        assert list(computed["speaker_id"]) == list("abcd")

    def test_another_column_name(self, corpus):
        extractor = PyResNetFeatureExtractor()
        renamed = compute_features(corpus.rename_column("audio", "speech"), extractor, audio_column="speech")
        np.testing.assert_array_equal(frames(renamed)[0], frames(compute_features(corpus, extractor))[0])

    def test_is_computed_once(self, corpus, tmp_path):
        first = compute_features(corpus, PyResNetFeatureExtractor())
        assert first.cache_files
        for path in tmp_path.glob("*.wav"):
            path.unlink()  # what is computed again now would fail
        second = compute_features(corpus, PyResNetFeatureExtractor())
        assert second.cache_files == first.cache_files and second._fingerprint == first._fingerprint
        np.testing.assert_array_equal(frames(second)[1], frames(first)[1])

    @pytest.mark.parametrize(
        "settings",
        [
            {"mean": [1.0] * 128, "std": [2.0] * 128},
            {"normalization": "utterance"},
            {"normalization": "none", "padding_value": -1.0, "return_attention_mask": False},
        ],
    )
    def test_normalisation_and_padding_compute_nothing_anew(self, corpus, settings):
        first = compute_features(corpus, PyResNetFeatureExtractor())
        assert compute_features(corpus, PyResNetFeatureExtractor(**settings))._fingerprint == first._fingerprint

    @pytest.mark.parametrize(
        "settings", [{"gain": 1.0}, {"do_denoise": False}, {"top_db": None}, {"num_mel_bins": 64}, {"log_mel": False}]
    )
    def test_what_changes_the_features_computes_them_anew(self, corpus, settings):
        first = compute_features(corpus, PyResNetFeatureExtractor())
        other = PyResNetFeatureExtractor(**settings)
        second = compute_features(corpus, other)
        assert second._fingerprint != first._fingerprint
        np.testing.assert_array_equal(frames(second)[0], other.extract(load_audio(paths(corpus)[0])))

    @pytest.mark.parametrize("changed", ["feature_extraction_pyresnet", "front_end_pyresnet"])
    def test_another_version_of_the_code_computes_them_anew(self, corpus, monkeypatch, changed):
        first = compute_features(corpus, PyResNetFeatureExtractor())
        source = module.inspect.getsource
        monkeypatch.setattr(
            module.inspect,
            "getsource",
            lambda value: source(value) + "# changed" * value.__name__.endswith(f".{changed}"),
        )
        assert compute_features(corpus, PyResNetFeatureExtractor())._fingerprint != first._fingerprint

    def test_several_processes(self, corpus):
        one, two = (compute_features(corpus, PyResNetFeatureExtractor(), num_proc=number) for number in (None, 2))
        for first, second in zip(frames(one), frames(two), strict=True):
            np.testing.assert_array_equal(first, second)

    def test_a_bad_clip_is_named(self, corpus, tmp_path):
        (tmp_path / "clip2.wav").write_bytes(b"not audio")
        with pytest.raises(AudioError, match=r"clip2\.wav: .*copy it again"):
            compute_features(corpus, PyResNetFeatureExtractor())
        (tmp_path / "clip2.wav").unlink()
        with pytest.raises(FileNotFoundError, match=r"clip2\.wav"):
            compute_features(corpus, PyResNetFeatureExtractor())

    @pytest.mark.parametrize("sampling_rate", [16000, 8000])
    def test_other_extractors_get_waveforms_at_their_rate(self, corpus, sampling_rate):
        extractor = Wav2Vec2FeatureExtractor(sampling_rate=sampling_rate)
        assert not is_cacheable(extractor) and is_cacheable(PyResNetFeatureExtractor())
        computed = compute_features(corpus, extractor)
        assert list(computed["width"]) == [1] * 4
        for actual, path in zip(frames(computed), paths(corpus), strict=True):
            np.testing.assert_array_equal(actual[:, 0], load_audio(path, sampling_rate))

    def test_espnets_features_are_cached_too(self, corpus):
        extractor = EspnetAsrFeatureExtractor()
        computed = compute_features(corpus, extractor)
        for actual, path in zip(frames(computed), paths(corpus), strict=True):
            np.testing.assert_array_equal(actual, extractor.extract(load_audio(path)))
        twice = extractor.extract(2 * load_audio(paths(corpus)[0]))
        gain = twice - frames(computed)[0]
        np.testing.assert_allclose(gain, decibel(extractor) * 20 * np.log10(2), rtol=1e-3)


class TestFitNormalization:
    def test_espnets_extractor_has_statistics_as_well(self, corpus):
        extractor = fit_normalization(EspnetAsrFeatureExtractor(), corpus)
        batch = extractor([load_audio(path) for path in paths(corpus)], sampling_rate=16000, return_tensors="np")
        everything = batch["input_features"][batch["attention_mask"] == 1].astype(np.float64)
        np.testing.assert_allclose(everything.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(everything.std(axis=0), 1, atol=1e-4)

    def test_statistics_are_those_of_all_frames(self, corpus):
        extractor = PyResNetFeatureExtractor()
        assert fit_normalization(extractor, corpus) is extractor
        everything = np.concatenate([extractor.extract(load_audio(path)) for path in paths(corpus)]).astype(np.float64)
        assert len(everything) == sum(1 + round(16000 * seconds) // 512 for seconds in SECONDS)
        np.testing.assert_allclose(extractor.mean, everything.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(extractor.std, everything.std(axis=0), rtol=1e-5)

    def test_normalised_frames_have_mean_0_and_deviation_1(self, corpus):
        extractor = fit_normalization(PyResNetFeatureExtractor(), corpus)
        batch = extractor([load_audio(path) for path in paths(corpus)], sampling_rate=16000, return_tensors="np")
        everything = batch.input_features[batch.attention_mask == 1].astype(np.float64)
        np.testing.assert_allclose(everything.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(everything.std(axis=0), 1, atol=1e-4)

    def test_from_computed_features(self, corpus):
        expected = fit_normalization(PyResNetFeatureExtractor(), corpus)
        extractor = PyResNetFeatureExtractor()
        fit_normalization(extractor, compute_features(corpus, extractor))
        assert extractor.to_dict() == expected.to_dict()

    def test_fitting_again_forgets_the_earlier_statistics(self, corpus):
        extractor = PyResNetFeatureExtractor(mean=[5.0] * 128, std=[7.0] * 128)
        fit_normalization(extractor, corpus)
        assert extractor.to_dict() == fit_normalization(PyResNetFeatureExtractor(), corpus).to_dict()

    def test_survives_saving(self, corpus, tmp_path):
        extractor = fit_normalization(PyResNetFeatureExtractor(), corpus)
        extractor.save_pretrained(tmp_path / "saved")
        loaded = PyResNetFeatureExtractor.from_pretrained(tmp_path / "saved")
        assert (loaded.mean, loaded.std) == (extractor.mean, extractor.std)

    def test_bins_that_never_change_stay_finite(self, tmp_path):
        soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 16000)
        rows = datasets.Dataset.from_dict({"audio": [str(tmp_path / "silence.wav")]})
        extractor = fit_normalization(PyResNetFeatureExtractor(), rows)
        features = extractor(np.zeros(8000, np.float32), sampling_rate=16000).input_features[0]
        assert np.isfinite(features).all()

    def test_no_rows(self, corpus):
        with pytest.raises(ValueError, match="dataset without rows"):
            fit_normalization(PyResNetFeatureExtractor(), corpus.select([]))
