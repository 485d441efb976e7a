"""PlateNet's training for a GPU: the same loss on many times the crops, and a larger network's word beside the label.

On the photographs that it learned from, the network of two hours on a processor covered .91 of the plates, on others
.89: what it lacks is less data than steps and capacity. A GPU has the steps. Capacity is lent: a larger network,
trained the same way, says what it sees in each crop, and the small one learns from the mean of that and the label
(Hinton et al. 2015, *Distilling the knowledge in a neural network*, section 2). It also speaks up for plates that
nobody labelled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from lib import processes
from lib.compact import CompactRecipe, CompactTrainer
from lib.device_crops import DeviceCrops
from lib.gallery import Gallery
from lib.recipes import refuse
from lib.settings import PlatesError


@dataclass(frozen=True)
class LongRecipe(CompactRecipe):
    """`lib.compact.CompactRecipe` for many more crops.

    Attributes:
        passes: over the pictures between two validations; what `epochs` counts.
        often: a source to how many times its pictures are shown a pass; 1 for those not named.
        free: how many times a picture without a plate is shown a pass, on top of that.
        taught: the teacher's share in what is to be answered, where there is a teacher.
    """

    passes: int = 8
    often: Mapping[str, int] = field(default_factory=dict)
    free: int = 1
    taught: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks = (
            ("passes", self.passes >= 1, "1 or more"),
            ("often", all(times >= 1 for times in self.often.values()), "1 or more for each source"),
            ("free", self.free >= 1, "1 or more"),
            ("taught", 0 <= self.taught <= 1, "a share from 0 to 1"),
        )
        refuse(self, checks)


class LongTrainer(CompactTrainer):
    """`lib.compact.CompactTrainer` with crops made on its device, and a teacher where one is given.

    Raises:
        PlatesError: under torchrun, since crops are not shared out.
    """

    def __init__(
        self,
        recipe: LongRecipe,
        train: Gallery,
        validation: Gallery,
        test: Gallery | None = None,
        start: nn.Module | None = None,
        teacher: nn.Module | None = None,
    ) -> None:
        if processes.world() > 1:
            raise PlatesError("the preset for a GPU trains in one process; run it without torchrun.")
        self.teacher = teacher
        super().__init__(recipe, train, validation, test, start)
        torch.backends.cudnn.benchmark = True  # crops have one shape
        self.crops = DeviceCrops(self.train, recipe.crop, recipe.small, self.device)

    def _begin(self) -> None:
        super()._begin()
        recipe, kept = self.recipe, zip(self.train.sources, self.train.outlines, strict=True)
        times = [recipe.often.get(source, 1) * (1 if len(plates) else recipe.free) for source, plates in kept]
        self.order = np.tile(np.repeat(np.arange(len(times)), times), recipe.passes)
        self.batch = min(recipe.batch, len(self.order))
        self.steps_per_epoch = len(self.order) // self.batch

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The epoch: float crops, and `lib.crops.targets`' shares, with the teacher's word in them, and weights."""
        for pictures, share, weight in self.crops.epoch(self.batch, self.recipe.seed, self.epoch, self.order):
            yield pictures, self._taught(pictures, share), weight

    @torch.no_grad()
    def _taught(self, pictures: Tensor, share: Tensor) -> Tensor:
        if self.teacher is None:
            return share
        with self.autocast():
            odds = self.teacher.coarse(pictures)
        return share.lerp(odds.float().sigmoid(), self.recipe.taught)
