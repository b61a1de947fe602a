"""Follows people from frame to frame with ByteTrack, of Roboflow's `trackers` package."""

from __future__ import annotations

import numpy as np

from keras_hkd.errors import MissingPackageError

LOW_SCORE = 0.1
"""Detections from this score on keep a track alive that has begun with surer ones."""


class Tracker:
    """Gives detections the numbers of the people that they belong to.

    A track begins with a detection that scores at least `score_threshold`, is believed from its
    second frame on, and is kept for a second while nobody is seen.

    Args:
        rate: frames per second.
        score_threshold: lowest score that begins a track.

    Raises:
        ImportError: `trackers` is not installed.
    """

    def __init__(self, rate: float, score_threshold: float) -> None:
        try:
            from trackers import ByteTrackTracker
        except ImportError as error:
            raise MissingPackageError(
                "Tracking needs the package trackers, which is not installed: "
                "pip install 'keras-hkd[video]'"
            ) from error
        self._tracker = ByteTrackTracker(
            lost_track_buffer=round(max(rate, 1.0)),
            frame_rate=max(rate, 1.0),
            track_activation_threshold=score_threshold,
            high_conf_det_threshold=score_threshold,
        )
        self.seen: set[int] = set()

    def follow(
        self, found: dict[str, np.ndarray], seconds: float
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Take the detections of the next frame.

        Args:
            found: `boxes (n, 4)` xyxy pixels, `classes (n,)`, `confidence (n,)`.
            seconds: when the frame is shown.

        Returns:
            Those of the detections that belong to a track, and its numbers `(m,)`, from 0.
        """
        import supervision

        detections = supervision.Detections(
            xyxy=np.asarray(found["boxes"], np.float32).reshape(-1, 4),
            confidence=np.asarray(found["confidence"], np.float32),
            class_id=np.asarray(found["classes"], int),
        )
        tracked = self._tracker.update(detections, timestamp=seconds)
        ids = tracked.tracker_id
        ids = np.zeros(0, int) if ids is None else np.asarray(ids, int)
        kept = ids >= 0
        self.seen.update(ids[kept].tolist())
        if not kept.any():
            return {name: value[:0] for name, value in found.items()}, ids[:0]
        boxes = {
            "boxes": tracked.xyxy[kept],
            "classes": np.asarray(tracked.class_id)[kept],
            "confidence": np.asarray(tracked.confidence)[kept],
        }
        return boxes, ids[kept]
