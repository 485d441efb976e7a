"""The compact network's loss: cross entropy that weighs the plate, and a term for the overlap of the whole."""

from torch import Tensor
from torch.nn import functional as F


def overlap_loss(
    odds: Tensor, share: Tensor, weight: Tensor, plate: float = 3.0, tversky: float = 1.0, missed: float = 0.7
) -> Tensor:
    r"""Weighted binary cross entropy plus a Tversky term.

    .. math:: \frac{1}{N} \sum_i w_i c_i\, \mathrm{BCE}(z_i, y_i) \cdot 10
        + \tau \Bigl(1 - \frac{TP + 1}{TP + (1-\beta) FP + \beta FN + 1}\Bigr)

    with soft counts over the whole batch, ``c_i = plate`` on plates and 1 elsewhere. A plate-free crop has no overlap
    of its own; pooled over the batch its false cover still counts.

    Source: Salehi et al. 2017, *Tversky loss function for image segmentation using 3D fully convolutional deep
    networks*, equation 3, with beta = ``missed``.

    Args:
        odds: log-odds of plate ``(B, 1, h, w)``, any finite values.
        share: share of each pixel that is plate ``(B, 1, h, w)``, 0..1.
        weight: weight of each pixel ``(B, 1, h, w)``, above 0; `lib.crops.targets` lifts small plates by it.
        plate: what plate pixels weigh more in the cross entropy.
        tversky: weight of the overlap term; 0 leaves it out.
        missed: beta, how much a missed pixel costs against a falsely covered one, 0..1.

    Returns:
        A scalar, float32, at least 0.
    """
    odds = odds.float()
    each = F.binary_cross_entropy_with_logits(odds, share, reduction="none")
    entropy = (each * weight * (1 + (plate - 1) * share)).mean()
    p = odds.sigmoid()
    right = (weight * p * share).sum()
    false = (p * (1 - share)).sum()
    lost = (weight * (1 - p) * share).sum()
    overlap = (right + 1) / (right + (1 - missed) * false + missed * lost + 1)
    return 10 * entropy + tversky * (1 - overlap)
