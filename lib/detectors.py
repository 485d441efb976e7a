"""torchvision's detectors for plates: SSDlite MobileNetV3, the blog's choice, and Faster R-CNN, its slower rival."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision.models import detection as zoo
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from lib.settings import PlatesError

STARTS = ("coco", "imagenet", "none")
# Plates are small and wide; SSDlite's own anchors begin at a fifth of the picture. These are pixels of the square,
# whatever its side, for the finest of the grids; each coarser one has them twice as large.
ANCHORS = ((14, 7), (22, 9), (32, 20), (36, 12), (50, 32), (52, 18))
# Overlap from which an anchor learns a plate's box. At torchvision's .5 three do, and a network that starts from
# nothing answered alike everywhere after 738 steps of 16; at .35 eleven do, and after as many it found plates.
MATCHED = 0.35
HIGH_TO_WIDE = (0.25, 0.5, 1.0)  # the same for Faster R-CNN, which says it the other way round
FPN_SIZES = (12, 24, 48, 96, 192)  # pixels
# Proposals that a training step looks at: a crop has a plate or two, and on a processor the usual 512 take nine tenths
# of the time. The least score of an answer is lowered, since where to cut is chosen afterwards, on validation.
FEW = {
    "box_batch_size_per_image": 64,
    "rpn_pre_nms_top_n_train": 300,
    "rpn_post_nms_top_n_train": 150,
    "box_score_thresh": 0.005,
    "rpn_fg_iou_thresh": 0.5,  # its .7 leaves few anchors to learn from, see `MATCHED`
}


class PlateBoxes(DefaultBoxGenerator):
    """SSD's anchors in pixels: ``ANCHORS`` at each place of the finest grid, twice as large at each coarser one.

    torchvision's are shares of the picture's side, so that a network trained on parts of pictures would look for
    larger plates in whole ones.
    """

    def __init__(self, grids: int, side: int) -> None:
        super().__init__([[]] * grids, scales=[1.0] * (grids + 1))
        sizes = torch.tensor(ANCHORS, dtype=torch.float32) / side
        self._wh_pairs = [(sizes * 2**grid).clamp(max=1.0) for grid in range(grids)]

    def num_anchors_per_location(self) -> list[int]:
        """As many for each grid."""
        return [len(each) for each in self._wh_pairs]


def ssdlite(side: int, weights: Any, backbone: Any) -> nn.Module:
    """SSDlite with anchors for plates; the head is new in any case, since COCO's has other anchors."""
    made = zoo.ssdlite320_mobilenet_v3_large(weights=weights, weights_backbone=backbone, iou_thresh=MATCHED)
    channels = [each[0][0].in_channels for each in made.head.classification_head.module_list]
    made.anchor_generator = PlateBoxes(len(channels), side)
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    made.head = SSDLiteHead(channels, made.anchor_generator.num_anchors_per_location(), 2, norm)
    return made


def faster(maker: Callable[..., nn.Module], sizes: tuple[tuple[int, ...], ...]) -> Callable[..., nn.Module]:
    """A maker of Faster R-CNN with anchors for plates and one class."""

    def make(side: int, weights: Any, backbone: Any) -> nn.Module:
        made = maker(weights=weights, weights_backbone=backbone)
        made.rpn.anchor_generator = AnchorGenerator(sizes, (HIGH_TO_WIDE,) * len(sizes))
        made.roi_heads.box_predictor = FastRCNNPredictor(made.roi_heads.box_predictor.cls_score.in_features, 2)
        return made

    return make


# name: maker, weights of COCO, weights of ImageNet for the backbone alone
KINDS: dict[str, tuple[Callable[..., nn.Module], Any, Any]] = {
    "ssdlite": (
        ssdlite,
        zoo.SSDLite320_MobileNet_V3_Large_Weights.COCO_V1,
        "IMAGENET1K_V1",
    ),
    "faster_mobile": (
        faster(partial(zoo.fasterrcnn_mobilenet_v3_large_320_fpn, **FEW), (FPN_SIZES,) * 3),
        zoo.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1,
        "IMAGENET1K_V1",
    ),
    "faster_resnet50": (
        faster(zoo.fasterrcnn_resnet50_fpn, tuple((size,) for size in FPN_SIZES)),
        zoo.FasterRCNN_ResNet50_FPN_Weights.COCO_V1,
        "IMAGENET1K_V1",
    ),
}


def detector(kind: str, side: int, start: str = "none") -> nn.Module:
    """A torchvision detector of plates in squares of ``side`` pixels.

    Args:
        kind: a name of `KINDS`.
        side: pixels of the square, a multiple of 32.
        start: ``"coco"`` or ``"imagenet"`` weights, fetched from PyTorch's server, or ``"none"``.

    Raises:
        PlatesError: unknown kind or start, or the weights cannot be had.
    """
    if kind not in KINDS:
        raise PlatesError(f"detector {kind!r} is unknown; choose one of {', '.join(KINDS)}.")
    if start not in STARTS:
        raise PlatesError(f"start {start!r} is unknown; choose one of {', '.join(STARTS)}.")
    if side < 64 or side % 32:
        raise PlatesError(f"side={side} suits no detector; give a multiple of 32 of at least 64.")
    maker, coco, imagenet = KINDS[kind]
    try:
        made = maker(side, coco if start == "coco" else None, imagenet if start == "imagenet" else None)
    except (OSError, RuntimeError) as error:  # no server, or another file than the one whose hash is known
        told = " ".join(str(error).split())
        raise PlatesError(f"the {start} weights of {kind} cannot be had ({told}); go on with start='none'.") from error
    return look_at(made, side)


def look_at(network: nn.Module, side: int) -> nn.Module:
    """Have a detector look at squares of ``side`` pixels, whatever it was trained with; returns it.

    It is convolutional and its anchors are in pixels: trained on parts of pictures, it can look at whole ones.
    """
    told = network.transform
    network.transform = GeneralizedRCNNTransform(
        side, side, told.image_mean, told.image_std, size_divisible=32, fixed_size=(side, side)
    )
    anchors = getattr(network, "anchor_generator", None)  # Faster R-CNN has its own elsewhere, in pixels as they are
    if isinstance(anchors, PlateBoxes):
        network.anchor_generator = PlateBoxes(len(anchors.num_anchors_per_location()), side)
    network.side = side
    return network


def best_start(kind: str, side: int) -> tuple[nn.Module, str]:
    """The detector from the best weights that can be had here, and which; a warning says what could not."""
    for start in STARTS[:-1]:
        try:
            return detector(kind, side, start), start
        except PlatesError as error:
            warnings.warn(str(error), stacklevel=2)
    return detector(kind, side), "none"
