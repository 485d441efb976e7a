"""What a run over many files did, for people and as JSON."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lib.files import write_json
from lib.outputs import VIDEOS

NAMED = 10  # of many files, in one line


def weights_of(segmenter: Any) -> dict[str, str | None]:
    """Which weights a report is about, wherever their file lies: its ``weights``, ``weights_sha256``, ``trained_on``.

    None where a segmenter does not know, as one without a file.
    """
    return {
        "weights": str(getattr(segmenter, "name", "")),
        "weights_sha256": getattr(segmenter, "weights_sha256", None),
        "trained_on": getattr(segmenter, "trained_on", None),
    }


@dataclass
class Entry:
    """One picture of a report: paths relative to input and output, plates' corners, share concealed, time, error.

    A film has ``frames``, which are 0 for a picture, and no corners; its plates are counted once each for as long as
    they are followed, and its share is the mean over its frames.
    """

    file: str
    output: str | None = None
    frames: int = 0
    plates: int = 0
    quadrilaterals: list[list[list[float]]] = field(default_factory=list)
    area: float = 0.0
    seconds: float = 0.0
    error: str | None = "not reached"


@dataclass
class Report:
    """What a run did.

    ``outputs`` names every file in the folder that this tool wrote, by this run or earlier ones, and ``sha256`` tells
    what they held; ``hidden`` counts the hidden pictures and folders that were skipped, ``ignored`` the files that are
    no picture or film by their names, by suffix; for the three about the weights see `weights_of`.
    """

    method: str
    mode: str
    threshold: float
    growth: float
    sure: float
    weights: str
    weights_sha256: str | None
    trained_on: str | None
    hidden: int
    ignored: dict[str, int]
    files: list[Entry]
    outputs: list[str]
    sha256: dict[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> list[Entry]:
        """The pictures for which nothing was written."""
        return [entry for entry in self.files if entry.error is not None]

    @property
    def exit_code(self) -> int:
        """0, or 1 where a picture failed."""
        return 1 if self.failures else 0

    def text(self) -> str:
        """One line of totals, one for every file that failed, and what to look at first, was ignored or was skipped."""
        plates, done = sum(entry.plates for entry in self.files), len(self.files) - len(self.failures)
        films = sum(Path(entry.file).suffix.lower() in VIDEOS for entry in self.files)
        kind = "files" if films else "pictures"
        lines = [f"{done} of {len(self.files)} {kind} written, {plates} plates concealed ({self.mode})"]
        lines += [f"not written: {entry.error}" for entry in self.failures]
        if bare := [entry.file for entry in self.files if entry.error is None and not entry.plates]:
            more = f" and {len(bare) - NAMED} more (plates 0 in the report)" if len(bare) > NAMED else ""
            lines.append(f"nothing found, look at them first: {', '.join(bare[:NAMED])}{more}")
        if self.ignored:
            kinds = ", ".join(f"{count} {name}" for name, count in sorted(self.ignored.items())[:NAMED])
            lines.append(f"ignored, since by their names no picture or film: {sum(self.ignored.values())} ({kinds})")
        if self.hidden:
            lines.append(f"skipped, since hidden: {self.hidden} pictures or folders; name them to have them concealed")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, totals first."""
        totals = {
            "pictures": len(self.files),
            "failed": len(self.failures),
            "plates": sum(entry.plates for entry in self.files),
            "seconds": round(sum(entry.seconds for entry in self.files), 3),
        }
        return {"totals": totals, **asdict(self)}

    def write(self, path: Path) -> None:
        """Write the report as JSON, whole.

        Raises:
            PlatesError: ``path`` cannot be written.
        """
        write_json(path, self.as_dict())
