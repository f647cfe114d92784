# SPDX-License-Identifier: MIT
"""
inf.py - is an INF of ours sound? The rules of InfVerif, Microsoft's checker, that such a short one can break.

    inf.py FILE.inf MM/DD/YYYY,VERSION    offences are printed; fails if there is one

For packaging/verify. What it names must lie beside it.
"""
import os
import re
import sys

VERSION_KEYS = ("signature", "class", "classguid", "provider", "catalogfile", "driverver", "pnplockdown")
FIXED = {"version", "sourcedisksnames", "sourcedisksfiles", "destinationdirs", "strings"}


def parse(text):
    """{section: [(key, [value, ...])]}: names in small letters, comments off, a line without = is a key."""
    sections = {}
    current = None
    for line in text.splitlines():
        line = re.sub(r'("[^"]*")|;.*', lambda m: m.group(1) or "", line).strip()
        if not line:
            continue
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]").lower(), [])
            continue
        if current is None:
            raise ValueError(f"\"{line}\" stands in no section")
        key, _, values = line.partition("=")
        current.append((key.strip().lower(), [v.strip().strip('"') for v in values.split(",")]))
    return sections


class Checker:
    def __init__(self, path, driver_ver):
        with open(path, "rb") as file:
            self.raw = file.read()
        self.folder = os.path.dirname(os.path.abspath(path))
        self.driver_ver = driver_ver
        self.offences = []
        self.text = self.raw.decode("ascii")
        self.sections = parse(self.text)
        self.used = set()

    def expect(self, condition, sentence):
        if not condition:
            self.offences.append(sentence)

    def keys(self, section):
        return dict(self.sections.get(section, []))

    def refer(self, section, by):
        self.used.add(section.lower())
        self.expect(section.lower() in self.sections, f"[{section}], which {by} names, does not exist")
        return self.sections.get(section.lower(), [])

    def version(self):
        keys = self.keys("version")
        for key in VERSION_KEYS:
            self.expect(keys.get(key, [""])[0] != "", f"[Version] has no {key}")
        self.expect(keys.get("signature") == ["$WINDOWS NT$"], "the signature is not $WINDOWS NT$")
        self.expect(keys.get("pnplockdown") == ["1"], "PnpLockdown is not 1")
        self.expect(",".join(keys.get("driverver", [])) == self.driver_ver,
                    f"DriverVer is not {self.driver_ver}")
        self.file(keys.get("catalogfile", [""])[0])

    def file(self, name):
        self.expect(os.path.isfile(os.path.join(self.folder, name)), f"{name} is not in the package")

    def file_section(self, section, by):
        destinations = self.keys("destinationdirs")
        self.expect(section.lower() in destinations or "defaultdestdir" in destinations,
                    f"[{section}] has no destination")
        sources = self.keys("sourcedisksfiles")
        for name, _ in self.refer(section, by):
            self.file_listed(name, sources)

    def file_listed(self, name, sources):
        self.expect(name in sources, f"{name} is not in [SourceDisksFiles]")
        disk = sources.get(name, [""])[0]
        self.expect(disk in self.keys("sourcedisksnames"), f"{name}: there is no disk {disk}")
        names = {entry.lower() for entry in os.listdir(self.folder)}
        self.expect(name in names, f"{name} is not in the package")

    def service(self, section, by):
        keys = dict(self.refer(section, by))
        for key in ("servicetype", "starttype", "errorcontrol", "servicebinary"):
            self.expect(key in keys, f"[{section}] has no {key}")
        destination = self.keys("destinationdirs").get("defaultdestdir", [""])[0]
        self.expect(keys.get("servicebinary", [""])[0].startswith(f"%{destination}%\\"),
                    f"[{section}]: the service's file is not where CopyFiles puts it")

    def installs(self):
        installs = [s for s in self.sections if s.startswith(("defaultinstall", "defaultuninstall"))]
        self.expect(any(re.fullmatch(r"defaultinstall\.nt(amd64|x86)", s) for s in installs),
                    "there is no [DefaultInstall.NTamd64] and no [DefaultInstall.NTx86]")
        self.expect("manufacturer" not in self.sections, "[Manufacturer]: this is no device's driver")
        for section in installs:
            self.used.add(section)
            self.expect(re.match(r"default(un)?install\.nt(amd64|x86)(\.services)?$", section),
                        f"[{section}] is for no processor")
            for key, values in self.sections[section]:
                self.directive(section, key, values)
            if section.startswith("defaultuninstall") and not section.endswith(".services"):
                self.expect(self.keys(section).get("legacyuninstall") == ["1"],
                            f"[{section}] lacks LegacyUninstall")

    def directive(self, section, key, values):
        if key in ("copyfiles", "delfiles"):
            for name in values:
                self.file_section(name, section)
        elif key == "addservice":
            self.service(values[2] if len(values) > 2 else "", section)
        else:
            self.expect(key in ("delservice", "legacyuninstall"), f"[{section}]: {key}?")

    def strings(self):
        defined = set(self.keys("strings"))
        used = {m.lower() for m in re.findall(r"%([A-Za-z][^%]*)%", re.sub(r";.*", "", self.text))}
        for name in used - defined:
            self.expect(False, f"%{name}% is not in [Strings]")
        for name in defined - used:
            self.expect(False, f"%{name}% is not used")

    def run(self):
        self.expect(b"\n" not in self.raw.replace(b"\r\n", b""), "a line does not end as on Windows")
        self.expect("@" not in self.text, "a place of the template was left open")
        self.version()
        self.installs()
        self.strings()
        for section in set(self.sections) - self.used - FIXED:
            self.expect(False, f"[{section}] is used by none")
        return self.offences


def main(arguments):
    offences = Checker(*arguments).run()
    for offence in offences:
        print(f"{arguments[0]}: {offence}", file=sys.stderr)
    return bool(offences)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, OSError, TypeError) as error:
        sys.exit(f"inf.py: {error}")
