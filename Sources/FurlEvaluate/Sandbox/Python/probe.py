"""Says what Python this is, whether it is refused new processes, and what the programs in its arguments compile to.

A line for the version, one of `filtered` and `open`, and one of hexadecimal digits for each program.
"""

import marshal, posix, sys

try:
    child = posix.fork()
except PermissionError:
    state = 'filtered'
else:
    if child == 0:
        posix._exit(0)
    posix.waitpid(child, 0)
    state = 'open'
print('%d.%d.%d' % sys.version_info[:3], state, sep='\n')
for source in sys.argv[1:]:
    # Without assertions and docstrings.
    print(marshal.dumps(compile(source, '<furl>', 'exec', 0, True, 2)).hex())
