"""The rendered scenes: the same everywhere, and their truth agrees with their pixels."""

import hashlib
import io
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import cv2
import numpy as np
import pytest
from PIL import Image

from lib.scenes import KINDS, LOOKS, Plate, Scene, clip, encode, render
from lib.scenes.backdrop import Panel
from lib.scenes.camera import Camera, place
from lib.scenes.layouts import draw_world
from lib.scenes.plates import DIGITS, LETTERS, design, paint
from lib.scenes.render import picture
from lib.settings import ROOT, PlatesError

SMALL = (320, 240)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(5, index, SMALL) for index in range(36)]


@pytest.fixture(scope="module")
def plates(scenes: list[Scene]) -> list[Plate]:
    return [plate for scene in scenes for plate in scene.plates]


def digest(scene: Scene) -> str:
    truth = [(p.text, p.corners.tolist(), p.occluded, [c.corners.tolist() for c in p.characters]) for p in scene.plates]
    return hashlib.sha256(scene.image.tobytes() + repr(truth).encode()).hexdigest()


def signed_area(corners: np.ndarray) -> float:
    x, y = corners.astype(float).T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)


def test_a_scene_is_the_same_in_another_process_with_other_threads():
    code = (
        "import cv2; cv2.setNumThreads(3)\nfrom lib.scenes import render\nfrom tests.test_scenes import digest\n"
        "render(9, 9, (320, 240))\nprint(digest(render(5, 3, (320, 240))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.strip() == digest(render(5, 3, SMALL))


def test_scenes_differ_by_seed_and_by_index():
    assert len({digest(render(seed, index, SMALL)) for seed in (1, 2) for index in (0, 1)}) == 4


@pytest.mark.parametrize("size", [(640, 480), (333, 250), (240, 320)])
def test_pictures_have_the_size_asked_for(size: tuple[int, int]):
    scene = render(1, 2, size)
    assert scene.image.shape == (size[1], size[0], 3)
    assert scene.image.dtype == np.uint8
    assert scene.image.std() > 3  # there is something to see


def test_corners_go_round_clockwise_and_are_convex(plates: list[Plate]):
    assert len(plates) > 20
    for plate in plates:
        assert plate.corners.shape == (4, 2) and plate.corners.dtype == np.float32
        assert signed_area(plate.corners) > 0  # y points down: clockwise on the screen, so never mirrored
        edges = np.roll(plate.corners, -1, 0) - plate.corners
        turns = edges[:, 0] * np.roll(edges[:, 1], -1) - edges[:, 1] * np.roll(edges[:, 0], -1)
        assert (turns > 0).all()


def test_boxes_are_the_clipped_hulls(plates: list[Plate]):
    for plate in plates:
        low, high = plate.corners.min(0).clip(0, SMALL), plate.corners.max(0).clip(0, SMALL)
        assert plate.bbox == pytest.approx((*low, *(high - low)), abs=1e-3)
        assert plate.bbox[2] >= 2 and plate.bbox[3] >= 1


def test_characters_lie_in_their_plate_and_in_reading_order(plates: list[Plate]):
    for plate in plates:
        assert "".join(c.char for c in plate.characters) == plate.text
        assert set(plate.text) <= set(LETTERS + DIGITS)
        flat = cv2.getPerspectiveTransform(plate.corners, np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]))
        places = [cv2.perspectiveTransform(c.corners[None], flat)[0] for c in plate.characters]
        for cell in places:
            assert cell.min() > -0.01 and cell.max() < 1.01
            assert cell[0, 0] < cell[1, 0] and cell[0, 1] < cell[3, 1]
        centres = [cell.mean(0) for cell in places]
        for here, there in pairwise(centres):
            assert there[0] > here[0] or there[1] > here[1] + 0.3  # to the right, or on the next line


def test_shares_and_angles_are_in_range(scenes: list[Scene]):
    for scene in scenes:
        assert scene.kind in KINDS and scene.light in ("day", "dusk", "night") and 55 <= scene.quality <= 92
        for plate in scene.plates:
            assert 0 <= plate.occluded <= 0.85 and 0 <= plate.angle <= 90 and plate.look in LOOKS
            assert plate.light == scene.light


def magenta(scene: Scene) -> np.ndarray:
    """The share of each pixel that is painted in the marker's colour (grey surroundings have none)."""
    r, g, b = (scene.image[..., k].astype(np.float32) for k in range(3))
    return np.clip(np.minimum(r, b) - g, 0, 255) / 255


def test_quadrilaterals_agree_with_the_painted_pixels():
    checked = 0
    for index in range(30):
        world = draw_world(6, index, (640, 480), "street")
        if world.light.name != "day" or any(actor.vehicle.lamps_on for actor in world.actors):
            continue
        scene = picture(world, 6, index, marker=True)
        painted, drawn = magenta(scene) > 0.5, np.zeros((480, 640), np.uint8)
        for plate in scene.plates:
            cv2.fillPoly(drawn, [np.rint((plate.corners - 0.5) * 64).astype(np.int32)], 1, cv2.LINE_8, 6)
        if scene.plates and all(p.occluded < 0.02 and p.bbox[2] > 30 for p in scene.plates):
            overlap = np.sum(painted & (drawn > 0)) / np.sum(painted | (drawn > 0))
            assert overlap > 0.9, (index, overlap)
            checked += 1
    assert checked >= 8


def test_the_occluded_share_is_what_the_pixels_show():
    shares = []
    for index in range(45):
        world = draw_world(7, index, (640, 480), None)
        if world.light.name != "day" or any(actor.vehicle.lamps_on for actor in world.actors):
            continue
        scene = picture(world, 7, index, marker=True)
        if len(scene.plates) == 1 and scene.plates[0].bbox[3] > 16:
            plate = scene.plates[0]
            x, y, w, h = np.rint(plate.bbox).astype(int)
            shown = magenta(scene)[max(y - 2, 0) : y + h + 2, max(x - 2, 0) : x + w + 2].sum() / signed_area(
                plate.corners
            )
            shares.append((plate.occluded, 1 - shown))
    expected, measured = np.array(shares).T
    assert len(shares) >= 8 and expected.max() > 0.1  # some are partly hidden
    assert np.abs(expected - measured).max() < 0.08
    assert np.median(np.abs(expected - measured)) < 0.02


@pytest.mark.parametrize(("share", "left"), [(0.5, 1), (0.93, 0)])
def test_what_is_left_of_a_hidden_plate_cannot_be_read(share: float, left: int):
    world = next(
        world
        for world in (draw_world(4, index, (640, 480), "yard") for index in range(200))
        if world.light.name == "day" and len(world.actors) == 1 and len(world.actors[0].vehicle.mounts) == 2
        for plates in [picture(world, 4, 0, marker=True).plates]
        if len(plates) == 1 and plates[0].bbox[2] > 80 and plates[0].occluded < 0.01
    )
    actor, eye = world.actors[0], np.array(world.camera.position)
    mounts = [(m, place(m.corners, actor.x, actor.z, actor.heading)) for m in actor.vehicle.mounts]
    _, corners = min(mounts, key=lambda pair: world.camera.view(pair[1])[:, 2].max())
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    screen = np.stack([
        corners[0] - across - down, corners[0] + across * share - down,
        corners[3] + across * share + down, corners[3] - across + down,
    ])  # fmt: skip
    screen = eye + 0.8 * (screen - eye)
    world.things.append(Panel(screen, np.full((8, 8, 3), 0.3, np.float32)))
    scene = picture(world, 4, 0, marker=True)
    assert len(scene.plates) == left
    if left:
        hidden = np.stack([corners[0], corners[0] + across * share, corners[3] + across * share, corners[3]])
        part, whole = (signed_area(world.camera.project(quad)[0]) for quad in (hidden, corners))
        assert scene.plates[0].occluded == pytest.approx(part / whole, abs=0.02)
    else:  # one even tone: neither edges nor characters remain
        x0, y0 = np.floor(world.camera.project(corners)[0].min(0)).astype(int)
        x1, y1 = np.ceil(world.camera.project(corners)[0].max(0)).astype(int)
        assert magenta(scene)[y0:y1, x0:x1].max() < 0.5


def test_white_plates_are_bright_and_their_characters_dark():
    rng = np.random.Generator(np.random.PCG64(3))
    for _ in range(20):
        plate = design(rng, look="white")
        if plate.dirt > 0.2 or plate.mud:
            continue
        face, shows = paint(plate, 400)
        assert face.shape == (*shows.shape, 3) and shows.min() == 1
        assert np.quantile(face.mean(-1), 0.9) > 0.45
        unit = 400 / plate.size[0]
        for x, y, w, h in plate.cells:
            cell = face[round(y * unit) : round((y + h) * unit), round(x * unit) : round((x + w) * unit)].mean(-1)
            assert cell.min() < 0.2 < 0.45 < np.quantile(face.mean(-1), 0.9)


def test_painted_text_differs_by_its_characters():
    rng = np.random.Generator(np.random.PCG64(4))
    first, second = design(rng, look="yellow"), design(rng, look="yellow")
    assert first.text != second.text
    assert not np.array_equal(paint(first, 200)[0], paint(second, 200)[0])


def test_scenes_without_plates_have_none():
    for index in range(12):
        scene = picture(draw_world(8, index, SMALL, "plate_free"), 8, index, marker=True)
        assert scene.plates == () and scene.kind == "plate_free"
        assert not (magenta(scene) > 0.95).any()


def test_the_default_mix_holds_every_kind_and_every_look():
    worlds = [draw_world(9, index, SMALL, None) for index in range(200)]
    kinds = Counter(world.kind for world in worlds)
    assert set(kinds) == set(KINDS)
    assert 0.08 < kinds["plate_free"] / len(worlds) < 0.22
    looks = {mount.design.look for world in worlds for actor in world.actors for mount in actor.vehicle.mounts}
    assert looks == set(LOOKS)
    assert {world.light.name for world in worlds} == {"day", "dusk", "night"}


def test_an_unknown_kind_is_named():
    with pytest.raises(PlatesError, match=r"kind='beach'.*car_park"):
        render(1, 1, SMALL, "beach")


def test_encoded_scenes_decode_to_nearly_the_same_picture():
    scene = render(1, 4, SMALL)
    picture_back = np.asarray(Image.open(io.BytesIO(encode(scene))))
    assert picture_back.shape == scene.image.shape
    assert np.abs(picture_back.astype(int) - scene.image).mean() < 12
    assert encode(scene) == encode(render(1, 4, SMALL))


def test_a_clip_moves_smoothly_and_keeps_its_texts():
    moves, seen = [], 0
    for index in range(4):
        frames = list(clip(3, index, 6, SMALL))
        assert len(frames) == 6 and len({frame.image.tobytes() for frame in frames}) == 6
        texts = [[plate.text for plate in frame.plates] for frame in frames]
        for before, after in pairwise(frames):
            old = {(p.text, p.look): p.corners for p in before.plates}
            for plate in after.plates:
                if (plate.text, plate.look) in old:
                    seen += 1
                    moves.append(np.abs(plate.corners - old[plate.text, plate.look]).max())
        common = [t for t in texts[0] if all(t in other for other in texts)]
        for row in texts:
            assert [t for t in row if t in common] == common  # the order among plates stays
    assert seen >= 10
    assert max(moves) < 0.12 * SMALL[0] and max(moves) > 0


def test_camera_projects_by_hand_computed_values():
    camera = Camera((640, 480), 500.0, (0.0, 1.5, 0.0))
    pixels, depth = camera.project(np.array([[0, 1.5, 10], [1, 0.5, 10], [-2, 1.5, 5]]))
    assert pixels == pytest.approx(np.array([[320, 240], [370, 290], [120, 240]]))
    assert depth == pytest.approx([10, 10, 5])
    turned = Camera((640, 480), 500.0, (0.0, 1.5, 0.0), yaw=np.pi / 2)
    assert turned.project(np.array([[10, 1.5, -1]]))[0] == pytest.approx(np.array([[370, 240]]))


def test_ground_map_inverts_the_projection():
    camera = Camera((640, 480), 700.0, (0.3, 1.6, -0.2), 0.3, -0.15, 0.05)
    points = np.array([[1.0, 0, 8.0], [-2.0, 0, 15.0]])
    pixels, _ = camera.project(points)
    back = np.column_stack([pixels, np.ones(2)]) @ camera.ground_map().T
    assert back[:, :2] / back[:, 2:] == pytest.approx(points[:, [0, 2]])


GOLDEN = {
    1: (
        "road",
        [
            ("F98FYE", "top_band", [[269.8, 103.1], [276.9, 103.1], [276.9, 105.4], [269.8, 105.4]]),
            ("83NA41", "white", [[435.2, 310.9], [528.2, 307.5], [523.5, 324.4], [432.1, 328.2]]),
        ],
        [[93, 136, 132, 136], [109, 130, 104, 100], [99, 98, 73, 84]],
    ),
    3: (
        "yard",
        [
            ("ZKM9404", "yellow_blue_band", [[108.5, 340.8], [364.8, 342.6], [365.1, 396.3], [106.1, 397.1]]),
        ],
        [[143, 146, 152, 155], [109, 112, 116, 119], [115, 117, 115, 118]],
    ),
}


@pytest.mark.parametrize("index", sorted(GOLDEN))
def test_pinned_scenes(index: int):
    """Geometry to a tenth of a pixel, the picture as a coarse thumbnail: a change here asks for a new VERSION."""
    kind, plates, thumbnail = GOLDEN[index]
    scene = render(0, index)
    assert scene.kind == kind
    assert [(p.text, p.look) for p in scene.plates] == [(text, look) for text, look, _ in plates]
    for plate, (_, _, corners) in zip(scene.plates, plates, strict=True):
        assert plate.corners == pytest.approx(np.array(corners), abs=0.06)
    small = cv2.resize(scene.image, (4, 3), interpolation=cv2.INTER_AREA).mean(-1)
    assert np.abs(small - np.array(thumbnail)).max() < 4
