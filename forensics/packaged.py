"""Where the data that travels with the package lies: inside the wheel once installed, at the top of a source tree."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    installed = _HERE / "_data" / name
    return installed if installed.is_dir() else _HERE.parent / name


def geo_dir() -> Path:
    """Return the folder of the embedded geolocation witnesses."""
    return _folder("geo")


def sample_formats() -> Path:
    """Return the folder of synthetic logs in formats that the sample case has no use for."""
    return _folder("sample_logs") / "Formats"


def sample_evidence() -> list[Path]:
    """Return the folders of the synthetic sample logs, as a responder would have copied them off the server."""
    return [_folder("sample_logs") / name for name in ("Tomcat", "Windows")]


def report_data() -> Path:
    """Return the folder of what report.html embeds and others wrote."""
    return _HERE / "_data" / "report"
