"""The file that detections are written to, which takes the place of detections alone."""

from pathlib import Path

from keras_hkd.errors import NotAFileError, PathInUseError

_HEAD = 4096  # bytes, in which the first detection ends


def check_results_file(file: Path, option: str) -> None:
    """Refuse to write detections in the place of anything else, such as labels or a model.

    Args:
        file: where COCO results are to be written.
        option: what the user gave it by, for the message.

    Raises:
        FileExistsError: the file holds something else.
        IsADirectoryError: it is a folder.
    """
    if file.is_dir():
        raise NotAFileError(f"{option}: detections go to a file. Received: {file}, a folder")
    if file.is_file() and not _holds_detections(file):
        raise PathInUseError(
            f"{option}: detections go to a new file, or in the place of detections of before. "
            f"Received: {file}, which holds something else: name another, or move it away."
        )


def _holds_detections(file: Path) -> bool:
    with file.open("rb") as opened:  # of millions of detections the first tells
        head = opened.read(_HEAD).strip()
    return head in (b"", b"[]") or (head.startswith(b"[") and b'"score"' in head)
