"""PyConvResNet in the layout of the LSSED authors' class, for checkpoints like theirs. Knows nothing of lssed_hf.

Names of modules and attributes are the authors', and so is this module's, since pickles hold all three. Widths and
groups can be chosen, which theirs cannot.
"""

import torch
from torch import nn


GROUPS = ((1, 4, 8, 16), (1, 4, 8), (1, 4), (1,))
SMALL = {"width": 16, "groups": ((1, 2, 4, 4), (1, 2, 4), (1, 4), (1,))}


class _Pyramid(nn.Module):
    def __init__(self, width: int, stride: int, groups: tuple[int, ...]):
        super().__init__()
        share = {2: 2, 3: 4, 4: 4}[len(groups)]
        for level, count in enumerate(groups):
            kernel, channels = 3 + 2 * level, width // share
            if level == len(groups) - 1:
                channels = width - channels * level
            layer = nn.Conv2d(width, channels, kernel, stride, kernel // 2, groups=count, bias=False)
            self.add_module(f"conv2_{level + 1}", layer)

    def forward(self, x):
        return torch.cat([level(x) for level in self.children()], 1)


class PyConv4(_Pyramid):
    pass


class PyConv3(_Pyramid):
    pass


class PyConv2(_Pyramid):
    pass


class PyConvBlock(nn.Module):
    def __init__(self, before: int, width: int, stride: int, groups: tuple[int, ...]):
        super().__init__()
        after = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        if len(groups) == 1:
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        else:
            self.conv2 = {2: PyConv2, 3: PyConv3, 4: PyConv4}[len(groups)](width, stride, groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, after, 1, bias=False), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride == 2:
            shortcut = nn.Conv2d(before, after, 1, bias=False)
            self.downsample = nn.Sequential(
                nn.MaxPool2d(kernel_size=3, stride=2, padding=1), shortcut, nn.BatchNorm2d(after)
            )
        self.stride = stride

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + identity)


class PyConvResNet(nn.Module):
    def __init__(self, blocks: list[int], num_classes: int = 4, width: int = 64, groups=GROUPS, dropout: float = 0.0):
        super().__init__()
        self.inplanes = width
        self.conv1, self.bn1 = nn.Conv2d(1, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        for stage, count in enumerate(blocks):
            planes, layers = width * 2**stage, []
            for block in range(count):
                layers.append(PyConvBlock(self.inplanes, planes, 1 if block else 2, groups[stage]))
                self.inplanes = 4 * planes
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d((4, 1))
        self.fc = nn.Linear(self.inplanes * 4, num_classes)
        self.dp = nn.Dropout(dropout) if dropout else None

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.avgpool(x).flatten(1)
        return self.fc(x if self.dp is None else self.dp(x))


def make_network(blocks: list[int], seed: int = 0, **options) -> PyConvResNet:
    """A network with random weights, and statistics as training leaves them."""
    torch.manual_seed(seed)
    network = PyConvResNet(blocks, **options)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.3, 0.8)
                module.bias.normal_(0, 0.2)
                module.num_batches_tracked.fill_(7)
    return network.eval()
