"""The compact network's loss: cross entropy that weighs the plate, and terms for the whole and for each find."""

from torch import Tensor
from torch.nn import functional as F

NOISE = 0.7  # 0: as cross entropy, the surest wrong answer pulls hardest; 1: it does not pull at all
CELL = 8  # pixels of the answer along the side of a cell that either holds plate or does not


def overlap_loss(
    odds: Tensor,
    share: Tensor,
    weight: Tensor,
    plate: float = 3.0,
    tversky: float = 1.0,
    missed: float = 0.7,
    presence: float = 0.0,
) -> Tensor:
    r"""Weighted binary cross entropy plus a Tversky term and one for what is found where nothing is.

    .. math:: \frac{1}{N} \sum_i w_i c_i\, \mathrm{BCE}(z_i, y_i) \cdot 10
        + \tau \Bigl(1 - \frac{TP + 1}{TP + (1-\beta) FP + \beta FN + 1}\Bigr)
        - \pi \frac{10}{M} \sum_j \Bigl( \hat y_j \ln \hat p_j
        - (1 - \hat y_j) \frac{1 - (1 - \hat p_j)^q}{q} \Bigr)

    with soft counts over the whole batch, ``c_i = plate`` on plates and 1 elsewhere. A plate-free crop has no overlap
    of its own; pooled over the batch its false cover still counts. To the mean over pixels a false speck of three
    pixels is next to nothing, though it is an alarm; the last sum asks each of M cells of `CELL` by `CELL` pixels one
    question, whether any plate is in it, by their greatest P and y, and there the speck is one wrong answer of a
    hundred. Not every plate in a photograph is labelled: where the network is sure of one, the bounded cost with
    q = `NOISE` no longer pulls.

    Sources: Salehi et al. 2017, *Tversky loss function for image segmentation using 3D fully convolutional deep
    networks*, equation 3, with beta = ``missed``; the greatest of a bag's answers as the bag's: Zhou and Zhang 2002,
    *Neural networks for multi-instance learning*; the bounded cost: Zhang and Sabuncu 2018, *Generalized cross entropy
    loss for training deep neural networks with noisy labels*, equation 6.

    Args:
        odds: log-odds of plate ``(B, 1, h, w)``, any finite values.
        share: share of each pixel that is plate ``(B, 1, h, w)``, 0..1.
        weight: weight of each pixel ``(B, 1, h, w)``, at least 0; `lib.crops.targets` lifts small plates by it, and
            gives 0 to what is in doubt: a cell with such a pixel is not asked.
        plate: what plate pixels weigh more in the cross entropy.
        tversky: weight of the overlap term; 0 leaves it out.
        missed: beta, how much a missed pixel costs against a falsely covered one, 0..1.
        presence: weight of the cells' term; 0 leaves it out.

    Returns:
        A scalar, float32, at least 0.
    """
    odds = odds.float()
    each = F.binary_cross_entropy_with_logits(odds, share, reduction="none")
    entropy = (each * weight * (1 + (plate - 1) * share)).mean()
    p = odds.sigmoid()
    right = (weight * p * share).sum()
    false = (weight.clamp(max=1) * p * (1 - share)).sum()
    lost = (weight * (1 - p) * share).sum()
    overlap = (right + 1) / (right + (1 - missed) * false + missed * lost + 1)
    loss = 10 * entropy + tversky * (1 - overlap)
    return loss + 10 * presence * _cells(odds, share, weight) if presence else loss


def _cells(odds: Tensor, share: Tensor, weight: Tensor) -> Tensor:
    greatest, held = (F.max_pool2d(part, CELL, ceil_mode=True) for part in (odds, share))
    asked = 1 - F.max_pool2d((weight == 0).float(), CELL, ceil_mode=True)
    robust = (1 - (-NOISE * F.softplus(greatest)).exp()) / NOISE
    each = held * F.softplus(-greatest) + (1 - held) * robust
    return (each * asked).mean()
