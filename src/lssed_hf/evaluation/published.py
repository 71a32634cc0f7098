"""Figures of the LSSED paper (Fan et al., ICASSP 2021, arXiv 2102.01754): Tables 4 to 6, and Figure 2.

Table 5 and Figure 2 are on LSSED, Table 4 is on LSSED and IEMOCAP, Table 6 is on DAIC-WOZ. The paper's split of LSSED
has the same speakers on both sides.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedSystem:
    """Row of Table 5: scores on four emotions of LSSED.

    Attributes:
        algorithm: Name of the algorithm.
        backbone: Name of the backbone.
        weighted_accuracy: WA.
        unweighted_accuracy: UA.
        models: Names of these networks in the zoo.
        adversarial: Kind of test clips, "real" or "fake", if the network was trained adversarially, else None.
    """

    algorithm: str
    backbone: str
    weighted_accuracy: float
    unweighted_accuracy: float
    models: tuple[str, ...]
    adversarial: str | None = None


TABLE_5 = (
    PublishedSystem("FCN-Attention", "AlexNet", 0.570, 0.250, ("fcn-attention-alexnet",)),
    PublishedSystem("MTS-3branches", "AlexNet", 0.570, 0.250, ("mts3-alexnet",)),
    PublishedSystem("MTS-5branches", "AlexNet", 0.570, 0.250, ("mts5-alexnet",)),
    PublishedSystem("MTS-3branches", "ResNet152", 0.585, 0.296, ("mts3-resnet152",)),
    PublishedSystem("MTS-5branches", "ResNet152", 0.582, 0.311, ("mts5-resnet152",)),
    PublishedSystem("ADV-Real", "VGG16", 0.570, 0.250, ("adv-vgg16", "vgg16"), "real"),
    PublishedSystem("ADV-Fake", "VGG16", 0.570, 0.250, ("adv-vgg16", "vgg16"), "fake"),
    PublishedSystem("ADV-Real", "ResNet152", 0.548, 0.381, ("resnet152",), "real"),
    PublishedSystem("ADV-Fake", "ResNet152", 0.453, 0.339, ("resnet152",), "fake"),
    PublishedSystem("VGG", "VGG11", 0.595, 0.337, ("vgg11",)),
    PublishedSystem("VGG", "VGG13", 0.604, 0.393, ("vgg13",)),
    PublishedSystem("VGG", "VGG16", 0.585, 0.313, ("vgg16",)),
    PublishedSystem("VGG", "VGG19", 0.585, 0.370, ("vgg19",)),
    PublishedSystem("ResNet", "ResNet18", 0.594, 0.382, ("resnet18",)),
    PublishedSystem("ResNet", "ResNet34", 0.598, 0.355, ("resnet34",)),
    PublishedSystem("ResNet", "ResNet50", 0.587, 0.377, ("resnet50",)),
    PublishedSystem("ResNet", "ResNet101", 0.592, 0.332, ("resnet101",)),
    PublishedSystem("ResNet", "ResNet152", 0.601, 0.396, ("resnet152",)),
    PublishedSystem("PyResNet", "ResNet50", 0.615, 0.420, ("pyresnet50",)),
    PublishedSystem("PyResNet", "ResNet101", 0.616, 0.428, ("pyresnet101",)),
    PublishedSystem("PyResNet", "ResNet152", 0.624, 0.429, ("pyresnet152",)),
)

#: WA and UA of always answering "neutral" on LSSED's test set, by Table 3: 12,092 of 21,206 utterances.
LSSED_MAJORITY = (0.570, 0.250)

#: Source and target corpus: losses of WA and UA when a ResNet152 is tested on the target instead of the source.
TABLE_4 = {("iemocap", "lssed"): (0.596, 0.342), ("lssed", "iemocap"): (0.119, 0.071)}

#: WA and UA on DAIC-WOZ. The paper names neither the number of participants nor the level (utterance or participant).
TABLE_6 = {"ESPnet (ASR)": (0.657, 0.500), "PyResNet (SER)": (0.714, 0.583)}

#: Per cent of each row; angry, neutral, happy, sad. Rows are references, columns predictions.
FIGURE_2 = {
    "mts3-resnet152": (
        (5.48, 72.47, 20.12, 1.93),
        (0.08, 95.17, 4.12, 0.63),
        (0.24, 85.04, 13.42, 1.30),
        (0.17, 91.31, 3.99, 4.53),
    ),
    "pyresnet152": (
        (32.43, 47.23, 16.56, 3.78),
        (1.45, 86.85, 9.54, 2.17),
        (2.77, 59.85, 35.18, 2.20),
        (2.12, 71.04, 9.83, 17.01),
    ),
}


def find_published(model: str, adversarial: str | None = None) -> PublishedSystem | None:
    """Return the row of Table 5 of a network of the zoo; None where the paper has none.

    Args:
        model: Name of the network.
        adversarial: Kind of test clips, "real" or "fake", if the network was trained adversarially.
    """
    return next((row for row in TABLE_5 if model in row.models and row.adversarial == adversarial), None)
