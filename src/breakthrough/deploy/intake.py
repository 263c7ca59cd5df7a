"""What a request carries, as the array the net takes; whatever it cannot be is refused in one sentence.

Shape legend: H × W pixels of the net's input.
"""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np

from breakthrough.deploy.answers import Numbers
from breakthrough.errors import expected
from breakthrough.optional import require

JSON, RAW = "application/json", "application/octet-stream"
MAX_PIXELS = 25_000_000  # of a picture: a few kilobytes can hold a picture that fills the memory
SMALL_BYTES = 1 << 16  # a body up to this is decoded at once; a larger one in a thread of its own
MAGIC = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
WAYS = "a PNG or JPEG as the body, or numbers as application/json or application/octet-stream"


class Refusal(Exception):
    """A request that is not answered: an HTTP status and one sentence. `retry_s` where a later try may succeed."""

    def __init__(self, status: int, sentence: str, *, reason: str, retry_s: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.reason, self.retry_s = status, sentence, reason, retry_s


class Intake:
    """Reads bodies for a net with an input of a fixed shape.

    Shapes: a body → (3, H, W) float32, values 0 to 1
    Raises: Refusal with 400, 413, 415 or 422
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._image = require("PIL.Image", "pictures as PNG and JPEG")
        self._ops = require("PIL.ImageOps", "pictures as PNG and JPEG")
        self._json = msgspec.json.Decoder(Numbers)
        self._wrong = (msgspec.ValidationError, msgspec.DecodeError)

    def read(self, body: bytes, kind: str) -> np.ndarray:
        """The net's input from a body of a content type."""
        kind = kind.partition(";")[0].strip().lower()
        if not body:
            raise Refusal(400, expected(WAYS, "an empty body"), reason="empty")
        if kind == JSON:
            return self._from_json(body)
        if any(body.startswith(magic) for magic in MAGIC.values()):  # whatever it is said to be: curl names a form
            return self._from_picture(body)
        if kind == RAW:
            return self._from_raw(body)
        if kind in MAGIC:
            raise Refusal(422, expected(f"a picture as {kind}", f"{len(body)} bytes that begin like neither PNG nor JPEG"), reason="malformed")
        raise Refusal(415, expected(WAYS, f"content type {kind or 'none'}"), reason="type")

    def _from_raw(self, body: bytes) -> np.ndarray:
        count = int(np.prod(self.shape))
        if len(body) != 4 * count:
            what = f"{4 * count} bytes: float32, little-endian, shape {self.shape}"
            raise Refusal(422, expected(what, f"{len(body)} bytes"), reason="shape")
        return self._checked(np.frombuffer(body, "<f4").reshape(self.shape))

    def _from_json(self, body: bytes) -> np.ndarray:
        what = f'JSON as {{"picture": [[[…]]]}}, numbers of shape {self.shape}'
        try:
            x = np.array(self._json.decode(body).picture, np.float32)
        except self._wrong as error:
            raise Refusal(422, expected(what, str(error)), reason="malformed") from None
        except (ValueError, OverflowError):
            raise Refusal(422, expected(what, "lists of several lengths"), reason="shape") from None
        if x.shape != self.shape:
            raise Refusal(422, expected(what, f"shape {x.shape}"), reason="shape")
        return self._checked(x)

    def _checked(self, x: np.ndarray) -> np.ndarray:
        low, high = x.min(), x.max()
        if not (low >= 0 and high <= 1):  # so that NaN is refused too
            raise Refusal(422, expected("numbers from 0 to 1", f"{low} to {high}", "bytes divided by 255"), reason="range")
        return x

    def _from_picture(self, body: bytes) -> np.ndarray:
        try:
            with self._image.open(io.BytesIO(body), formats=("PNG", "JPEG")) as found:
                if found.width * found.height > MAX_PIXELS:
                    got = f"{found.width} × {found.height}"
                    raise Refusal(413, expected(f"a picture of at most {MAX_PIXELS // 10**6} million pixels", got), reason="pixels")
                return self._pixels(found)
        except Refusal:
            raise
        except Exception as error:  # noqa: BLE001 - a decoder of broken bytes raises whatever it comes upon
            raise Refusal(422, expected("a whole PNG or JPEG", f"one that does not decode ({_short(error)})"), reason="malformed") from None

    def _pixels(self, found: Any) -> np.ndarray:
        size = self.shape[2], self.shape[1]
        if found.format == "JPEG":
            found.draft("RGB", size)  # decodes at a half, quarter or eighth where that is enough
        picture = self._ops.exif_transpose(found)
        if picture.mode.startswith("I"):  # 16 bits a channel
            picture = self._image.fromarray((np.asarray(picture, np.float32) / 257).round().clip(0, 255).astype(np.uint8))
        picture = picture.convert("RGB")
        if picture.size != size:
            picture = picture.resize(size, self._image.Resampling.BILINEAR, reducing_gap=2.0)
        return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1), np.float32) / np.float32(255)


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:80]
