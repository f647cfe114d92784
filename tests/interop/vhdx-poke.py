# SPDX-License-Identifier: MIT
"""vhdx-poke.py FILE WHAT - change a VHDX as another program would write it, checksums and all.

version          of both headers
region           a region that must be known and is not, in both tables
optional-region  the same, but it need not be known
metadata         an item that must be known and is not
absolute=NAME    the locator of a child names its parent as one on Windows does, as C:\\NAME too
"""
import struct
import sys

KIB = 1024
HEADERS = (64 * KIB, 128 * KIB)
TABLES = (192 * KIB, 256 * KIB)
METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
LOCATOR = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")
UNKNOWN = bytes(range(1, 17))


def crc32c(data):
    """Castagnoli's, reflected, as the format has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def seal(image, at, size):
    """The checksum of a structure is at byte 4 of it, and counts as zeros."""
    struct.pack_into("<I", image, at + 4, 0)
    struct.pack_into("<I", image, at + 4, crc32c(image[at : at + size]))


def change_version(image):
    for at in HEADERS:
        struct.pack_into("<H", image, at + 66, 2)
        seal(image, at, 4 * KIB)


def add_region(image, flags):
    end = (len(image) + KIB * KIB - 1) // (KIB * KIB) * KIB * KIB
    image.extend(bytes(end + KIB * KIB - len(image)))
    for at in TABLES:
        (count,) = struct.unpack_from("<I", image, at + 8)
        struct.pack_into("<16sQII", image, at + 16 + 32 * count, UNKNOWN, end, KIB * KIB, flags)
        struct.pack_into("<I", image, at + 8, count + 1)
        seal(image, at, 64 * KIB)


def find_metadata(image):
    (count,) = struct.unpack_from("<I", image, TABLES[0] + 8)
    for i in range(count):
        guid, at, _, _ = struct.unpack_from("<16sQII", image, TABLES[0] + 16 + 32 * i)
        if guid == METADATA:
            return at
    sys.exit("there is no metadata region")


def add_metadata(image):
    at = find_metadata(image)
    (count,) = struct.unpack_from("<H", image, at + 10)
    struct.pack_into("<16sIIII", image, at + 32 + 32 * count, UNKNOWN, 512 * KIB, 8, 4, 0)
    struct.pack_into("<H", image, at + 10, count + 1)


def find_item(image, wanted):
    """Where the entry of an item is, and the item."""
    region = find_metadata(image)
    (count,) = struct.unpack_from("<H", image, region + 10)
    for i in range(count):
        guid, at, _ = struct.unpack_from("<16sII", image, region + 32 + 32 * i)
        if guid == wanted:
            return region + 32 + 32 * i, region + at
    sys.exit("there is no such item")


def add_absolute_path(image, name):
    entry, at = find_item(image, LOCATOR)
    kind, _, count = struct.unpack_from("<16sHH", image, at)
    pairs = []
    for i in range(count):
        key, value, key_size, value_size = struct.unpack_from("<IIHH", image, at + 20 + 12 * i)
        pairs.append((image[at + key : at + key + key_size], image[at + value : at + value + value_size]))
    path_key = "absolute_win32_path".encode("utf-16-le")
    pairs = [pair for pair in pairs if pair[0] != path_key]
    pairs.append((path_key, ("\\\\?\\C:\\" + name).encode("utf-16-le")))
    head = struct.pack("<16sHH", kind, 0, len(pairs))
    tail = b""
    for key, value in pairs:
        place = 20 + 12 * len(pairs) + len(tail)
        head += struct.pack("<IIHH", place, place + len(key), len(key), len(value))
        tail += key + value
    image[at : at + len(head + tail)] = head + tail
    struct.pack_into("<I", image, entry + 20, len(head + tail))


CHANGES = {
    "version": change_version,
    "region": lambda image: add_region(image, 1),
    "optional-region": lambda image: add_region(image, 0),
    "metadata": add_metadata,
}

path, what = sys.argv[1:]
with open(path, "rb") as file:
    content = bytearray(file.read())
if what.startswith("absolute="):
    add_absolute_path(content, what.split("=", 1)[1])
else:
    CHANGES[what](content)
with open(path, "wb") as file:
    file.write(content)
