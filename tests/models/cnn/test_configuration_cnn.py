import pytest
from huggingface_hub.errors import StrictDataclassError

from lssed_hf import SerCnnConfig


@pytest.mark.parametrize(
    "backbone, depths, hidden_sizes, hidden_size",
    [
        ("resnet34", [3, 4, 6, 3], [64, 128, 256, 512], 512),
        ("resnet152", [3, 8, 36, 3], [256, 512, 1024, 2048], 2048),
        ("vgg19", [2, 2, 4, 4, 4], [64, 128, 256, 512, 512], 4096),
        ("adv_vgg16", [2, 2, 3, 3, 3], [64, 128, 256, 512, 512], 512),
    ],
)
def test_sizes_are_those_of_the_backbone(backbone, depths, hidden_sizes, hidden_size):
    config = SerCnnConfig(backbone=backbone)
    assert (config.depths, config.hidden_sizes, config.hidden_size) == (depths, hidden_sizes, hidden_size)


def test_saved_configuration_comes_back_equal(tmp_path):
    config = SerCnnConfig(backbone="vgg13", hidden_sizes=(8, 8, 8, 8, 8), mlp_size=16, id2label={0: "angry", 1: "sad"})
    config.save_pretrained(tmp_path)
    assert SerCnnConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"backbone": "resnet20"}, "'resnet20' is not one of resnet18, "),
        ({"depths": [1, 1, 1]}, "one entry per stage"),
        ({"depths": [], "hidden_sizes": []}, "one entry per stage"),
        ({"depths": [1] * 5, "hidden_sizes": [8] * 5}, "at most 4 stages"),
        ({"depths": [1, 1, 0, 1]}, "at least one layer"),
        ({"hidden_sizes": [8, 8, 0, 8]}, "positive multiples of 1"),
        ({"backbone": "resnet50", "hidden_sizes": [8, 8, 6, 8]}, "positive multiples of 4"),
        ({"mlp_size": 0}, "mlp_size=0"),
        ({"classifier_dropout": 1.5}, "classifier_dropout=1.5"),
        ({"depths": ["1", "1", "1", "1"]}, "depths"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(fields, message):
    with pytest.raises((ValueError, StrictDataclassError), match=message):
        SerCnnConfig(**fields)
