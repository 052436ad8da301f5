"""42 networks for images that people have, untrained: what from_torch is measured by.

Definitions come from torchvision and timm, or from `network_bodies`. Two attention networks are
among them on purpose. Nothing is downloaded. What an initialisation sets to one number is spread,
so that no branch is silent. Batch norm has about the statistics of what it reads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import network_bodies as bodies
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Listed:
    """One network of the list.

    Attributes:
        name: as its library calls it.
        source: "torchvision", "timm" or "own".
        size: height and width of a frame, as small as the network allows.
        make: builds it without weights from anywhere.
    """

    name: str
    source: str
    size: int
    make: Callable[[], nn.Module]


def _torchvision(name: str, size: int, **options: Any) -> Listed:
    def make() -> nn.Module:
        from torchvision import models

        built: nn.Module = models.get_model(name, weights=None, **options)
        return built

    return Listed(name, "torchvision", size, make)


def _segmentation(name: str, size: int) -> Listed:
    return _torchvision(name, size, weights_backbone=None, num_classes=21)


def _timm(name: str, size: int = 96) -> Listed:
    def make() -> nn.Module:
        import timm

        built: nn.Module = timm.create_model(name, pretrained=False)
        return built

    return Listed(name, "timm", size, make)


def _own(name: str, make: Callable[[], nn.Module]) -> Listed:
    return Listed(name, "own", 96, make)


NETWORKS = (
    _torchvision("alexnet", 224),
    _torchvision("vgg16_bn", 224),
    _torchvision("squeezenet1_1", 97),
    _torchvision("resnet18", 64),
    _torchvision("resnet50", 64),
    _torchvision("resnext50_32x4d", 64),
    _torchvision("densenet121", 64),
    _torchvision("googlenet", 96, init_weights=False),
    _torchvision("inception_v3", 107, init_weights=False),
    _torchvision("mobilenet_v2", 64),
    _torchvision("mobilenet_v3_small", 64),
    _torchvision("mobilenet_v3_large", 64),
    _torchvision("mnasnet1_0", 64),
    _torchvision("shufflenet_v2_x1_0", 64),
    _torchvision("efficientnet_b0", 64),
    _torchvision("efficientnet_v2_s", 64),
    _torchvision("regnet_y_400mf", 64),
    _torchvision("convnext_tiny", 64),
    _torchvision("vit_b_16", 224),
    _torchvision("swin_t", 64),
    _segmentation("fcn_resnet50", 64),
    _segmentation("deeplabv3_resnet50", 64),
    _segmentation("lraspp_mobilenet_v3_large", 64),
    _timm("mobilenetv4_conv_small"),
    _timm("tf_efficientnet_lite0"),
    _timm("ghostnet_100"),
    _timm("mixnet_s"),
    _timm("lcnet_050"),
    _timm("fbnetc_100"),
    _timm("rexnet_100"),
    _timm("repvgg_a0"),
    _timm("cspdarknet53"),
    _timm("dla34"),
    _timm("hrnet_w18_small"),
    _timm("res2net50_26w_4s"),
    _timm("resnest14d"),
    _timm("eca_nfnet_l0"),
    _own("yolo_v5_body", bodies.AnchorDetector),
    _own("yolo_v8_body", bodies.SplitDetector),
    _own("yolox_body", bodies.FocusDetector),
    _own("unet", bodies.UNet),
    _own("hourglass_pose", bodies.HourglassPose),
)


def frames(size: int, count: int) -> Tensor:
    """[count, 3, size, size], smooth and unlike each other, as a video's scenes are."""
    g = torch.Generator().manual_seed(1)
    coarse = torch.randn(count, 3, 3, 3, generator=g) * 2
    smooth = F.interpolate(coarse, size=(size, size), mode="bilinear")
    return smooth + 0.3 * torch.randn(smooth.shape, generator=g)


def build(listed: Listed) -> nn.Module:
    """The network in eval mode, every parameter and statistic spread, the same at every call."""
    torch.manual_seed(0)
    module = listed.make().eval()
    g = torch.Generator().manual_seed(2)

    def settle(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        x = given[0].transpose(0, 1).flatten(1)
        noise = torch.rand(2, x.shape[0], generator=g)
        norm.running_mean = x.mean(1) + x.std(1) * (noise[0] - 0.5)
        norm.running_var = x.var(1) * (noise[1] + 0.5) + 1e-3

    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    hooks = [m.register_forward_pre_hook(settle) for m in norms]
    with torch.no_grad():
        for p in module.parameters():
            if p.numel() > 0 and bool((p == p.flatten()[0]).all()):
                p.add_(torch.rand(p.shape, generator=g) * 0.4 + 0.1)
        if norms:
            module(frames(listed.size, 4))
    for hook in hooks:
        hook.remove()
    return module
