"""The service on a real socket: what it answers, what it refuses and how, and that an original never comes back."""

import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import schemathesis
from hypothesis import event, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from mutations import CUTS, DROP, Cuts, examples, mutated
from PIL import Image, PngImagePlugin
from test_conceal import FindsMagenta, magenta_left, saved, street
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import lib.patience
import lib.streams
from lib import hosting
from lib.__main__ import main
from lib.conceal import Concealer
from lib.frames import DrawnError, drawn
from lib.hosting import running
from lib.intake import Options
from lib.masks import quadrilaterals
from lib.redact import FILL, MODES
from lib.regions import rasterise
from lib.service import wants_json
from lib.serving import Limits, Meters, Pool, Purse, Refusal
from lib.settings import PlatesError

LIMITS = Limits(bytes=2**20, pixels=1_000_000, seconds=1, workers=2, queue=4, streams=3, frame=2**19)
PLATE = [[20, 16], [50, 16], [50, 26], [20, 26]]
TOKEN = "a token of no use".replace(" ", "-")


class Moody(FindsMagenta):
    """Finds magenta, unless it is told to wait or to break."""

    def __init__(self) -> None:
        self.go, self.error = threading.Event(), None
        self.go.set()

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        assert self.go.wait(120)
        if self.error:
            raise self.error
        return super().__call__(rgb)


@pytest.fixture(scope="module")
def network() -> Moody:
    return Moody()


@pytest.fixture(scope="module")
def url(network: Moody) -> Iterator[str]:
    with running({"segment": Concealer(network)}, LIMITS) as address:
        yield address


@pytest.fixture(scope="module")
def asking(url: str) -> Iterator[httpx.Client]:
    limits = httpx.Limits(max_connections=20)
    with httpx.Client(base_url=url, timeout=60, limits=limits) as made:
        yield made


@pytest.fixture
def client(asking: httpx.Client, network: Moody) -> Iterator[httpx.Client]:
    yield asking
    network.error = None
    network.go.set()


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A service that asks for a token."""
    with running({"segment": Concealer(FindsMagenta())}, LIMITS, TOKEN) as address:
        yield address


def post(client: httpx.Client, data: bytes, kind: str | None = "image/png", query: str = "", **headers: str):
    told = {"Content-Type": kind} if kind else {}
    return client.post(f"/conceal{query}", content=data, headers=told | headers)


def refused(answer: httpx.Response, status: int, words: str) -> None:
    """One sentence in JSON, and nothing else."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"] and words in answer.json()["error"], answer.text
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"


def counter(client: httpx.Client, name: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


# --- frames ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 95, "subsampling": 0}), ("PNG", {}), ("WEBP", {"lossless": True})]
)
def test_a_frame_comes_back_concealed_in_its_format(
    client: httpx.Client, kind: str, options: dict[str, object], mode: str
) -> None:
    data = saved(street(), kind, **options)
    answer = post(client, data, f"image/{kind.lower()}", f"?mode={mode}")
    assert answer.status_code == 200 and answer.headers["content-type"] == f"image/{kind.lower()}"
    assert answer.headers["x-plates"] == "1" and "network;dur=" in answer.headers["server-timing"]
    assert answer.content == Concealer(FindsMagenta(), mode=mode)(data).encode()
    if mode == "fill":
        assert magenta_left(answer.content) == 0 < magenta_left(data)


def test_a_form_is_as_good_as_a_body(client: httpx.Client) -> None:
    data = saved(street(), "PNG")
    bare = post(client, data, query="?mode=pixelate&threshold=0.3")
    form = client.post(
        "/conceal", files={"file": ("x.png", data)}, data={"mode": "pixelate", "threshold": "0.3", "method": "segment"}
    )
    mixed = client.post("/conceal?mode=pixelate", files={"file": ("x", data, "text/plain")}, data={"threshold": "0.3"})
    assert bare.status_code == form.status_code == 200
    assert bare.content == form.content == mixed.content


def test_json_says_where_and_how_long(client: httpx.Client) -> None:
    told = post(client, saved(street(), "PNG"), Accept="application/json")
    assert told.status_code == 200 and told.headers["x-plates"] == "1"
    assert {key: told.json()[key] for key in ("plates", "format", "width", "height", "area")} == {
        "plates": [[[20.0, 16.0], [50.0, 16.0], [50.0, 26.0], [20.0, 26.0]]],
        "format": "PNG",
        "width": 96,
        "height": 48,
        "area": round(300 / (96 * 48), 6),
    }
    assert set(told.json()["milliseconds"]) == {"decode", "network", "conceal"}


def test_accept_is_obeyed(client: httpx.Client) -> None:
    assert [wants_json(accept) for accept in ("*/*", "image/png", "application/json;q=1", "text/html, image/*")] == [
        False,
        False,
        True,
        False,
    ]
    refused(post(client, saved(street(), "PNG"), Accept="text/html"), 406, "picture or application/json")


def test_the_threshold_counts(client: httpx.Client, network: Moody) -> None:
    class Half(Moody):
        def __call__(self, rgb: np.ndarray) -> np.ndarray:
            return np.where(super().__call__(rgb) < 0.5, 0.4, 1.0)

    with running({"segment": Concealer(Half())}, LIMITS) as other, httpx.Client(base_url=other) as asking:
        found = [post(asking, saved(street(), "PNG"), query=f"?threshold={t}").headers["x-plates"] for t in (0.3, 0.5)]
    assert found == ["0", "1"]


def test_no_plate_is_no_error_and_the_metadata_is_gone_all_the_same(client: httpx.Client) -> None:
    comment = PngImagePlugin.PngInfo()
    comment.add_text("where", "CANARY")
    answer = post(client, saved(street((10, 200, 10)), "PNG", pnginfo=comment))
    assert answer.status_code == 200 and answer.headers["x-plates"] == "0" and b"CANARY" not in answer.content


# --- plates drawn by hand ----------------------------------------------------------------------------------------


def test_drawn_plates_are_concealed_and_no_others(client: httpx.Client) -> None:
    plain = street()
    query = f"?plates={json.dumps([PLATE, [[60, 5], [80, 5], [80, 12], [60, 12]]])}"
    answer = post(client, saved(plain, "PNG"), query=query)
    assert answer.headers["x-plates"] == "2" and "network" not in answer.headers["server-timing"]
    rgb = np.asarray(Image.open(BytesIO(answer.content)))
    expected = np.zeros(plain.shape[:2], bool)
    expected[16:26, 20:50] = expected[5:12, 60:80] = True
    assert (rgb[expected] == round(FILL * 255)).all() and np.array_equal(rgb[~expected], plain[~expected])


@hypothesis_settings(max_examples=150, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    corners=st.lists(st.tuples(st.floats(-0.4, 1.4), st.floats(-0.4, 1.4)), min_size=4, max_size=4),
    snap=st.sampled_from([1, 2, 1000]),
)
def test_what_is_drawn_is_the_hull_of_the_corners(shape: tuple[int, int], corners: list, snap: int) -> None:
    plate = np.rint(np.array(corners) * shape[::-1] * snap) / snap
    hull = cv2.convexHull(plate.astype(np.float32))
    region = rasterise(plate if hull is None else hull[:, 0], shape)
    if region is None:
        with pytest.raises(DrawnError, match="outside"):
            drawn([plate], shape)
        return
    expected = np.zeros(shape, bool)
    expected[region.window] = region.inside
    assert np.array_equal(drawn([plate], shape), expected)


@hypothesis_settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_what_was_found_can_be_drawn_again(seed: int) -> None:
    """The page sends back what the network found, rounded as JSON has it: nothing may come to light."""
    random = np.random.default_rng(seed)
    mask = np.zeros((60, 80), np.uint8)
    for _ in range(3):
        box = (random.uniform(0, 80), random.uniform(0, 60)), random.uniform(1, 30, 2), random.uniform(0, 180)
        cv2.fillPoly(mask, [np.rint(cv2.boxPoints(box)).astype(np.int32)], 1)
    mask = mask.astype(bool)
    if mask.any():
        assert drawn([np.round(quad.astype(float), 2) for quad in quadrilaterals(mask)], mask.shape)[mask].all()


@pytest.mark.parametrize(
    ("plates", "words"),
    [
        ("[]", "is empty, so no picture is returned"),
        ("[", "plates cannot be used"),
        ("7", "plates cannot be used"),
        (json.dumps([PLATE[:3]]), "plates[0] cannot be used"),
        ("[[[1,2],[3,4],[3,NaN],[1,1]]]", "plates[0][2][1] cannot be used"),
        ("[[[1,2],[3,4],[3,1e300],[1,1]]]", "plates[0] is no list of four corners"),
        (json.dumps([PLATE, [[200, 1], [220, 1], [220, 9], [200, 9]]]), "plates[1] lies outside"),
        (json.dumps([PLATE] * 101), "at most 100"),
        ("[" * 5000, "plates cannot be used"),
    ],
)
def test_unusable_plates_are_refused(client: httpx.Client, plates: str, words: str) -> None:
    refused(client.post("/conceal", files={"file": saved(street(), "PNG")}, data={"plates": plates}), 422, words)


def test_what_differs_only_below_the_plate_leaves_alike(client: httpx.Client) -> None:
    one, other = street(), street()
    other[16:26, 20:50] = np.random.default_rng(1).integers(0, 256, (10, 30, 3))
    answers = [
        post(client, saved(each, "PNG"), query=f"?plates={json.dumps([PLATE])}").content for each in (one, other)
    ]
    assert answers[0] == answers[1] and saved(one, "PNG") != saved(other, "PNG")


# --- bad input ---------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few hundred bytes."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    packed = zlib.compress(b"\0" * 100_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def moving(kind: str) -> bytes:
    frames = [Image.fromarray(street()), Image.fromarray(street((0, 0, 255)))]
    buffer = BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


BAD: dict[str, tuple[Callable[[], bytes], str | None, int, str]] = {
    "empty": (lambda: b"", "image/png", 400, "empty"),
    "no type": (lambda: saved(street(), "PNG"), None, 415, "Content-Type is missing"),
    "text as text": (lambda: b"hello", "text/plain", 415, "Content-Type is 'text/plain'"),
    "text as a picture": (lambda: b"hello", "image/png", 415, "no JPEG, PNG or WebP"),
    "html": (lambda: b"<!doctype html><title>x</title>", "image/jpeg", 415, "no JPEG, PNG or WebP"),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml", 415, "image/svg+xml"),
    "another type": (lambda: saved(street(), "PNG"), "image/jpeg", 415, "the frame is PNG; say image/png"),
    "cut short": (lambda: saved(street(), "PNG")[:-2000], "image/png", 422, "damaged or cut short"),
    "cut JPEG": (lambda: saved(street(), "JPEG")[:-300], "image/jpeg", 422, "damaged or cut short"),
    "head alone": (lambda: saved(street(), "WEBP")[:20], "image/webp", 422, "damaged or cut short"),
    "many bytes": (lambda: saved(street(), "PNG") + b"\0" * 2**21, "image/png", 413, "over 1,048,576 bytes"),
    "many pixels": (lambda: saved(np.zeros((1001, 1000), np.uint8), "PNG"), "image/png", 413, "1,001,000 pixels"),
    "bomb": (bomb, "image/png", 413, "pixels"),
    "GIF": (lambda: moving("GIF"), "image/gif", 415, "image/gif"),
    "GIF as PNG": (lambda: moving("GIF"), "image/png", 415, "no JPEG, PNG or WebP"),
    "APNG": (lambda: moving("PNG"), "image/png", 422, "2 frames"),
    "moving WebP": (lambda: moving("WEBP"), "image/webp", 422, "2 frames"),
    "TIFF": (lambda: moving("TIFF"), "image/tiff", 415, "image/tiff"),
    "broken form": (lambda: b"--x\r\nno head", "multipart/form-data; boundary=x", 400, "form"),
    "form without boundary": (lambda: b"--x", "multipart/form-data", 400, "form"),
    "form without file": (
        lambda: b'--x\r\nContent-Disposition: form-data; name="mode"\r\n\r\nfill\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
        400,
        "no file",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_a_sentence(client: httpx.Client, name: str) -> None:
    make, kind, status, words = BAD[name]
    refused(post(client, make(), kind), status, words)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?mode=smear", "mode 'smear' is unknown; use 'fill', 'blur' or 'pixelate'"),
        ("?method=magic", "method 'magic' is unknown"),
        ("?threshold=0", "greater than 0"),
        ("?threshold=1.1", "less than or equal to 1"),
        ("?threshold=nan", "threshold 'nan'"),
        ("?strength=9", "the option 'strength' is unknown; use method, mode, threshold, plates"),
    ],
)
def test_unusable_options_are_refused_wherever_they_are(client: httpx.Client, query: str, words: str) -> None:
    data = saved(street(), "PNG")
    refused(post(client, data, query=query), 422, words)
    name, _, value = query[1:].partition("=")
    refused(client.post("/conceal", files={"file": data}, data={name: value}), 422, words)


def test_forms_with_too_much_in_them_are_refused(client: httpx.Client) -> None:
    data = saved(street(), "PNG")
    refused(post(client, data, query="?mode=fill&mode=blur"), 422, "'mode' is in the address twice; give it once")
    twice = client.post("/conceal", files=[("file", data), ("file", data)])
    refused(twice, 422, "several files")
    refused(client.post("/conceal?mode=fill", files={"file": data}, data={"mode": "blur"}), 422, "give it once")
    many = {f"option{number}": "x" for number in range(50)}
    refused(client.post("/conceal", files={"file": data}, data=many), 422, "over 8 fields")
    refused(post(client, data, **{"Content-Encoding": "gzip"}), 415, "'gzip'")


def test_other_addresses_and_methods_are_told(client: httpx.Client) -> None:
    refused(client.get("/nothing"), 404, "nothing at this address")
    answer = client.delete("/conceal")
    refused(answer, 405, "DELETE")
    assert answer.headers["allow"] == "POST"


@examples(72)
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP"]), cuts=CUTS, drop=DROP)
def test_mutated_pictures_are_concealed_or_refused(
    thrifty: None, asking: httpx.Client, kind: str, cuts: Cuts, drop: float
) -> None:
    data = mutated(saved(street(), kind), cuts, drop)
    answer = post(asking, data, f"image/{kind.lower()}")
    event(f"answered {answer.status_code}")
    if answer.status_code == 200:  # what was mutated may have been metadata, or pixels
        known = Concealer(FindsMagenta())(data)
        assert answer.content == known.encode() and (known.image[known.mask] == round(255 * FILL)).all()
        assert answer.content != data or not known.mask.any()
    else:
        assert answer.status_code in (413, 415, 422) and list(answer.json()) == ["error"]


# --- failing closed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError(), KeyError("x")])
def test_no_fault_sends_a_frame_back(client: httpx.Client, network: Moody, error: Exception) -> None:
    network.error = error
    refused(post(client, saved(street(), "PNG")), 500, "nothing is returned")
    assert post(client, saved(street(), "PNG"), Accept="application/json").status_code == 500
    network.error = None
    assert post(client, saved(street(), "PNG")).status_code == 200


@pytest.mark.parametrize("stage", ["decode", "redact", "encode"])
def test_a_fault_at_any_stage_sends_nothing_of_the_frame(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    def breaks(*_given: object, **_named: object) -> None:
        raise ValueError("SECRET of the frame")

    monkeypatch.setattr(f"lib.frames.{stage}", breaks)
    answer = post(client, saved(street(), "PNG"))
    refused(answer, 500, "(ValueError), so nothing is returned")
    assert "SECRET" not in answer.text + caplog.text and "ValueError" in caplog.text


# --- canaries ----------------------------------------------------------------------------------------------------

CANARY = b"CANARY-7F3A"
TECHNICAL = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background", "duration", "timestamp"}


def with_canaries(kind: str) -> bytes:
    """A frame that carries CANARY wherever a format takes text, and a thumbnail of its own."""
    text, exif = CANARY.decode(), Image.Exif()
    exif[0x010E] = exif[0x013B] = text  # description, artist
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{text}</x:xmpmeta>".encode()
    profile = CANARY * 20
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", text)
        info.add_text("Packed", text * 30, zip=True)
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        hidden = np.dstack([street(), np.full((48, 96), 255, np.uint8)])
        hidden[40:44, :22, 0] = np.frombuffer(CANARY * 2, np.uint8)  # red, under no alpha
        hidden[40:44, :22, 3] = 0
        data = saved(Image.fromarray(hidden), "PNG", pnginfo=info, exif=exif, icc_profile=profile)
        end = data.rindex(b"IEND") - 4
        data = data[:end] + chunk(b"prVt", CANARY) + data[end:]
    elif kind == "JPEG":
        data = saved(street(), "JPEG", quality=95, comment=CANARY, exif=exif, icc_profile=profile, xmp=xmp)
        thumbnail = saved(street(), "JPEG", quality=30, comment=CANARY)
        iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(CANARY)) + CANARY
        for marker, payload in ((b"\xff\xed", iptc), (b"\xff\xe3", CANARY + thumbnail)):
            data = data[:2] + marker + struct.pack(">H", len(payload) + 2) + payload + data[2:]
    else:
        data = saved(street(), "WEBP", lossless=True, exif=exif, icc_profile=profile, xmp=xmp)
    return data + CANARY + saved(street(), "JPEG")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("mode", MODES)
def test_canaries_appear_nowhere(client: httpx.Client, kind: str, mode: str) -> None:
    data = with_canaries(kind)
    assert data.count(CANARY) >= 3
    answer = post(client, data, f"image/{kind.lower()}", f"?mode={mode}")
    assert answer.status_code == 200, answer.text
    picture = Image.open(BytesIO(answer.content))
    pixels = np.asarray(picture).tobytes() + np.ascontiguousarray(np.asarray(picture)[..., 0]).tobytes()
    sent = answer.content + str(answer.headers).encode() + pixels
    assert CANARY not in sent and CANARY[::-1] not in sent
    assert set(picture.info) <= TECHNICAL
    told = post(client, data, f"image/{kind.lower()}", Accept="application/json")
    assert CANARY not in told.content and CANARY not in client.get("/metrics").content


# --- load --------------------------------------------------------------------------------------------------------


def test_a_full_queue_answers_503_and_says_when(network: Moody) -> None:
    network.go.clear()
    with (
        running({"segment": Concealer(network)}, replace(LIMITS, seconds=120)) as other,
        httpx.Client(base_url=other, timeout=120, limits=httpx.Limits(max_connections=20)) as client,
        ThreadPoolExecutor(12) as pool,
    ):
        waiting = [pool.submit(post, client, saved(street(), "PNG")) for _ in range(12)]
        until(lambda: sum(each.done() for each in waiting) == 6)  # 2 worked on, 4 waiting
        assert client.get("/health").json()["status"] == "ok" and client.head("/health").status_code == 200
        assert counter(client, "plates_queue_depth") == 6
        network.go.set()
        answers = [each.result() for each in waiting]
        busy = [answer for answer in answers if answer.status_code == 503]
        assert len(busy) == 6 and all(answer.status_code == 200 for answer in answers if answer not in busy)
        for answer in busy:
            refused(answer, 503, "try again in")
            assert int(answer.headers["retry-after"]) >= 1
        assert counter(client, 'plates_refusals_total{reason="full"}') == 6
        assert counter(client, "plates_queue_depth") == 0


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_who_waits_too_long_is_told(client: httpx.Client, network: Moody) -> None:
    network.go.clear()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(post, client, saved(street(), "PNG")) for _ in range(3)]
        until(lambda: counter(client, "plates_queue_depth") == 3)
        time.sleep(LIMITS.seconds + 0.1)
        network.go.set()
        answers = sorted((each.result() for each in waiting), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    refused(answers[2], 503, "no worker was free for 1 seconds")


def test_who_hangs_up_waits_no_longer(client: httpx.Client, network: Moody, url: str) -> None:
    network.go.clear()
    data = saved(street(), "PNG")
    head = f"POST /conceal HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(data)}\r\n\r\n"
    sockets = [socket.create_connection(address(url)) for _ in range(5)]
    for each in sockets:
        each.sendall(head.encode() + data)
    until(lambda: counter(client, "plates_queue_depth") == 5)
    for each in sockets:
        each.close()
    until(lambda: counter(client, "plates_queue_depth") == 2)  # what is worked on is finished, for nobody
    network.go.set()
    until(lambda: counter(client, "plates_queue_depth") == 0)
    assert counter(client, "plates_held_bytes") == 0


def address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def test_one_byte_at_a_time_ends_in_408(client: httpx.Client, url: str) -> None:
    data = saved(street(), "PNG")
    with socket.create_connection(address(url)) as slow:
        head = f"POST /conceal HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(data)}\r\n\r\n"
        slow.sendall(head.encode())
        slow.settimeout(0.1)
        end, answer = time.monotonic() + 60, b""
        for byte in data:
            slow.sendall(bytes([byte]))
            try:
                answer = slow.recv(4096)
                break
            except TimeoutError:
                assert time.monotonic() < end
        slow.settimeout(60)
        while not answer.endswith(b"}") and (part := slow.recv(4096)):  # head and sentence may come apart
            answer += part
    assert answer.startswith(b"HTTP/1.1 408 ") and b"did not arrive within 1 seconds" in answer
    until(lambda: counter(client, "plates_held_bytes") == 0)


def test_connections_that_stand_still_are_ended(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.patience, "SECONDS", 0.5)
    head = b"POST /conceal HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 99999999\r\n\r\n"
    for first, answer, then in (
        (b"", b"", b""),
        (head[:50], b"", b""),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 ", b"GET "),
        (head, b"HTTP/1.1 413 ", b"the rest, never whole"),
    ):
        with socket.create_connection(address(url)) as still:
            still.settimeout(60)
            still.sendall(first)
            assert not answer or still.recv(4096).startswith(answer)
            still.sendall(then)
            assert b"HTTP/1.1" not in read_all(still)


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other end has had enough."""
    received = []
    with suppress(ConnectionResetError):
        while part := connection.recv(2**16):
            received.append(part)
    return b"".join(received)


def test_an_answer_that_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lib.patience, "SECONDS", 0.5)
    noise = np.random.default_rng(0).integers(0, 256, (2000, 2000), np.uint8)
    data = saved(noise, "JPEG", quality=100)  # more than a socket holds
    head = f"POST /conceal HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
    with (
        running({"segment": Concealer(FindsMagenta())}, Limits(workers=1)) as other,
        httpx.Client(base_url=other) as client,
        socket.socket() as deaf,
    ):
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        deaf.connect(address(other))
        deaf.sendall(head.encode() + data)
        until(lambda: counter(client, "plates_frames_total") == 1)
        time.sleep(1)
        deaf.settimeout(10)
        assert 0 < len(read_all(deaf)) < len(data)  # what the system had taken already


def test_memory_for_frames_is_bounded() -> None:
    purse = Purse(Limits(held=100), Meters())
    with purse.opened() as one:
        one(60)
        with purse.opened() as other:
            other(40)
            with pytest.raises(Refusal, match="memory for frames is full"):
                other(1)
        one(40)
    assert purse.held == 0


def test_a_cancelled_frame_leaves_the_queue() -> None:
    pool, go = Pool(Limits(workers=1, queue=1), Meters()), threading.Event()
    first, second = pool.submit(go.wait), pool.submit(go.wait)
    with pytest.raises(Refusal, match="2 frames are in hand"):
        pool.submit(go.wait)
    assert second.cancel()
    third = pool.submit(lambda: 7)
    go.set()
    assert first.result(5) and third.result(5) == 7
    pool.close()


# --- tokens ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00e9"])
def test_another_token_is_refused(guarded: str, given: str | None) -> None:
    headers = {"Content-Type": "image/png"} | ({"Authorization": given.encode("utf-8")} if given else {})
    with httpx.Client(base_url=guarded) as client:
        answer = client.post("/conceal", content=saved(street(), "PNG"), headers=headers)
        refused(answer, 401, "the token is missing or wrong")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/metrics", headers=headers).status_code == 401
    with pytest.raises(InvalidStatus) as denied, stream(guarded):
        pass
    assert denied.value.response.status_code == 401


def test_the_token_opens(guarded: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=guarded, headers=headers) as client:
        assert post(client, saved(street(), "PNG")).status_code == 200
        assert client.get("/metrics").status_code == 200
    with httpx.Client(base_url=guarded) as stranger:
        assert stranger.get("/health").json()["token"] is True and stranger.get("/").status_code == 200
    with connect(guarded.replace("http", "ws") + "/stream", additional_headers=headers) as camera:
        camera.send(saved(street(), "PNG"))
        assert magenta_left(camera.recv(timeout=60)) == 0


def test_a_token_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert hosting.read_token(path) == TOKEN
    for text, words in (
        ("short", "16 or more"),
        ("two words that are long", "no single word"),
        ("\u00e9" * 20, "ASCII"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(PlatesError, match=words):
            hosting.read_token(path)
    with pytest.raises(PlatesError, match="cannot be read"):
        hosting.read_token(tmp_path / "none")


# --- streams -----------------------------------------------------------------------------------------------------


def stream(url: str, query: str = ""):
    return connect(url.replace("http", "ws") + f"/stream{query}", compression=None)


def test_a_stream_remembers_what_it_saw(url: str, network: Moody) -> None:
    with stream(url) as camera:
        camera.send(saved(street(), "PNG"))
        assert magenta_left(camera.recv(timeout=60)) == 0
        blind = street((0, 120, 0))  # the plate is there, and the network misses it
        camera.send(saved(blind, "PNG"))
        rgb = np.asarray(Image.open(BytesIO(camera.recv(timeout=60))))
        assert (rgb[16:26, 20:50] == round(FILL * 255)).all()
    with stream(url) as other:  # another camera saw nothing of it
        other.send(saved(blind, "PNG"))
        assert np.array_equal(np.asarray(Image.open(BytesIO(other.recv(timeout=60)))), blind)


def test_frames_of_a_stream_come_back_in_order_and_errors_do_not_end_it(url: str, network: Moody) -> None:
    shades = [street((0, shade, 0)) for shade in (100, 150, 200)]
    with stream(url, "?mode=pixelate&threshold=0.5") as camera:
        camera.send(saved(shades[0], "PNG"))
        camera.send(b"rubbish")
        camera.send("text")
        camera.send(saved(shades[1], "WEBP", lossless=True))
        network.error = None
        answers = [camera.recv(timeout=60) for _ in range(4)]
        network.error = RuntimeError("broken")
        camera.send(saved(shades[2], "PNG"))
        answers.append(camera.recv(timeout=60))
        network.error = None
        camera.send(saved(shades[2], "JPEG"))
        answers.append(camera.recv(timeout=60))
    assert [Image.open(BytesIO(answers[at])).format for at in (0, 3, 5)] == ["PNG", "WEBP", "JPEG"]
    assert np.array_equal(np.asarray(Image.open(BytesIO(answers[3]))), shades[1])
    told = [json.loads(answers[at])["error"] for at in (1, 2, 4)]
    assert "no JPEG, PNG or WebP" in told[0] and "one binary message" in told[1] and "nothing is returned" in told[2]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("?mode=smear", 422, "unknown"),
        ("?x=1", 422, "unknown"),
        ("?plates=[]", 422, "one picture"),
        ("?mode=fill&mode=blur", 422, "address twice"),
    ],
)
def test_a_stream_with_unusable_options_is_refused(url: str, query: str, status: int, words: str) -> None:
    with pytest.raises(InvalidStatus) as denied, stream(url, query):
        pass
    assert denied.value.response.status_code == status and words in json.loads(denied.value.response.body)["error"]


def test_streams_are_counted_and_bounded(url: str, client: httpx.Client) -> None:
    until(lambda: counter(client, "plates_streams") == 0)
    with ExitStack() as cameras:
        for _ in range(LIMITS.streams):
            cameras.enter_context(stream(url))
        with pytest.raises(InvalidStatus) as denied, stream(url):
            pass
        assert denied.value.response.status_code == 503 and denied.value.response.headers["retry-after"] == "10"
        assert counter(client, "plates_streams") == LIMITS.streams
    until(lambda: counter(client, "plates_streams") == 0)


def test_a_frame_too_large_or_silence_ends_a_stream(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with stream(url) as camera:
        camera.send(b"\0" * (LIMITS.frame + 1))
        with pytest.raises(ConnectionClosed) as closed:
            camera.recv(timeout=60)
    assert closed.value.rcvd.code == 1009
    monkeypatch.setattr(lib.streams, "SILENCE", 0.2)
    with stream(url) as camera, pytest.raises(ConnectionClosed) as closed:
        camera.recv(timeout=60)
    assert closed.value.rcvd.code == 1008


# --- what it tells -----------------------------------------------------------------------------------------------


def test_metrics_count_stages_plates_and_refusals(client: httpx.Client) -> None:
    names = ('plates_stage_seconds_count{stage="encode"}', "plates_concealed_total", "plates_frames_total")
    before = [counter(client, name) for name in names]
    post(client, saved(street(), "PNG"))
    assert [counter(client, name) for name in names] == [count + 1 for count in before]
    reason = 'plates_refusals_total{reason="kind"}'
    before = counter(client, reason)
    post(client, b"rubbish")
    assert counter(client, reason) == before + 1
    stages = {"upload", "queue", "decode", "network", "conceal", "encode"}
    assert all(f'stage="{stage}"' in client.get("/metrics").text for stage in stages)


def test_documentation_comes_from_here(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200 and "http" not in page.text.replace("http-equiv", "")
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "docs.js", "icon.svg", "openapi.json"):
        assert name in page.text + client.get("/docs.js").text and client.get(f"/{name}").status_code == 200
    told = client.get("/openapi.json").json()
    assert set(told["paths"]) == {"/conceal", "/health", "/metrics"}
    assert set(told["paths"]["/conceal"]["post"]["requestBody"]["content"]) == {
        "image/jpeg", "image/png", "image/webp", "multipart/form-data",
    }  # fmt: skip
    assert {one["name"] for one in told["paths"]["/conceal"]["post"]["parameters"]} == set(Options.model_fields)


def test_ports_and_hosts_that_cannot_be_had_are_told(url: str) -> None:
    for host, port in (("127.0.0.1", address(url)[1]), ("no.such.host.invalid", 0), ("127.0.0.1", 99_999)):
        with pytest.raises(PlatesError, match=r"cannot be listened on .*choose another"):
            hosting.listen(host, port)
    assert hosting.is_loopback("127.0.0.1") and hosting.is_loopback("::1") and hosting.is_loopback("localhost")
    assert not hosting.is_loopback("0.0.0.0") and not hosting.is_loopback("example.org")


@pytest.mark.parametrize("option", ["--workers", "--queue", "--megabytes"])
def test_the_command_line_refuses_what_cannot_be(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", option, "0"])
    assert "no whole number from 1" in capsys.readouterr().err


# --- its own description -----------------------------------------------------------------------------------------


@st.composite
def pictures(draw: st.DrawFn, kinds: tuple[str, ...] = ("PNG", "JPEG", "WEBP")) -> bytes:
    """A small picture, whole."""
    shade = draw(st.tuples(st.integers(0, 255), st.integers(120, 255), st.integers(0, 255)))
    return saved(street(shade), draw(st.sampled_from(kinds)))


for kind in ("PNG", "JPEG", "WEBP"):
    schemathesis.openapi.media_type(f"image/{kind.lower()}", pictures((kind,)) | st.binary(max_size=200))
schemathesis.openapi.format("binary", pictures() | st.binary(max_size=200))


@pytest.mark.parametrize(
    ("locked", "address", "mode"),
    [
        (False, "POST /conceal", schemathesis.GenerationMode.POSITIVE),
        (False, "POST /conceal", schemathesis.GenerationMode.NEGATIVE),
        (False, "GET /health", schemathesis.GenerationMode.POSITIVE),
        (True, "GET /metrics", schemathesis.GenerationMode.POSITIVE),  # generated tokens, which are all wrong
    ],
)
def test_the_service_is_what_its_description_says(
    url: str, guarded: str, locked: bool, address: str, mode: schemathesis.GenerationMode
) -> None:
    """Not checked is that everything that fits the description is accepted, since bytes need not be a picture.

    Nor, in a form, that all else is refused: a form knows no types, and an array of one is the field itself.
    """
    method, path = address.split()
    operation = schemathesis.openapi.from_url(f"{guarded if locked else url}/openapi.json")[path][method]
    fits, fits_not = schemathesis.checks.CHECKS.get_by_names(["positive_data_acceptance", "negative_data_rejection"])

    @examples(10, share=12)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        form = case.media_type == "multipart/form-data"
        case.call_and_validate(excluded_checks=[fits, fits_not] if form else [fits], timeout=5)

    check()


def test_no_answer_waits_for_an_acknowledgement() -> None:
    """Nagle's algorithm holds back the second part of an answer, some 40 ms on a connection that is kept."""
    with hosting.listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
