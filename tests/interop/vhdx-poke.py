# SPDX-License-Identifier: MIT
"""vhdx-poke.py FILE WHAT - change a VHDX as a newer version would write it, checksums and all.

version          of both headers
region           a region that must be known and is not, in both tables
optional-region  the same, but it need not be known
metadata         an item that must be known and is not
"""
import struct
import sys

KIB = 1024
HEADERS = (64 * KIB, 128 * KIB)
TABLES = (192 * KIB, 256 * KIB)
METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
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


CHANGES = {
    "version": change_version,
    "region": lambda image: add_region(image, 1),
    "optional-region": lambda image: add_region(image, 0),
    "metadata": add_metadata,
}

path, what = sys.argv[1:]
with open(path, "rb") as file:
    content = bytearray(file.read())
CHANGES[what](content)
with open(path, "wb") as file:
    file.write(content)
