"""The second origin of GitHub, from which artifacts are downloaded."""

from __future__ import annotations

from coatcheck.testing import GithubEmulator


def set_download_origin(emulator: GithubEmulator, url: str) -> None:
    """Serve downloads of *emulator* at *url*."""
    emulator.blobs = url
