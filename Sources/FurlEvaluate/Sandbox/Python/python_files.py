"""Prints what of the machine's files Python needs: a word, a path without links, and the path inside of a sandbox.

The words are executable, folder, file, emptied, library and libraries. Libraries are those that the process has mapped once all
modules of the standard library are loaded, one by one for a root that holds copies. The folder of an architecture is for one
that cannot: it is shown whole, since each bound file takes longer than Python's own start can spare.
"""

import os, struct, sys

real, join, folder_of = os.path.realpath, os.path.join, os.path.dirname
said = set()


def say(word, path, shown=None):
    shown = shown or path
    if os.path.exists(path) and shown not in said:
        said.add(shown)
        print(word, real(path), shown, sep='\t')


def place(path):
    """A path whose folders are no links."""
    return join(real(folder_of(path)), os.path.basename(path))


executable = real(sys.executable)
say('executable', executable)
try:
    with open(executable, 'rb') as file:
        head = file.read(64)
        offset, = struct.unpack_from('<Q', head, 32)
        size, count = struct.unpack_from('<HH', head, 54)
        for at in range(count):
            file.seek(offset + at * size)
            entry = file.read(size)
            if struct.unpack_from('<I', entry)[0] == 3:
                start, length = struct.unpack_from('<Q', entry, 8)[0], struct.unpack_from('<Q', entry, 32)[0]
                file.seek(start)
                loader = file.read(length).rstrip(b'\0').decode()
                say('file', loader, place(loader))
except (OSError, struct.error):
    pass
library = folder_of(os.__file__)
modules = []
for path in sys.path:
    if os.path.isdir(path):
        modules += [join(path, name) for name in os.listdir(path) if '.so' in name]
        if not path.startswith(library + '/'):
            say('folder', path)
    elif os.path.isfile(path):
        say('file', path)
say('folder', library)
for name in sorted(os.listdir(library)):
    if name in ('site-packages', 'dist-packages'):
        say('emptied', join(library, name), join(real(library), name))
try:
    import _ctypes
    # The first is for ends of threads, the others are what programs ask ctypes for.
    for path in modules + ['libgcc_s.so.1', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0', 'librt.so.1', 'libutil.so.1']:
        try:
            _ctypes.dlopen(path, 1)
        except OSError:
            pass
except ImportError:
    pass
with open('/proc/self/maps') as maps:
    mapped = {line.split(None, 5)[5].strip() for line in maps if len(line.split(None, 5)) == 6}
for path in sorted(mapped):
    folder = folder_of(path)
    if '.so' not in os.path.basename(path) or path.startswith(real(library) + '/'):
        continue
    word = 'file'
    if '-linux-' in os.path.basename(folder):
        say('libraries', folder)
        word = 'library'
    stem = os.path.basename(path).split('.so')[0].split('-')[0]
    for name in [os.path.basename(path)] + os.listdir(folder):
        if name.startswith(stem) and '.so' in name and real(join(folder, name)) == real(path):
            say(word, path, join(folder, name))
