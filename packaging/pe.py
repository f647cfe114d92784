# SPDX-License-Identifier: MIT
"""
pe.py - what packaging has to know of Windows binaries: processor, checksum, Authenticode hash, version.

    pe.py machine FILE           x64 or x86
    pe.py hash ALGORITHM FILE    the Authenticode hash, in hexadecimal: all but what signing changes
    pe.py protected FILE         fails if memory integrity (HVCI) or the loader's own protection would refuse it
    pe.py checksum FILE          fails unless the header's checksum is right; Windows loads no other driver
    pe.py version FILE           the strings of the version resource, KEY=VALUE, and FixedVersion and Type

For catalog.py and the scripts of this folder. Files may be damaged: what does not fit raises an error.
"""
import hashlib
import struct
import sys

MACHINES = {0x8664: "x64", 0x14C: "x86"}
RESOURCES, SECURITY = 2, 4  # data directories
RT_VERSION = 16
PAGE = 0x1000
EXECUTE, WRITE = 0x20000000, 0x80000000  # of a section
DYNAMIC_BASE, NX = 0x40, 0x100  # of the image


class Pe:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.path = path
        if self.data[:2] != b"MZ":
            raise ValueError(f"{path}: not a Windows binary")
        pe = self.u32(0x3C)
        if self.data[pe : pe + 4] != b"PE\0\0":
            raise ValueError(f"{path}: not a Windows binary")
        self.machine = MACHINES.get(self.u16(pe + 4), "unknown")
        optional = pe + 24
        wide = self.u16(optional) == 0x20B
        self.checksum_at = optional + 64
        self.directories = optional + (112 if wide else 96)
        self.alignment = self.u32(optional + 32)
        self.characteristics = self.u16(optional + 70)
        self.security_at = self.directories + 8 * SECURITY
        sections = optional + self.u16(pe + 20)
        headers = [sections + 40 * i for i in range(self.u16(pe + 6))]
        self.sections = [struct.unpack_from("<IIII", self.data, at + 8) for at in headers]
        self.rights = [self.u32(at + 36) for at in headers]

    def u16(self, at):
        return struct.unpack_from("<H", self.data, at)[0]

    def u32(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def hash(self, algorithm):
        start, size = self.u32(self.security_at), self.u32(self.security_at + 4)
        end = start if size else len(self.data)
        if size and start + size != len(self.data):
            raise ValueError(f"{self.path}: something follows the signature")
        digest = hashlib.new(algorithm)
        digest.update(self.data[: self.checksum_at])
        digest.update(self.data[self.checksum_at + 4 : self.security_at])
        digest.update(self.data[self.security_at + 8 : end])
        return digest.digest()

    def checksum(self):
        """The checksum that the header should have: 16-bit words with end-around carry, and the length."""
        data = self.data[: self.checksum_at] + bytes(4) + self.data[self.checksum_at + 4 :]
        total = sum(struct.unpack(f"<{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        return total + len(self.data)

    def protected(self):
        """Code that cannot be written, on pages of its own, and that may be loaded anywhere."""
        mixed = any(rights & EXECUTE and rights & WRITE for rights in self.rights)
        wanted = DYNAMIC_BASE | NX
        return not mixed and self.alignment % PAGE == 0 and self.characteristics & wanted == wanted

    def at(self, address):
        """Where the image's address lies in the file."""
        for virtual_size, virtual, raw_size, raw in self.sections:
            if virtual <= address < virtual + max(virtual_size, raw_size):
                return address - virtual + raw
        raise ValueError(f"{self.path}: address {address:#x} lies in no section")

    def resource(self, kind):
        """The bytes of the first resource of a kind: three levels of folders, kind, name, language."""
        root = self.at(self.u32(self.directories + 8 * RESOURCES))
        at = root
        for level in range(3):
            count = self.u16(at + 12) + self.u16(at + 14)
            entries = [struct.unpack_from("<II", self.data, at + 16 + 8 * i) for i in range(count)]
            entries = [e for e in entries if level > 0 or e[0] == kind]
            if not entries:
                raise ValueError(f"{self.path}: no resource of kind {kind}")
            at = root + (entries[0][1] & 0x7FFFFFFF)
        start = self.at(self.u32(at))
        return self.data[start : start + self.u32(at + 4)]

    def version(self):
        data = self.resource(RT_VERSION)
        fixed = data.index(struct.pack("<I", 0xFEEF04BD))
        high, low = struct.unpack_from("<II", data, fixed + 8)
        kind, subtype = struct.unpack_from("<II", data, fixed + 36)
        result = {
            "FixedVersion": f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}",
            "Type": f"{kind}.{subtype}",
        }
        result.update(strings(data, fixed + 52, len(data)))
        return result


def strings(data, at, end):
    """All leaves with text of a tree of blocks: length, length of value, type, key, value or blocks."""
    result = {}
    while at + 6 <= end:
        length, value_length, is_text = struct.unpack_from("<HHH", data, at)
        if length < 6:
            break
        key_end = at + 6
        while data[key_end : key_end + 2] != b"\0\0":
            key_end += 2
        key = data[at + 6 : key_end].decode("utf-16le")
        value = (key_end + 2 + 3) & ~3
        if is_text and value_length:
            text = data[value : value + 2 * value_length].decode("utf-16le")
            result[key] = text.split("\0")[0]
        elif not value_length:
            result.update(strings(data, value, at + length))
        at = (at + length + 3) & ~3
    return result


def main(arguments):
    what, pe = arguments[0], Pe(arguments[-1])
    if what == "machine":
        print(pe.machine)
    elif what == "hash":
        print(pe.hash(arguments[1]).hex())
    elif what == "checksum":
        if pe.checksum() != pe.u32(pe.checksum_at):
            raise ValueError(f"{pe.path}: wrong checksum in its header")
    elif what == "protected":
        if not pe.protected():
            raise ValueError(f"{pe.path}: code that can be written, or no protection of it")
    elif what == "version":
        for key, value in pe.version().items():
            print(f"{key}={value}")
    else:
        raise ValueError(f"there is no {what}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError, struct.error, IndexError) as error:
        sys.exit(f"pe.py: {error}")
