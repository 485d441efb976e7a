"""The Hub's zips, with the real huggingface_hub client against a local server."""

import io
import json
import socket
import time
import zipfile

import huggingface_hub
import numpy as np
import pytest
from hub_server import HubServer
from PIL import Image

from lib import data, hub, scenes
from lib.coco import ANNOTATIONS
from lib.settings import HUB_DATASET, PlatesError

COUNTS = {"train": 3, "valid": 2, "test": 1}


def make_zip(pictures: int, seed: int, annotations: bool = True, extra: dict[str, str] | None = None) -> bytes:
    """A zip as the data set has them: flat pictures of 64x48 noise, one box each, all zips with the same names."""
    generator = np.random.default_rng(seed)
    coco = {
        "categories": [{"id": 0, "name": "license-plate"}, {"id": 1, "name": "License_Plate"}],
        "images": [],
        "annotations": [],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(pictures):
            name = f"{'PlateGen_' if number == 0 else ''}p{number}_jpg.rf.{seed}{number}.jpg"
            picture = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (48, 64, 3), np.uint8)).save(picture, "JPEG")
            archive.writestr(name, picture.getvalue())
            coco["images"].append({"id": number, "file_name": name, "width": 64, "height": 48})
            coco["annotations"].append({"id": number, "image_id": number, "category_id": 1, "bbox": [4, 8, 20, 10]})
        if annotations:
            archive.writestr(ANNOTATIONS, json.dumps(coco))
        for name, text in (extra or {}).items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, small expected counts, and none of the surroundings' Hub settings."""
    monkeypatch.setattr(hub, "PICTURES", COUNTS)
    monkeypatch.setattr(hub, "BOXES", 6)
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    # The library hands on whole chunks of 10 MB; the stand-in's files are smaller than that.
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    for name in ("HF_ENDPOINT", "PLATES_DATA", "CI", "PLATES_FAST"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server(cache, monkeypatch):
    files = {f"data/{split}.zip": make_zip(count, seed) for seed, (split, count) in enumerate(COUNTS.items())}
    running = HubServer(HUB_DATASET, files)
    monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
    yield running
    running.stop()


def content_requests(server):
    return [request for request in server.requests if request[1].startswith("/content/")]


def test_download_checks_and_loads_the_three_splits(server, cache):
    plates = data.load_plates("hub")
    assert {split: len(part) for split, part in plates.items()} == {"train": 3, "validation": 2, "test": 1}
    assert data.describe(plates) == f"Hugging Face Hub {HUB_DATASET}, 3/2/1 pictures"
    row = plates["validation"][0]
    assert (row["license"], row["source"], row["image"].size) == ("CC BY 4.0", "PlateGen", (64, 48))
    assert row["objects"]["bbox"] == [[4.0, 8.0, 20.0, 10.0]]
    assert plates["train"]["source"][1] == "photographs"
    # The zips share names: each split has to keep its own pixels.
    assert np.asarray(plates["train"][1]["image"]).tobytes() != np.asarray(plates["validation"][1]["image"]).tobytes()
    assert not list((cache / "hub").glob("*.zip")) and not list((cache / "hub").glob("*.part"))


def test_second_call_needs_no_network(server, cache):
    first = data.load_plates("hub")
    asked = len(server.requests)
    server.stop()
    assert data.load_plates("hub")["train"]["file_name"] == first["train"]["file_name"]
    assert len(server.requests) == asked


def test_zip_in_the_hubs_own_cache_is_used(server, cache):
    huggingface_hub.hf_hub_download(HUB_DATASET, "data/train.zip", repo_type="dataset", endpoint=server.endpoint)
    del server.files["data/train.zip"]
    assert len(data.load_plates("hub")["train"]) == 3


def test_token_stays_with_the_hub(server, cache, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.fetch(cache)
    assert any(request[3] == "Bearer hf_secret" for request in server.requests)
    assert all(request[3] is None for request in content_requests(server))


def test_broken_connection_resumes_within_the_call(server, cache):
    server.cut_after = 5000
    assert (hub.fetch(cache) / "train" / ANNOTATIONS).is_file()
    ranges = [int(request[2][6:-1]) for request in content_requests(server) if request[2]]
    assert len(ranges) == 1 and 1024 <= ranges[0] <= 5000


def test_interrupted_download_resumes_in_the_next_call(server, cache):
    server.cut_after, server.refuse_after_cut = 5000, True
    with pytest.raises(hub.HubUnreachable, match=r"data/train\.zip .* broke off"):
        hub.fetch(cache)
    (part,) = (cache / "hub").glob("train-*.part")
    kept = part.stat().st_size
    assert 1024 <= kept <= 5000
    server.refuse = False
    hub.fetch(cache)
    assert content_requests(server)[-3][2] == f"bytes={kept}-"


def test_server_that_is_gone(server, cache, monkeypatch):
    server.stop()
    start = time.monotonic()
    with pytest.raises(PlatesError, match=r"data/train\.zip cannot be had .*PLATES_DATA=scenes"):
        data.load_plates("hub")
    assert time.monotonic() - start < 2 * hub.REACH_SECONDS  # the library alone would retry for half a minute
    monkeypatch.setenv("PLATES_DATA", "hub")
    with pytest.raises(hub.HubUnreachable):
        data.load_plates()


def test_server_that_never_answers(cache, monkeypatch):
    monkeypatch.setattr(hub, "REACH_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(hub.HubUnreachable, match="cannot be had"):
            hub.fetch(cache)


def test_unset_falls_back_to_the_scenes_loudly(server, cache, monkeypatch, tiny_render):
    server.stop()
    with pytest.warns(UserWarning, match="RENDERED SCENES INSTEAD"):
        plates = data.load_plates(sizes={"train": 2, "validation": 1, "test": 1})
    assert data.describe(plates) == "rendered scenes, seed 1 (the Hub could not be reached), 2/1/1 pictures"


def test_offline_mode_is_obeyed(server, cache, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # read from the environment at import
    with pytest.raises(hub.HubUnreachable, match=r"[Oo]ffline"):
        hub.fetch(cache)
    assert server.requests == []


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PlatesError, match="cannot be written"):
        hub.fetch(tmp_path / "file")


def test_data_set_without_the_file(server, cache):
    del server.files["data/valid.zip"]
    with pytest.raises(hub.HubUnreachable, match=r"data/valid\.zip"):
        hub.fetch(cache)


def test_content_that_differs_from_its_checksum(server, cache):
    content = bytearray(server.files["data/train.zip"])
    content[1000] ^= 0xFF
    server.lie = bytes(content)
    with pytest.raises(PlatesError, match=r"data/train\.zip arrived altered"):
        hub.fetch(cache)
    server.lie = None
    hub.fetch(cache)  # nothing of the altered one is kept


def altered(content: bytes) -> bytes:
    """One bit of the first picture's compressed bytes flipped: the zip's own CRC must tell."""
    changed = bytearray(content)
    changed[2000] ^= 0x10
    return bytes(changed)


BAD_ZIPS = {
    "truncated": (lambda zip_: zip_[: len(zip_) // 2], "truncated or altered"),
    "altered": (altered, "truncated or altered"),
    "without annotations": (lambda _: make_zip(3, 0, annotations=False), f"lacks its annotation file {ANNOTATIONS}"),
    "other data": (lambda _: make_zip(4, 0), "holds 4 pictures instead of 3"),
    "slip": (lambda _: make_zip(3, 0, extra={"../../out.txt": "x"}), "unsafe entry"),
    "absolute": (lambda _: make_zip(3, 0, extra={"/out.txt": "x"}), "unsafe entry"),
    "bomb": (lambda _: make_zip(3, 0, extra={"big.txt": "0" * 80_000_000}), "more than 20 times its size"),
    "not JSON": (lambda _: make_zip(3, 0, annotations=False, extra={ANNOTATIONS: "{"}), "not valid JSON"),
}


@pytest.mark.parametrize("name", BAD_ZIPS)
def test_bad_zip_is_named_and_leaves_nothing(server, cache, tmp_path, name):
    good = server.files["data/train.zip"]
    spoil, sentence = BAD_ZIPS[name]
    server.files["data/train.zip"] = spoil(good)
    with pytest.raises(PlatesError, match=sentence) as caught:
        hub.fetch(cache)
    assert "train" in str(caught.value) and not isinstance(caught.value, hub.HubUnreachable)
    assert not list(tmp_path.rglob("out.txt")) and not list((cache / "hub").glob("train*"))
    server.files["data/train.zip"] = good
    hub.fetch(cache)  # the next call mends it


def test_boxes_are_counted_over_all_splits(server, cache, monkeypatch):
    monkeypatch.setattr(hub, "BOXES", 7)
    with pytest.raises(PlatesError, match="holds 6 boxes instead of 7"):
        hub.fetch(cache)
    assert not (cache / "hub" / "plates").exists()


@pytest.fixture
def tiny_render(monkeypatch):
    from test_data import fake_render

    monkeypatch.setattr(scenes, "render", fake_render)
    monkeypatch.setattr(scenes, "VERSION", "test")
