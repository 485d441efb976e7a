"""The paper's networks: their sizes, their geometry and the two models that never look."""

import math

import pytest
import torch
from torch import nn

from lib.models import MODELS, AllBackground, Block, LocationPrior, SegmentationCNN, build, parameter_count
from lib.settings import PlatesError

SMALL = {"channels": (2, 3, 4)}


@pytest.mark.parametrize(
    ("name", "convolutions", "vector"),
    [
        # kernels * kernels * in * out + out of each convolution, and the length of what is flattened
        ("baseline", [(25, 3, 64), (25, 64, 128), (25, 128, 512)], 512),
        ("deep", [(25, 3, 128), (25, 128, 512), (25, 512, 1024)], 1024),
        ("fullconv", [(25, 3, 64), (25, 64, 128), (25, 128, 256), (4, 256, 512)], 512),
    ],
)
def test_parameters_counted_by_hand(name: str, convolutions: list[tuple[int, int, int]], vector: int) -> None:
    with torch.device("meta"):  # shapes alone: the largest would weigh 900 MB
        model = build(name)
        logits = model(torch.empty(3, 3, 320, 320))
        embedding = model.features(torch.empty(3, 3, 320, 320))
    pixels = 2 * 320 * 320
    expected = sum(area * a * b + b for area, a, b in convolutions) + vector * pixels + pixels
    assert parameter_count(model) == expected
    assert expected == {"baseline": 106_911_104, "deep": 224_676_864, "fullconv": 106_616_448}[name]
    assert embedding.shape == (3, vector, 1, 1)
    assert logits.shape == (3, 2, 320, 320)


def test_blocks_shrink_as_the_paper_says() -> None:
    side, sides = 320, []
    for _ in range(3):
        side = Block(1).output_side(side)
        sides.append(side)
    assert sides == [53, 8, 1]  # (320 - 5) // 3 + 1 = 106, halved; (53 - 5) // 3 + 1 = 17; (8 - 5) // 3 + 1 = 2


def test_fullconv_has_the_authors_geometry() -> None:
    layers = list(build("fullconv", grid=10).features)
    told = [
        (layer.kernel_size[0], layer.stride[0]) if isinstance(layer, nn.Conv2d)
        else layer.kernel_size if isinstance(layer, nn.MaxPool2d) else "relu"
        for layer in layers
    ]  # fmt: skip
    assert told == [(5, 1), "relu", 2, (5, 3), "relu", 2, (5, 3), "relu", 3, (2, 1)]
    sides = [layer(torch.zeros(1, layer.in_channels, 2, 2)).shape[-1] for layer in layers[-1:]]
    assert sides == [1]


@pytest.mark.parametrize("name", sorted(set(MODELS) & {"baseline", "deep", "fullconv", "platenet"}))
def test_real_pictures_give_finite_logits_and_every_layer_learns(name: str) -> None:
    channels = (2, 3, 4, 5) if name == "fullconv" else (2, 3, 4)
    torch.manual_seed(0)
    options = {"channels": channels} | ({} if name == "platenet" else {"grid": 20})
    model = build(name, **options)
    logits = model(torch.rand(2, 3, 320, 320))
    assert logits.shape == (2, 2, 320, 320) and logits.isfinite().all()
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_first_half_of_the_linear_layer_is_background() -> None:
    model = build("baseline", grid=2, **SMALL)
    linear = model.head[-1]
    nn.init.zeros_(linear.weight)
    linear.bias.data = torch.arange(8.0)
    logits = model(torch.rand(1, 3, 320, 320))[0]
    for channel, (a, b, c, d) in enumerate([(0, 1, 2, 3), (4, 5, 6, 7)]):
        for value, rows, columns in ((a, 0, 0), (b, 0, 160), (c, 160, 0), (d, 160, 160)):
            assert (logits[channel, rows : rows + 160, columns : columns + 160] == value).all()


def test_hidden_adds_one_layer_with_relu() -> None:
    model = build("baseline", grid=10, hidden=7, **SMALL)
    plain = build("baseline", grid=10, **SMALL)
    assert [type(layer) for layer in model.head] == [nn.Linear, nn.ReLU, nn.Linear]
    assert parameter_count(model) - parameter_count(plain) == (4 * 7 + 7) + (7 * 200 + 200) - (4 * 200 + 200)


def test_xavier_on_every_layer_or_on_the_first() -> None:
    def bound(weight: torch.Tensor) -> float:
        area = weight[0, 0].numel()
        return math.sqrt(6 / (weight.shape[1] * area + weight.shape[0] * area))

    for which in ("all", "first"):
        torch.manual_seed(1)
        model = build("baseline", grid=40, xavier=which, channels=(16, 32, 64))
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        for number, layer in enumerate(layers):
            ours = which == "all" or number == 0
            assert (layer.bias.abs().max() == 0) == ours
            # uniform up to the bound, which thousands of draws come close to; torch's own bounds are others
            reached = layer.weight.abs().max().item() / bound(layer.weight)
            assert (0.98 < reached <= 1) == ours, (which, number, reached)


def test_centring_moves_pixels_before_the_network() -> None:
    torch.manual_seed(2)
    centred, plain = (build("baseline", grid=10, centred=value, **SMALL) for value in (True, False))
    plain.load_state_dict(centred.state_dict())
    pictures = torch.rand(2, 3, 320, 320)
    assert torch.equal(centred(pictures), plain((pictures - 0.45) / 0.25))
    assert not torch.equal(centred(pictures), plain(pictures))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet", {}, ("'resnet'", "baseline, deep, faster_mobile")),
        ("baseline", {"widht": 3}, ("'baseline'", "widht")),
        ("fullconv", {"channels": (1, 2, 3)}, ("'fullconv'", "expected 4")),
        ("baseline", {"side": 60}, ("side=60", "320")),
        ("baseline", {"side": 3}, ("side=3", "320")),
        ("baseline", {"grid": 7}, ("grid=7", "side=320")),
        ("baseline", {"grid": -2}, ("grid=-2", "side=320")),
        ("baseline", {"xavier": "last"}, ("'last'", "'all'", "'first'")),
    ],
)
def test_what_cannot_be_built_is_named(name: str, options: dict, words: tuple[str, ...]) -> None:
    with pytest.raises(PlatesError) as caught:
        build(name, **options)
    assert all(word in str(caught.value) for word in words)


def test_other_sides_work_where_a_vector_is_left() -> None:
    model = SegmentationCNN((Block(2), Block(3)), side=64, grid=8)
    assert model.features(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 1, 1)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 2, 64, 64)


def test_all_background_by_hand() -> None:
    probability = AllBackground()(torch.rand(2, 3, 4, 6)).softmax(1)
    assert probability.shape == (2, 2, 4, 6)
    assert (probability[:, 0] > 0.999999).all() and (probability[:, 1] < 1e-6).all()


def test_location_prior_by_hand() -> None:
    masks = torch.tensor([[[1, 0], [0, 0]], [[1, 1], [0, 0]]], dtype=torch.bool)
    prior = LocationPrior(side=2)
    untaught = prior(torch.rand(1, 3, 2, 2)).softmax(1)
    assert torch.equal(untaught, torch.full((1, 2, 2, 2), 0.5))
    prior.update(masks[:1]).update(masks[1:])
    probability = prior(torch.rand(3, 3, 2, 2)).softmax(1)
    assert probability.shape == (3, 2, 2, 2)
    expected = torch.tensor([[3 / 4, 2 / 4], [1 / 4, 1 / 4]])  # (plates + 1) / (pictures + 2)
    assert torch.allclose(probability[:, 1], expected.expand(3, 2, 2))
    assert torch.allclose(probability.sum(1), torch.ones(3, 2, 2))
    assert torch.equal(prior(torch.zeros(1, 3, 2, 2)), prior(torch.ones(1, 3, 2, 2)))  # it never looks
    assert torch.equal(LocationPrior(2).update(masks.float()).plates, prior.plates)
