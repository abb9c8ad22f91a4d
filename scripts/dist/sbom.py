"""What is inside of a release, as a CycloneDX document (version 1.6) and as notices with the licences' texts."""

import hashlib
import json
import uuid

APACHE = "Apache-2.0 WITH Swift-exception"
GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"


def parts(resolved, versions):
    """What is linked into the binary beside Furl: (name, version, purl, licence, what for)."""
    pins = {pin["identity"]: pin["state"] for pin in resolved["pins"]}

    def swift(identity, owner):
        version = pins[identity]["version"]
        return identity, version, f"pkg:swift/github.com/{owner}/{identity}@{version}", APACHE

    toolchain = versions["swift"]
    return [
        (*swift("swift-argument-parser", "apple"), "reads the command line"),
        (*swift("swift-subprocess", "swiftlang"), "starts the sandbox"),
        (*swift("swift-system", "apple"), "files and processes"),
        ("swift", toolchain, f"pkg:github/swiftlang/swift@swift-{toolchain}-RELEASE", APACHE, "Swift's own library"),
        ("swift-foundation", toolchain, f"pkg:github/swiftlang/swift-foundation@swift-{toolchain}-RELEASE", APACHE,
         "the part of Foundation that needs no ICU"),
        ("swift-corelibs-libdispatch", toolchain, f"pkg:github/swiftlang/swift-corelibs-libdispatch@swift-{toolchain}-RELEASE",
         APACHE, "threads of Swift's library"),
        ("zstd", versions["zstd"], f"pkg:github/facebook/zstd@v{versions['zstd']}", "BSD-3-Clause", "entropy coding"),
        ("libstdc++", versions["gcc"], f"pkg:generic/gcc@{versions['gcc']}", GCC, "C++'s library, which Swift's needs, and libgcc"),
        ("libyaml", versions["libyaml"], f"pkg:github/yaml/libyaml@{versions['libyaml']}", "MIT", "reads YAML"),
    ]


def cyclonedx(version, build, date, binary, components):
    """The document; the serial number follows from the binary, so that the same release has the same one."""
    def licence(text):
        # What consists of several words is an expression.
        return [{"expression": text}] if " " in text else [{"license": {"id": text}}]

    digest = hashlib.sha256(binary).hexdigest()
    root = f"pkg:generic/furl@{version}"
    return json.dumps(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6",
            "serialNumber": "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, f"furl/{version}/{digest}")), "version": 1,
            "metadata": {
                "timestamp": date,
                "component": {
                    "type": "application", "bom-ref": root, "name": "furl", "version": version, "purl": root,
                    "description": f"Compresses code language models for plain CPUs ({build})",
                    "licenses": licence("Apache-2.0"), "hashes": [{"alg": "SHA-256", "content": digest}],
                },
            },
            "components": [
                {"type": "library", "bom-ref": purl, "name": name, "version": number, "purl": purl, "description": use,
                 "licenses": licence(text)}
                for name, number, purl, text, use in components
            ],
            "dependencies": [{"ref": root, "dependsOn": [component[2] for component in components]}]
            + [{"ref": component[2]} for component in components],
        },
        indent=2, ensure_ascii=False,
    ) + "\n"


def notices(components, texts):
    """Names and versions, then the texts of their licences, each once."""
    out = ["Furl is under the Apache License 2.0 (LICENSE). The program contains, linked into it:", ""]
    out += [f"  {name} {number}: {use}; {text}" for name, number, _, text, use in components]
    out += ["", "glibc is needed and not contained. Texts of the licences other than Apache 2.0, which LICENSE has:", ""]
    return "\n".join(out) + "\n" + texts
