"""Archives with the same bytes for the same contents: names in order, one time, no owner, fixed compression."""

import base64
import gzip
import hashlib
import io
import tarfile
import time
import zipfile


def tar(files, date, prefix=""):
    """A tar of (path, mode, bytes), with the folders above them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folders = set()

        def add(name, mode, data, kind):
            info = tarfile.TarInfo(name)
            info.mode, info.mtime, info.type = mode, date, kind
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))

        for path, mode, data in sorted(files):
            parts = (prefix + path).split("/")
            for depth in range(1, len(parts)):
                folder = "/".join(parts[:depth])
                if folder not in folders and folder not in ("", "."):
                    folders.add(folder)
                    add(folder, 0o755, b"", tarfile.DIRTYPE)
            add(prefix + path, mode, data, tarfile.REGTYPE)
    return buffer.getvalue()


def gz(data, date):
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=date) as file:
        file.write(data)
    return buffer.getvalue()


def deb(control, files, date):
    """A Debian package (deb(5)): an ar archive of a version, the control file and the data."""
    sums = "".join(f"{hashlib.md5(data).hexdigest()}  {path}\n" for path, _, data in sorted(files))
    parts = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gz(tar([("control", 0o644, control.encode()), ("md5sums", 0o644, sums.encode())], date, "./"), date)),
        ("data.tar.gz", gz(tar(files, date, "./"), date)),
    ]
    out = b"!<arch>\n"
    for name, data in parts:
        out += f"{name:<16}{date:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def wheel(name, version, tag, metadata, files, date):
    """A wheel (PEP 427) of files that go where pip puts scripts and data; returns its name and its bytes."""
    folder = f"{name}-{version}.dist-info"
    wheel_text = f"Wheel-Version: 1.0\nGenerator: furl dist\nRoot-Is-Purelib: false\nTag: {tag}\n"
    entries = [*files, (f"{folder}/METADATA", 0o644, metadata.encode()), (f"{folder}/WHEEL", 0o644, wheel_text.encode())]
    record = ""
    for path, _, data in sorted(entries):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    record += f"{folder}/RECORD,,\n"
    entries = [*sorted(entries), (f"{folder}/RECORD", 0o644, record.encode())]
    # ZIP knows no time before 1980, and two seconds are its finest.
    moment = time.gmtime(max(date, 315532800))[:6]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, mode, data in entries:
            info = zipfile.ZipInfo(path, moment)
            info.external_attr = (0o100000 | mode) << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return f"{name}-{version}-{tag}.whl", buffer.getvalue()
