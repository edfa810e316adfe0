"""Where one frame of HTTP/2 ends and the next begins, so that GOAWAY can be followed in order.

The library `h2` takes no frame after a GOAWAY, while a server that ends in order still answers the requests under
way. So GOAWAY is taken out of what arrives, and `h2` is given the rest.
"""

from quorate.drill.answer import Broken

HEAD = 9
"""Bytes before a frame's payload: length (3), type (1), flags (1), stream (4); RFC 9113, 4.1."""
LARGEST = 1 << 14
"""Bytes of payload that a server may send to a client which has not allowed more; RFC 9113, 4.2."""
GOAWAY = 0x07


def split(data: bytes) -> tuple[list[bytes | int], bytes]:
    """Whole frames in their order, and the beginning of one that is not whole yet.

    A GOAWAY stands there as the number of the last stream that the server takes, all others as they came. Raises
    Broken for a frame that is too large: nobody should wait for its end.
    """
    parts: list[bytes | int] = []
    begin = at = 0
    while len(data) - at >= HEAD:
        size = int.from_bytes(data[at : at + 3], "big")
        end = at + HEAD + size
        if size > LARGEST:
            raise Broken("protocol")
        if end > len(data):
            break
        if data[at + 3] == GOAWAY and size >= 8:
            if at > begin:
                parts.append(data[begin:at])
            # The highest bit is reserved.
            parts.append(int.from_bytes(data[at + HEAD : at + HEAD + 4], "big") & 0x7FFFFFFF)
            begin = end
        at = end
    if at > begin:
        parts.append(data[begin:at])
    return parts, data[at:]
