"""The paper's data set from the Hugging Face Hub: three zips, downloaded resumably, checked, unpacked apart."""

import os
import re
import shutil
import stat
import threading
import zipfile
import zlib
from pathlib import Path

from lib.coco import ANNOTATIONS
from lib.files import locked, read_json, sha256_of
from lib.settings import CACHE, HUB_DATASET, PlatesError

PICTURES = {"train": 6176, "valid": 1765, "test": 882}  # the dataset card's counts
BOXES = 9155
REACH_SECONDS = 8.0  # the whole time that an unreachable Hub may cost
_REMEDY = "run again to download it anew, or set PLATES_DATA=scenes"


class HubUnreachable(PlatesError):
    """The Hub, or the data set on it, cannot be had now; what was downloaded so far is kept."""


def fetch(cache: Path | None = None) -> Path:
    """Return a folder with ``train/ valid/ test/``, downloaded and checked once, afterwards without the network.

    The zips share file names, so each is unpacked in its own folder. The result is renamed into place as a whole when
    all three hold the pictures and boxes of the dataset card. A zip already in the Hub's own cache (``hf download``)
    is used from there. ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE`` are obeyed.

    Raises:
        HubUnreachable: no connection, offline mode, a refusal, or a connection that broke off (the next call resumes).
        PlatesError: a zip is truncated, altered or unsafe, lacks its annotations, or holds other counts.
    """
    cache = Path(cache or CACHE) / "hub"
    done, unpacked = cache / "plates", cache / "unpacking"
    try:
        with locked(cache / ".lock"):  # several processes of one run must not download thrice
            if done.is_dir():
                return done
            zips = [_download(split, cache) for split in PICTURES]
            shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was killed
            boxes = 0
            for (split, pictures), file in zip(PICTURES.items(), zips, strict=True):
                boxes += _unpack(file, unpacked / split, pictures)
            if boxes != BOXES:
                raise PlatesError(f"{HUB_DATASET}: holds {boxes:,} boxes instead of {BOXES:,}; set PLATES_DATA=scenes.")
            os.replace(unpacked, done)
            for file in zips:
                if file.parent == cache:
                    file.unlink()
            return done
    except OSError as error:
        raise PlatesError(f"{cache}: cannot be written ({error.strerror or error}); make room or allow it.") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _download(split: str, cache: Path) -> Path:
    """Download ``data/<split>.zip``, going on where an earlier call was cut off.

    `hf_hub_download` of huggingface_hub 2 resumes a broken connection within a call, but throws the part away when the
    process ends and retries an unreachable Hub for half a minute, so its building blocks are called here instead.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

    name = f"data/{split}.zip"
    known = try_to_load_from_cache(HUB_DATASET, name, repo_type="dataset")
    if isinstance(known, str):
        return Path(known)
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None  # the library itself reads it at import only
    url = hf_hub_url(HUB_DATASET, name, repo_type="dataset", endpoint=endpoint)
    place = f"the Hub ({endpoint or url.split('/datasets')[0]})"
    answer: list = []

    def ask() -> None:
        try:
            answer.append(get_hf_file_metadata(url, timeout=REACH_SECONDS, endpoint=endpoint))
        except Exception as error:
            answer.append(error)

    # A name with many addresses is tried address by address, each with the whole timeout: hence a deadline around it.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS)
    meta = answer[0] if answer else TimeoutError(f"no answer in {REACH_SECONDS:.0f} s")
    if isinstance(meta, Exception) or not meta.etag:
        reason = _reason(meta) if isinstance(meta, Exception) else "its answer has no ETag"
        raise HubUnreachable(
            f"{HUB_DATASET}: {name} cannot be had from {place}: {reason}; "
            "check the connection and HF_ENDPOINT, or set PLATES_DATA=scenes."
        ) from (meta if isinstance(meta, Exception) else None)

    target = cache / f"{split}-{re.sub(r'[^0-9A-Za-z]', '', meta.etag)}.zip"
    part = target.with_suffix(".part")
    if not target.exists():
        if part.exists() and part.stat().st_size > (meta.size or 0):
            part.unlink()
        _fill(part, url, name, meta.size, place)
        # large files carry their SHA-256 as ETag
        if re.fullmatch("[0-9a-f]{64}", meta.etag) and sha256_of(part) != meta.etag:
            part.unlink()
            raise PlatesError(f"{HUB_DATASET}: {name} arrived altered (its SHA-256 differs); {_REMEDY}.")
        os.replace(part, target)
    return target


def _fill(part: Path, url: str, name: str, size: int | None, place: str) -> None:
    """Append to ``part`` what it lacks of ``url``; a broken connection is taken up again while bytes still come."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    while True:
        had = part.stat().st_size if part.exists() else 0
        try:
            with part.open("ab") as handle:
                headers = build_hf_headers()
                http_get(url, handle, resume_size=had, headers=headers, expected_size=size, displayed_filename=name)
            return
        except Exception as error:
            if isinstance(error, OSError) and error.errno:
                raise  # the disk's fault, not the network's
            if part.stat().st_size <= had:
                raise HubUnreachable(
                    f"{HUB_DATASET}: the download of {name} from {place} broke off ({_reason(error)}); "
                    "run again to go on from there, or set PLATES_DATA=scenes."
                ) from error


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _unpack(file: Path, folder: Path, pictures: int) -> int:
    """Unpack one zip into ``folder``, check it and return its number of boxes; a bad zip is removed."""
    name = f"{HUB_DATASET}: data/{folder.name}.zip"
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > 20 * file.stat().st_size + 2**26:
                raise PlatesError(f"{name} would unpack to more than 20 times its size; {_REMEDY}.")
            for entry in entries:
                parts = re.split(r"[/\\]", entry.filename)
                if ".." in parts or parts[0] == "" or ":" in parts[0] or stat.S_ISLNK(entry.external_attr >> 16):
                    raise PlatesError(f"{name} holds the unsafe entry {entry.filename!r}; {_REMEDY}.")
            folder.mkdir(parents=True)
            archive.extractall(folder)
        if not (folder / ANNOTATIONS).is_file():
            raise PlatesError(f"{name} lacks its annotation file {ANNOTATIONS}; {_REMEDY}.")
        coco = read_json(folder / ANNOTATIONS)
        counts = [len(coco.get(key) or []) if isinstance(coco, dict) else 0 for key in ("images", "annotations")]
        if counts[0] != pictures:
            raise PlatesError(f"{name} holds {counts[0]:,} pictures instead of {pictures:,}; {_REMEDY}.")
        return counts[1]
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        file.unlink(missing_ok=True)
        raise PlatesError(f"{name} is truncated or altered ({error}); {_REMEDY}.") from error
    except PlatesError:
        file.unlink(missing_ok=True)
        raise
