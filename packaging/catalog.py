# SPDX-License-Identifier: MIT
"""
catalog.py - an unsigned security catalog: the hashes of a package's files, for Windows' set-up.

    catalog.py OUT.cat FILE...    osslsigncode signs it then

A catalog is a PKCS #7 SignedData whose content is a certificate trust list (1.3.6.1.4.1.311.10.1) with an
entry per file. This is version 1, which every Windows reads: an entry is named for the file's SHA-1, of a
binary its Authenticode hash. DER is written by hand here, for Debian packages nothing that makes catalogs.
"""
import datetime
import hashlib
import os
import sys

import pe

OS_ALL = "XPX86,XPX64,Server2003X86,Server2003X64,VistaX86,VistaX64,Server2008X86,Server2008X64,7X86,7X64," \
    "Server2008R2X64,8X86,8X64,Server8X64,_v63,_v63_X64,Server_v63_X64,_v100,_v100_X64,Server_v100_X64"
OS_VERSIONS = "2:5.1,2:5.2,2:6.0,2:6.1,2:6.2,2:6.3,2:10.0"
TEXT_ATTRIBUTE = 0x10010001  # authenticated, the value is text

OID_SIGNED_DATA = "1.2.840.113549.1.7.2"
OID_CTL = "1.3.6.1.4.1.311.10.1"
OID_CATALOG_LIST = "1.3.6.1.4.1.311.12.1.1"
OID_CATALOG_MEMBER = "1.3.6.1.4.1.311.12.1.2"
OID_NAME_VALUE = "1.3.6.1.4.1.311.12.2.1"
OID_MEMBER_INFO = "1.3.6.1.4.1.311.12.2.2"
OID_INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
OID_PE_IMAGE = "1.3.6.1.4.1.311.2.1.15"
OID_FLAT_FILE = "1.3.6.1.4.1.311.2.1.25"
OID_SHA1 = "1.3.14.3.2.26"

# The subject types of Windows that know how to hash a binary, and a file as it is.
SUBJECT_PE = "{C689AAB8-8E78-11D0-8C47-00C04FC295EE}"
SUBJECT_FLAT = "{DE351A42-8E59-11D0-8C47-00C04FC295EE}"

# -- DER -------------------------------------------------------------------------------------------


def der(tag, *parts):
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def integer(value):
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(data):
    return der(0x04, data)


def oid(text):
    first, second, *rest = map(int, text.split("."))
    body = bytearray([40 * first + second])
    for number in rest:
        groups = [number & 0x7F]
        while number >> 7:
            number >>= 7
            groups.insert(0, 0x80 | number & 0x7F)
        body += bytes(groups)
    return der(0x06, bytes(body))


def sequence(*parts):
    return der(0x30, *parts)


def set_of(*parts):
    return der(0x31, *sorted(parts))


def explicit(number, *parts):
    return der(0xA0 | number, *parts)


def bmp(text):
    return der(0x1E, text.encode("utf-16be"))


NULL = der(0x05)

# -- the catalog -----------------------------------------------------------------------------------


def wide(text):
    return (text + "\0").encode("utf-16le")


def name_value(name, value):
    return sequence(bmp(name), integer(TEXT_ATTRIBUTE), octets(wide(value)))


def attribute(kind, value):
    return sequence(oid(kind), set_of(value))


def member(path):
    """One file's entry."""
    binary = path.lower().endswith((".sys", ".dll", ".exe"))
    no_link = der(0xA2, der(0x80))  # a file name that is not told
    if binary:
        digest = pe.Pe(path).hash("sha1")
        data = sequence(oid(OID_PE_IMAGE), sequence(der(0x03, b"\0"), explicit(0, no_link)))
    else:
        with open(path, "rb") as file:
            digest = hashlib.sha1(file.read()).digest()
        data = sequence(oid(OID_FLAT_FILE), no_link)
    indirect = sequence(data, sequence(sequence(oid(OID_SHA1), NULL), octets(digest)))
    info = sequence(bmp(SUBJECT_PE if binary else SUBJECT_FLAT), integer(0x200))
    return sequence(
        octets(wide(digest.hex().upper())),
        set_of(
            attribute(OID_NAME_VALUE, name_value("File", os.path.basename(path).lower())),
            attribute(OID_NAME_VALUE, name_value("OSAttr", OS_VERSIONS)),
            attribute(OID_MEMBER_INFO, info),
            attribute(OID_INDIRECT_DATA, indirect),
        ),
    )


def trust_list(paths, now):
    members = sorted(member(path) for path in paths)
    # Any number that no other catalog has; this one is the same for the same files.
    identifier = hashlib.sha256(b"".join(members)).digest()[:16]
    return sequence(
        sequence(oid(OID_CATALOG_LIST)),
        octets(identifier),
        der(0x17, now.strftime("%y%m%d%H%M%SZ").encode()),
        sequence(oid(OID_CATALOG_MEMBER), NULL),
        sequence(*members),
        explicit(0, sequence(sequence(oid(OID_NAME_VALUE), octets(name_value("OS", OS_ALL))))),
    )


def signed_data(content):
    """Without signatures, which are added later."""
    return sequence(
        oid(OID_SIGNED_DATA),
        explicit(0, sequence(
            integer(1), set_of(), sequence(oid(OID_CTL), explicit(0, content)), set_of())),
    )


def main(arguments):
    # SOURCE_DATE_EPOCH: as everywhere, the time to be told instead of now.
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.now(datetime.timezone.utc)
    if epoch:
        now = datetime.datetime.fromtimestamp(int(epoch), datetime.timezone.utc)
    out, paths = arguments[0], arguments[1:]
    with open(out, "wb") as file:
        file.write(signed_data(trust_list(paths, now)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError, IndexError) as error:
        sys.exit(f"catalog.py: {error}")
