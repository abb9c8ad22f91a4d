"""Cuts a model's text down to the program in it, as EvalPlus's sanitizer does, on CPython's own syntax trees instead of
tree-sitter's.

1. Terminal escapes go. 2. Of all runs of at least two lines that are Python, the first with the most lines that are not
blank stays (the first line alone where there is none). 3. Imports stay; of the top level's undecorated classes,
functions with a `return` and assignments, the first of each name stays if the entry point reaches it by names.

Trying every run would take O(lines²) parses. A parse that fails in some line fails for every shorter run that still
holds the line, so that most need no parse.
"""


def sanitize(code, entry):
    if '\x1b' in code:
        import re
        code = re.sub('\x1b(?:[@-Z\\\\\\-_]|\\[[0-?]*[ -/]*[@-~])', '', code)
    code = longest_program(code)
    return (reached(code, entry) or '').strip() or code


def parsed(text):
    # What ast.parse does, without the 5 ms that importing it takes.
    return compile(text, '<program>', 'exec', 0x400, True)


def longest_program(code):
    lines = code.split('\n')
    filled = [0]
    for line in lines:
        filled.append(filled[-1] + bool(line.strip()))

    def trouble(first, last):
        """Nil, or the last line that a shorter run may have."""
        try:
            parsed('\n'.join(lines[first:last + 1]))
        except SyntaxError as error:
            line = error.lineno
            if not line or line < 1 or 'f-string' in str(error.msg):
                return last - 1
            return min(last, first + line - 1) - 1
        except Exception:
            return last - 1
        return None

    best, found = 0, (0, 0)
    for first in range(len(lines)):
        last = len(lines) - 1
        while last > first and filled[last + 1] - filled[first] > best:
            shorter = trouble(first, last)
            if shorter is not None:
                last = shorter
                continue
            best, found = filled[last + 1] - filled[first], (first, last)
            while last - 1 > first and not lines[last].strip():
                # As many lines that are not blank, and fewer that are.
                last -= 1
                if trouble(first, last) is None:
                    found = (first, last)
            break
    return '\n'.join(lines[found[0]:found[1] + 1])


def below(node):
    """A node and everything in it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        for field in node._fields:
            value = getattr(node, field, None)
            for item in value if type(value) is list else (value,):
                if hasattr(item, '_fields'):
                    waiting.append(item)


# The fields that hold identifiers; a Constant's value is none.
IDENTIFIERS = ('id', 'attr', 'arg', 'name', 'names', 'asname', 'module', 'rest', 'kwd_attrs')


def identifiers(node):
    found = set()
    for part in below(node):
        for field in IDENTIFIERS:
            value = getattr(part, field, None)
            for item in value if type(value) is list else (value,):
                if type(item) is str:
                    found.update(item.split('.'))
    return found


def own_name(node):
    """The first of an assignment's parts that is a name."""
    if type(node).__name__ == 'Assign':
        parts = [node.targets[0], node.value if len(node.targets) == 1 else None]
    else:
        parts = [node.target, node.value]
    for part in parts:
        if type(part).__name__ == 'Name':
            return part.id
    return None


def reached(code, entry):
    try:
        body = parsed(code).body
    except Exception:
        return None
    imports, definitions, names = [], [], set()
    for node in body:
        kind = type(node).__name__
        if kind == 'Import' or kind == 'ImportFrom' and (node.module != '__future__' or node.level):
            imports.append(node)
            continue
        if kind in ('FunctionDef', 'AsyncFunctionDef'):
            if node.decorator_list or not any(type(part).__name__ == 'Return' for part in below(node)):
                continue
            name = node.name
        elif kind == 'ClassDef' and not node.decorator_list:
            name = node.name
        elif kind in ('Assign', 'AnnAssign'):
            name = own_name(node)
        else:
            continue
        if name not in names:
            names.add(name)
            definitions.append((name, node))
    uses = {name: identifiers(node) for name, node in definitions}
    waiting, seen = [entry], {entry}
    while waiting:
        for name in uses.get(waiting.pop(), ()):
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    kept = imports + [node for name, node in definitions if name in seen]
    return '\n'.join(stretch(code, node) for node in kept)


def stretch(code, node):
    """The text of a node; columns count bytes."""
    lines = code.encode('utf-8', 'surrogatepass').replace(b'\r\n', b'\n').replace(b'\r', b'\n').split(b'\n')
    lines = lines[node.lineno - 1:node.end_lineno]
    lines[-1] = lines[-1][:node.end_col_offset]
    lines[0] = lines[0][node.col_offset:]
    return b'\n'.join(lines).decode('utf-8', 'surrogatepass')
