"""PlateNet's third stage: half of each batch is what it will be shown by a second look (`lib.looks`)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lib import processes
from lib.compact import CompactRecipe, CompactTrainer
from lib.crops import Crop, crop_batches
from lib.gallery import Gallery
from lib.looks import FIELD, LookCrop
from lib.rare import Rare
from lib.recipes import refuse


@dataclass(frozen=True)
class LookRecipe(CompactRecipe):
    """`lib.compact.CompactRecipe` with second looks beside the crops.

    Attributes:
        look: how crops of regions are drawn.
        looked: how many crops of a batch are of regions.
        bare: how many rendered scenes without any plate there are regions of, beside those of the training pictures.
        negative, night: shares of crops of something rarer (`lib.rare`), of pictures and of regions alike.
    """

    look: LookCrop = field(default_factory=LookCrop)
    looked: int = 16
    bare: int = 0
    negative: float = 0.0
    night: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        own = (
            ("looked", 1 <= self.looked < self.batch, "1 or more, and fewer than batch"),
            ("bare", self.bare >= 0, "a number of at least 0"),
        )
        refuse(self, own)
        self.drawn(self.crop)  # refuses shares that are none

    def drawn(self, crop: Crop) -> Rare:
        """A way of drawing crops with the rarer ones."""
        return Rare(crop, self.negative, self.night)


class LookTrainer(CompactTrainer):
    """`lib.compact.CompactTrainer` that learns from pictures and from regions of them.

    Args:
        train_looks, validation_looks: regions of the training and the validation pictures (`lib.looks.looks`).
    """

    def __init__(
        self,
        recipe: LookRecipe,
        train: Gallery,
        validation: Gallery,
        test: Gallery | None = None,
        start: nn.Module | None = None,
        *,
        train_looks: Gallery,
        validation_looks: Gallery,
    ) -> None:
        self.train_looks, self.validation_looks = train_looks, validation_looks
        super().__init__(recipe, train, validation, test, start)

    def _begin(self) -> None:
        super()._begin()
        self.looked = min(self.recipe.looked, len(self.train_looks))
        self.batch = min(self.recipe.batch - self.looked, len(self.train))
        self.steps_per_epoch = len(self.train) // self.batch
        if self.looked:  # a network that finds nothing learns from pictures alone
            self.steps_per_epoch = min(self.steps_per_epoch, len(self.train_looks) // self.looked)

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The epoch: crops of pictures, then crops of regions, and `lib.crops.targets`' shares and weights."""
        if not self.looked:
            yield from super().batches()
            return
        recipe = self.recipe
        told = (recipe.seed, self.epoch, recipe.small)
        crops = crop_batches(self.train, recipe.drawn(recipe.crop), self.batch, *told)
        regions = crop_batches(self.train_looks, recipe.drawn(recipe.look), self.looked, *told)
        rank, world = processes.rank(), processes.world()
        for both in zip(crops, regions, strict=False):  # an epoch of the one is longer
            yield self._given(*(torch.cat(parts)[rank::world] for parts in zip(*both, strict=True)))

    def _whole(self, pictures: Gallery) -> Iterator[tuple[Tensor, ...]]:
        """The pictures, and after them the regions at a second look's scale."""
        yield from super()._whole(pictures)
        if pictures is self.validation:
            yield from self._at(self.validation_looks, FIELD)
