"""Untrusted bytes to pixels and back: every kind of picture, every limit, and nothing carried along."""

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from mutations import CUTS, DROP, Cuts, examples, mutated
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin

from lib import images
from lib.images import Picture, PictureError, decode, encode, pixels_of
from lib.redact import redact

CANARY = b"CANARY-7731"
H, W = 48, 64


def smooth(height: int = H, width: int = W, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """(height, width, 3) uint8 like a photograph: soft colours, and noise where asked for."""
    random = np.random.default_rng(seed)
    knots = random.uniform(0, 255, (height // 24 + 2, width // 24 + 2, 3)).astype(np.float32)
    picture = cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + random.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


def saved(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, kind, **options)
    return buffer.getvalue()


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    error = ((a.astype(float) - b.astype(float))[where] ** 2).mean()
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, colour_type: int, *extra: bytes) -> bytes:
    """A PNG of (H, W, channels) at the array's depth, with more chunks: what no library here writes."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{pixels.itemsize}").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, colour_type, 0, 0, 0)
    body = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def icc(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC version 2 profile with the canary in its description (ICC.1:2001-04, clauses 6.1 to 6.5)."""
    name = b"desc\0\0\0\0" + struct.pack(">I", len(CANARY) + 1) + CANARY + b"\0" * 79
    tags = {b"desc": name, b"wtpt": xyz(0.9642, 1.0, 0.8249), **tags}
    table, data, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        value += b"\0" * (-len(value) % 4)
        table += key + struct.pack(">II", at + len(data), len(value))
        data += value
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I4sI4s4s4s", at + len(data), b"\0" * 4, 0x02100000, kind, space, connection)
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + table + data


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


RED, GREEN, BLUE = xyz(0.4361, 0.2225, 0.0139), xyz(0.3851, 0.7169, 0.0971), xyz(0.1431, 0.0606, 0.7141)
CURVES = {b"rTRC": gamma(2.2), b"gTRC": gamma(2.2), b"bTRC": gamma(2.2)}
SWAPPED = icc(b"RGB ", b"XYZ ", {b"rXYZ": BLUE, b"gXYZ": GREEN, b"bXYZ": RED, **CURVES})  # its red is sRGB's blue
LINEAR_GREY = icc(b"GRAY", b"XYZ ", {b"kTRC": gamma(1.0)})
# four inks on a grid of two steps to L, a, b: anything with cyan in it is black, all else is white
_LUT = b"mft1\0\0\0\0\x04\x03\x02\0" + struct.pack(">9i", *[65536, 0, 0, 0, 65536, 0, 0, 0, 65536])
_LUT += bytes(range(256)) * 4 + b"\xff\x80\x80" * 8 + b"\x00\x80\x80" * 8 + bytes(range(256)) * 3
BLACK_CYAN = icc(b"CMYK", b"Lab ", {b"A2B0": _LUT, b"A2B1": _LUT})


def keep(data: bytes) -> tuple[Picture, Picture, np.ndarray]:
    """Decode, conceal a patch, encode, decode: both pictures and the mask."""
    before = decode(data, "picture")
    mask = np.zeros(before.pixels.shape[:2], bool)
    rows, columns = mask.shape
    mask[rows // 3 : rows // 2, columns // 3 : columns // 2] = True
    written = encode(before, redact(before.pixels, mask))
    after = decode(written, "result")
    assert Image.open(BytesIO(written)).format == before.format == after.format
    assert after.pixels.shape == before.pixels.shape and after.pixels.dtype == before.pixels.dtype
    return before, after, mask


RGB = smooth(noise=20)
GREY = RGB[:, :, 0]
DEEP = (RGB.astype(np.uint16) << 8) | np.random.default_rng(1).integers(0, 256, RGB.shape, dtype=np.uint16)
LOSSLESS = [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})]


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_lossless_formats_change_only_under_the_mask(kind: str, options: dict[str, object]) -> None:
    before, after, mask = keep(saved(RGB, kind, **options))
    assert np.array_equal(before.pixels, RGB)
    assert np.array_equal(after.pixels, redact(RGB, mask))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "JPEG"])
def test_grey_stays_grey(kind: str) -> None:
    before, after, mask = keep(saved(GREY, kind))
    assert before.pixels.shape == (H, W) and before.rgb.shape == (H, W, 3)
    assert psnr(before.pixels, after.pixels, ~mask) >= (40 if kind == "JPEG" else 999)


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("pixels", [DEEP, DEEP[:, :, 1]], ids=["colour", "grey"])
def test_sixteen_bits_stay_sixteen(kind: str, pixels: np.ndarray) -> None:
    data = cv2.imencode(f".{kind}", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()
    before, after, mask = keep(data)
    assert before.pixels.dtype == np.uint16 and np.array_equal(before.pixels, pixels)
    assert np.array_equal(after.pixels[~mask], pixels[~mask])
    assert np.abs(before.rgb.astype(int) - (pixels >> 8).reshape(H, W, -1)).max() == 0


def test_a_twelve_bit_camera_is_not_black_to_the_network() -> None:
    assert decode(saved(DEEP[:, :, 0] >> 4, "PNG"), "picture").rgb.max() >= 128


def test_one_bit_and_palettes() -> None:
    bits = Image.fromarray(GREY).convert("1")
    before, after, mask = keep(saved(bits, "PNG"))
    assert np.array_equal(before.pixels, np.asarray(bits.convert("L")))
    assert np.array_equal(after.pixels[~mask], before.pixels[~mask])
    palette = Image.fromarray(RGB).quantize(32)
    before, after, mask = keep(saved(palette, "PNG"))
    assert np.array_equal(before.pixels, np.asarray(palette.convert("RGB")))
    assert np.array_equal(after.pixels[~mask], before.pixels[~mask])


def test_cmyk_inverted_by_adobe_becomes_srgb() -> None:
    inks = np.zeros((H, W, 4), np.uint8)
    inks[:, : W // 2, 0] = 255  # cyan; the rest is paper
    data = saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    before, after, mask = keep(data)
    assert np.abs(before.pixels[:, :24].astype(int) - (0, 255, 255)).max() <= 4
    assert before.pixels[:, 40:].min() >= 251
    assert psnr(before.pixels, after.pixels, ~mask) >= 40


def test_cmyk_goes_through_its_profile() -> None:
    inks = np.zeros((H, W, 4), np.uint8)
    inks[:, : W // 2, 0] = 255
    pixels = decode(saved(Image.fromarray(inks, "CMYK"), "TIFF", icc_profile=BLACK_CYAN), "picture").pixels
    assert pixels[:, : W // 2].max() <= 3 and pixels[:, W // 2 :].min() >= 252


def test_profiles_become_srgb() -> None:
    red = np.zeros((H, W, 3), np.uint8)
    red[..., 0] = 255
    for kind in ("PNG", "TIFF"):
        pixels = decode(saved(red, kind, icc_profile=SWAPPED), "picture").pixels
        assert np.abs(pixels.astype(int) - (0, 0, 255)).max() <= 6
    # linear .502 is 188 in sRGB: 255 (1.055 .502^(1/2.4) - .055)
    grey = np.full((H, W), 128, np.uint8)
    assert np.abs(decode(saved(grey, "PNG", icc_profile=LINEAR_GREY), "picture").pixels.astype(int) - 188).max() <= 1
    deep = decode(saved(grey.astype(np.uint16) * 257, "PNG", icc_profile=LINEAR_GREY), "picture").pixels
    assert deep.dtype == np.uint16 and np.abs(deep.astype(int) - 188 * 257).max() <= 257


def test_srgb_profiles_and_broken_ones_change_nothing() -> None:
    from PIL import ImageCms

    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (plain, b"no profile at all", SWAPPED[:200], LINEAR_GREY):
        assert np.array_equal(decode(saved(RGB, "PNG", icc_profile=profile), "picture").pixels, RGB)


def test_sixteen_bit_colour_with_a_profile_comes_down_to_eight() -> None:
    red = np.zeros((H, W, 3), np.uint16)
    red[..., 0] = 65535
    data = png(red, 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(SWAPPED)))
    pixels = decode(data, "picture").pixels
    assert pixels.dtype == np.uint8 and np.abs(pixels.astype(int) - (0, 0, 255)).max() <= 6


def test_transparent_pictures_are_laid_on_white() -> None:
    alpha = np.full((H, W), 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 128
    half = np.rint((RGB * 128.0 + 255 * 127) / 255)
    for kind in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        pixels = keep(saved(np.dstack([RGB, alpha]), kind, **options))[0].pixels
        assert (pixels[:10] == 255).all(), "colour hidden under alpha is gone"
        assert np.array_equal(pixels[10:20], half[10:20]) and np.array_equal(pixels[20:], RGB[20:])
    grey = decode(saved(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]), "PNG"), "picture").pixels
    assert grey.shape == (H, W) and (grey[:10] == 255).all() and np.array_equal(grey[20:], GREY[20:])
    palette = Image.fromarray(RGB).quantize(8)
    clear = decode(saved(palette, "PNG", transparency=0), "picture").pixels
    assert (clear[np.asarray(palette) == 0] == 255).all()
    deep_alpha = alpha.astype(np.uint16)[:, :, None] * 257
    for pixels, colour_type in ((DEEP, 6), (DEEP[:, :, :1], 4)):
        deep = decode(png(np.dstack([pixels, deep_alpha]), colour_type), "picture").pixels.reshape(H, W, -1)
        assert deep.dtype == np.uint16 and (deep[:10] == 65535).all() and np.array_equal(deep[20:], pixels[20:])


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores so that EXIF's orientation brings it upright (EXIF 2.32, 4.6.4 A: 0th row and column)."""
    if orientation >= 5:
        upright = upright.swapaxes(0, 1)
    rows, columns = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}[
        orientation
    ]
    return np.ascontiguousarray(upright[::rows, ::columns])


def with_orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = with_orientation(orientation)
    for upright in (RGB, DEEP[:, :, 0]):
        data = saved(as_stored(upright, orientation), "PNG", exif=exif)
        assert np.array_equal(keep(data)[0].pixels, upright)
        data = saved(as_stored(upright, orientation), "TIFF", tiffinfo={0x0112: orientation})
        assert np.array_equal(keep(data)[0].pixels, upright)
    data = saved(as_stored(RGB, orientation), "WEBP", lossless=True, exif=exif)
    assert np.array_equal(keep(data)[0].pixels, RGB)
    before, after, _ = keep(saved(as_stored(smooth(), orientation), "JPEG", quality=95, exif=exif))
    assert before.pixels.shape == (H, W, 3) == after.pixels.shape
    assert psnr(before.pixels, smooth(), np.ones((H, W), bool)) >= 35
    turned = Image.open(BytesIO(saved(as_stored(RGB, orientation), "PNG", exif=exif)))
    assert np.array_equal(pixels_of(turned), RGB)


def test_an_orientation_of_no_meaning_is_none() -> None:
    assert np.array_equal(decode(saved(RGB, "PNG", exif=with_orientation(77)), "picture").pixels, RGB)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpeg_keeps_its_making_and_forty_decibels(quality: int, subsampling: int) -> None:
    data = saved(smooth(240, 328, noise=3), "JPEG", quality=quality, subsampling=subsampling, progressive=quality == 75)
    before, after, mask = keep(data)
    assert after.jpeg == before.jpeg
    stored = Image.open(BytesIO(data))
    assert before.jpeg.tables == tuple(tuple(stored.quantization[i]) for i in (0, 1, 1))
    assert before.jpeg.subsampling == subsampling and before.jpeg.progressive == (quality == 75)
    assert psnr(before.pixels, after.pixels, ~mask) >= 40


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("size", [(240, 328), (248, 328), (245, 327)], ids=["whole", "half_chroma", "odd"])
def test_turned_jpegs_keep_forty_decibels_off_their_grid(size: tuple[int, int], orientation: int) -> None:
    for subsampling in (0, 1, 2):
        stored = smooth(*size, noise=3)
        data = saved(stored, "JPEG", quality=40, subsampling=subsampling, exif=with_orientation(orientation))
        before, after, mask = keep(data)
        assert psnr(before.pixels, after.pixels, ~mask) >= 40


def test_turning_on_the_side_transposes_the_tables() -> None:
    table = list(range(1, 65))
    data = saved(RGB, "JPEG", qtables=[table, table[::-1]], subsampling=2, exif=with_orientation(6))
    jpeg = decode(data, "picture").jpeg
    assert jpeg.tables[0] == tuple(np.reshape(table, (8, 8)).T.ravel())
    assert jpeg.subsampling == 2


def test_lossy_webp_stays_lossy_and_close() -> None:
    before, after, mask = keep(saved(smooth(), "WEBP", quality=80))
    assert not before.lossless and not after.lossless
    assert psnr(before.pixels, after.pixels, ~mask) >= 35


# --- nothing carried along ---------------------------------------------------------------------------------------


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def test_jpeg_carries_nothing_along() -> None:
    thumbnail = saved(np.full((16, 16, 3), 200, np.uint8), "JPEG")
    exif = with_orientation(1)
    exif[0x010E] = CANARY.decode()
    extra = segment(0xE1, b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0") + thumbnail)
    extra += segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + CANARY + b"</x:xmpmeta>")
    extra += segment(0xE2, b"ICC_PROFILE\0\x01\x01" + SWAPPED)
    extra += segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + CANARY) + segment(0xFE, CANARY)
    data = saved(RGB, "JPEG")
    data = data[:2] + extra + data[2:] + CANARY + saved(RGB, "JPEG", comment=CANARY)
    assert data.count(CANARY) == 7 and data.count(b"\xff\xd8\xff") == 3
    picture = decode(data, "picture")
    written = encode(picture, picture.pixels)
    assert CANARY not in written and written.count(b"\xff\xd8\xff") == 1 and written.endswith(b"\xff\xd9")
    names = [name for name, _ in Image.open(BytesIO(written)).applist]
    assert names == ["APP0"], "JFIF and nothing else"


def chunks(data: bytes, at: int, order: str) -> list[bytes]:
    """Names of the chunks of a PNG (big-endian, with checksums) or of a RIFF file (little-endian, padded)."""
    found = []
    while at < len(data):
        if order == "big":
            size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
            at += 12 + size
        else:
            name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
            at += 8 + size + size % 2
        found.append(name)
    return found


def test_png_carries_nothing_along() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", CANARY.decode())
    text.add_itxt("XML:com.adobe.xmp", CANARY.decode())
    text.add_text("zipped", CANARY.decode(), zip=True)
    text.add(b"tIME", b"\x07\xea\x01\x01\0\0\0")
    exif = with_orientation(1)
    exif[0x010E] = CANARY.decode()
    for pixels in (RGB, DEEP[:, :, 0]):
        data = saved(pixels, "PNG", pnginfo=text, exif=exif, icc_profile=LINEAR_GREY, dpi=(72, 72)) + CANARY
        picture = decode(data, "picture")
        written = encode(picture, picture.pixels)
        assert set(chunks(written, 8, "big")) == {b"IHDR", b"IDAT", b"IEND"}
        assert data.count(CANARY) >= 4 and CANARY not in written


def test_webp_tiff_and_bmp_carry_nothing_along() -> None:
    exif = with_orientation(1)
    exif[0x010E] = CANARY.decode()
    for lossless in (True, False):
        data = saved(RGB, "WEBP", lossless=lossless, exif=exif, xmp=CANARY, icc_profile=SWAPPED)
        assert data.count(CANARY) >= 3
        picture = decode(data, "picture")
        written = encode(picture, picture.pixels)
        assert chunks(written, 12, "little") == [b"VP8L" if lossless else b"VP8 "] and CANARY not in written
    data = saved(RGB, "TIFF", tiffinfo={270: CANARY.decode(), 700: CANARY}, icc_profile=SWAPPED, software="x") + CANARY
    picture = decode(data, "picture")
    written = encode(picture, picture.pixels)
    assert data.count(CANARY) >= 4 and CANARY not in written
    # dimensions, depth, compression, photometric, strips, samples, planar configuration: how pixels lie, no more
    assert set(Image.open(BytesIO(written)).tag_v2) <= {256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317}
    picture = decode(saved(RGB, "BMP") + CANARY, "picture")
    written = encode(picture, picture.pixels)
    assert CANARY not in written and len(written) == 54 + RGB.size


def test_a_phones_gain_map_stays_behind() -> None:
    second = smooth(seed=5)
    data = saved(Image.fromarray(RGB), "MPO", save_all=True, append_images=[Image.fromarray(second)])
    picture = decode(data, "picture")
    written = encode(picture, picture.pixels)
    assert picture.format == "JPEG" and written.count(b"\xff\xd8\xff") == 1
    everywhere = np.ones((H, W), bool)
    assert psnr(picture.pixels, RGB, everywhere) > psnr(picture.pixels, second, everywhere) + 6


# --- what is refused ---------------------------------------------------------------------------------------------


def refused(data: bytes, *words: str) -> None:
    with pytest.raises(PictureError) as caught:
        decode(data, "holiday.jpg")
    message = str(caught.value)
    assert message.startswith("holiday.jpg: ") and "\n" not in message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize("data", [b"", b"hello, I am a text\n" * 50, b"\xff\xd8\xff", saved(RGB, "GIF"), bytes(5000)])
def test_what_is_no_picture(data: bytes) -> None:
    refused(data, "convert it")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("allowed", [False, True])
def test_truncated_pictures(share: float, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", allowed)  # as another library may have left it
    noisy = smooth(200, 300, noise=30)
    files = [saved(noisy, "JPEG"), saved(noisy, "JPEG", progressive=True), saved(noisy, "WEBP"), saved(noisy, "BMP")]
    files += [saved(noisy, "PNG"), saved(noisy, "TIFF"), saved(noisy[:, :, 0].astype(np.uint16) * 257, "PNG")]
    files += [cv2.imencode(".png", noisy.astype(np.uint16) * 257)[1].tobytes()]
    for data in files:
        with pytest.raises(PictureError, match=r"holiday\.jpg: .*(whole copy|convert)"):
            decode(data[: int(len(data) * share)], "holiday.jpg")


def test_a_picture_thirty_thousand_wide() -> None:
    refused(saved(Image.new("L", (30_000, 4)), "PNG"), "30,000 x 4", "20,000", "cut it")


def test_limits_are_checked_before_pixels_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def header(width: int, height: int) -> bytes:  # claims a size and has no pixels at all
        size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", b"")

    refused(header(17_000, 8_000), "136,000,000 pixels", "scale it down")
    refused(header(12_000, 9_000), "damaged or cut short")  # its size is none too large
    refused(header(60_000, 60_000), "scale it down")  # Pillow's own decompression bomb
    monkeypatch.setattr(images, "MAX_BYTES", 1000)
    refused(bytes(1001), "1,001 bytes")


def test_later_frames_would_leave_unseen() -> None:
    frames = [Image.fromarray(smooth(seed=i)) for i in range(3)]
    for kind in ("PNG", "WEBP", "TIFF"):
        refused(saved(frames[0], kind, save_all=True, append_images=frames[1:]), "3 frames", "save each")
    refused(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), "convert it")


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_other_kinds_of_pixels(dtype: type) -> None:
    refused(saved(GREY.astype(dtype), "TIFF"), "save it as RGB or grey")


def test_a_damaged_header_of_the_metadata_is_no_reason() -> None:
    data = saved(RGB, "JPEG")
    data = data[:2] + segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f\x12") + data[2:]
    assert decode(data, "picture").pixels.shape == RGB.shape


def test_only_pixels_of_the_picture_are_written() -> None:
    picture = decode(saved(RGB, "PNG"), "picture")
    for wrong in (RGB[:-1], RGB.astype(np.uint16), GREY):
        with pytest.raises(PictureError, match="made from this picture"):
            encode(picture, wrong)


def test_samplings_that_cannot_be_written_become_the_finest() -> None:
    data = cv2.imencode(
        ".jpg", smooth(96, 96), [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440]
    )
    assert JpegImagePlugin.get_sampling(Image.open(BytesIO(data[1].tobytes()))) == -1
    before, after, mask = keep(data[1].tobytes())
    assert before.jpeg.subsampling == 0
    assert psnr(before.pixels, after.pixels, ~mask) >= 40


@examples(60)
@given(kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP"]), cuts=CUTS, drop=DROP)
def test_mutated_pictures_are_decoded_or_refused(thrifty: None, kind: str, cuts: Cuts, drop: float) -> None:
    data = mutated(saved(smooth(), kind, **({} if kind == "BMP" else {"exif": told_by_exif()})) + CANARY, cuts, drop)
    try:
        picture = decode(data, "a")
    except PictureError as error:
        event("refused")
        assert str(error).startswith("a: ")
    else:
        event("decoded")
        assert picture.pixels.size and CANARY not in encode(picture, picture.pixels)


def told_by_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = CANARY.decode()  # ImageDescription
    return exif.tobytes()
