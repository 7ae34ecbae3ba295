"""Photos from citizens: taken by what they are, never by what they are called, and written anew.

Whatever else was in the file (place and camera, thumbnails, scripts behind the picture) is gone with that.
"""

import io
import threading

from PIL import Image, ImageOps, UnidentifiedImageError

from node.domain.refusals import Invalid, TooLarge, Unavailable

BYTES_MAX = 8 * 1024 * 1024
PIXELS_MAX = 40_000_000
SIDE_MAX = 2048
QUALITY = 82
AT_ONCE_MAX = 2
"""A large picture unpacks into a hundred megabytes; whoever floods the door must not make many of them."""
MEDIA = "image/jpeg"
_FORMATS = ("JPEG", "PNG", "WEBP")
_room = threading.BoundedSemaphore(AT_ONCE_MAX)


def cleaned(content: bytes) -> bytes:
    """The picture as a plain JPEG, upright and not too large. Raises Invalid, TooLarge, Unavailable."""
    if len(content) > BYTES_MAX:
        raise TooLarge(f"a photo has at most {BYTES_MAX // 1024 // 1024} MiB")
    if not _room.acquire(timeout=5):
        raise Unavailable
    try:
        return _written_anew(content)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise Invalid("photo", "is no JPEG, PNG or WebP picture that can be read", rule="not_a_photo") from None
    finally:
        _room.release()


def _written_anew(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        if image.width * image.height > PIXELS_MAX:
            raise TooLarge(f"a photo has at most {PIXELS_MAX // 1_000_000} million pixels")
        image.draft("RGB", (SIDE_MAX, SIDE_MAX))
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((SIDE_MAX, SIDE_MAX))
        out = io.BytesIO()
        plain = Image.new("RGB", upright.size, "white")
        visible = upright.convert("RGBA")
        plain.paste(visible, mask=visible.getchannel("A"))
        plain.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
