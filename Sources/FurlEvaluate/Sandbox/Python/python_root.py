"""Copies what Python needs into a folder in memory, which becomes the root of every sandbox.

The first argument is the folder; the others are a word, a path and the path inside each, with tabs between: `folder` and `file`
are copied, `link` holds a path, `empty` is a folder and `place` a file without anything in it. What the library's own tests and
makers of extensions need is left out: no program looks there.
"""

import os, sys

# What was installed beside the library.
EMPTIED = {'site-packages', 'dist-packages'}
LEFT_OUT = {'test', 'tests', 'idle_test', '_bundled'}
join = os.path.join


def copy_file(path, to):
    """With its time, by which Python knows what it has compiled."""
    source = os.open(path, os.O_RDONLY)
    given = os.fstat(source)
    target = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755 if given.st_mode & 0o100 else 0o644)
    at = 0
    while at < given.st_size:
        count = os.sendfile(target, source, at, given.st_size - at)
        if not count:
            raise OSError('%s has become shorter' % path)
        at += count
    os.utime(target, ns=(given.st_mtime_ns, given.st_mtime_ns))
    os.close(source)
    os.close(target)


def copy_folder(path, to):
    os.makedirs(to, exist_ok=True)
    for entry in os.scandir(path):
        name, target = entry.name, join(to, entry.name)
        if os.path.lexists(target):
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.is_dir():
            if name in EMPTIED:
                os.mkdir(target)
            elif name not in LEFT_OUT and not name.startswith('config-'):
                copy_folder(entry.path, target)
        elif entry.is_file() and not name.endswith(('.a', '.opt-1.pyc', '.opt-2.pyc')):
            try:
                copy_file(entry.path, target)
            except PermissionError:
                # What this user cannot read, no program could.
                pass


def main(root, entries):
    copied = {}
    for entry in entries:
        word, path, shown = entry.split('\t')
        to = join(root, shown.lstrip('/'))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        if os.path.lexists(to):
            continue
        if word == 'link':
            os.symlink(path, to)
        elif word == 'empty':
            os.mkdir(to)
        elif word == 'place':
            os.close(os.open(to, os.O_WRONLY | os.O_CREAT, 0o666))
        elif word == 'folder':
            copy_folder(path, to)
        elif path in copied:
            os.link(copied[path], to)
        else:
            copy_file(path, to)
            copied[path] = to


main(sys.argv[1], sys.argv[2:])
