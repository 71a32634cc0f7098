import pytest
from huggingface_hub.errors import StrictDataclassError

from lssed_hf import PyResNetConfig


def test_defaults_are_pyresnet50():
    config = PyResNetConfig()
    assert config.depths == [3, 4, 6, 3]
    assert config.hidden_size == 8192


def test_level_channels_are_those_of_pyconv():
    config = PyResNetConfig()
    assert [config.level_channels(stage) for stage in range(4)] == [
        [16, 16, 16, 16],
        [32, 32, 64],
        [128, 128],
        [512],
    ]


def test_saved_configuration_comes_back_equal(tmp_path):
    config = PyResNetConfig(depths=(1, 2, 1, 1), id2label={0: "angry", 1: "sad"}, classifier_dropout=0.5)
    config.save_pretrained(tmp_path)
    assert PyResNetConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"depths": [3, 4, 6]}, "one entry per stage"),
        ({"depths": [3, 4, 6, 0]}, "at least one block"),
        ({"hidden_sizes": [256, 512, 1024, 2046]}, "positive multiple of 4"),
        ({"groups": [[1, 4, 8, 16], [1, 4], [1, 4], [1]]}, "3 kernel sizes but 2 groups"),
        ({"kernel_sizes": [[3, 5, 7, 9], [3, 5, 7], [3, 4], [3]]}, "only odd sizes"),
        ({"hidden_sizes": [64, 512, 1024, 2048]}, "smaller groups"),
        ({"groups": [[1, 4, 8, 16], [1, 4, 8], [1, 3], [1]]}, "3 groups do not divide 256"),
    ],
)
def test_stages_that_cannot_be_built_are_refused(fields, message):
    with pytest.raises((ValueError, StrictDataclassError), match=message):
        PyResNetConfig(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"embedding_size": "64"},
        {"embedding_size": 0},
        {"num_frequency_rows": 0},
        {"classifier_dropout": 1.5},
        {"depths": ["3", "4", "6", "3"]},
        {"hidden_sizes": [256, 512, 1024, 0]},
        {"kernel_sizes": [[3, 5, 7, 9], [3, 5, 7], [3, -5], [3]]},
        {"groups": [[1, 4, 8, 16], [1, 4, 8], [1, 0], [1]]},
    ],
)
def test_values_out_of_range_are_refused(fields):
    (name,) = fields
    with pytest.raises((ValueError, StrictDataclassError), match=name):
        PyResNetConfig(**fields)
