"""A program under test like any other: tells how many of some texts are Python."""


def count(texts):
    found = 0
    for text in texts:
        try:
            compile(text, '<program>', 'exec', 0, True)
            found += 1
        except Exception:
            pass
    return found
