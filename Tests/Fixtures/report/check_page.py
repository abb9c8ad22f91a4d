"""Checks a page with Python's own parser: elements closed in order, ids unique and found, nothing loaded, no script; names for
those who listen, and colours that can be told apart (WCAG 2.2: 4.5 for text, 3 for what is drawn).

Prints one line for each fault; nothing for a sound page.
"""
import html.parser
import re
import sys

VOID = {"meta", "link", "br", "img", "input", "hr"}
SHAPES = {"line", "path", "circle", "rect", "polygon"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.wanted, self.faults, self.headings = [], set(), [], [], []

    def fault(self, words):
        self.faults.append(f"line {self.getpos()[0]}: {words}")

    def handle_starttag(self, tag, attributes, closed=False):
        names = [name for name, _ in attributes]
        if len(names) != len(set(names)):
            self.fault(f"an attribute of {tag} appears twice")
        if tag in ("script", "iframe", "object", "embed", "img", "link", "form", "base"):
            self.fault(f"element {tag}")
        for name, value in attributes:
            if name.startswith("on"):
                self.fault(f"handler {name}")
            if name in ("src", "srcset", "action", "data") or (name in ("href", "xlink:href") and not value.startswith("#")):
                self.fault(f"{name}={value}")
            if name == "href":
                self.wanted.append(value[1:])
            if name == "aria-labelledby":
                self.wanted += value.split()
            if name == "id":
                if value in self.ids:
                    self.fault(f"the id {value} appears twice")
                self.ids.add(value)
        if "tabindex" in names and ("role" not in names or "aria-label" not in names):
            self.fault(f"{tag} can be reached by the keyboard and has no name")
        if tag == "svg" and "aria-labelledby" not in names and "aria-hidden" not in names:
            self.fault("a picture has no name")
        if tag == "input" and "label" not in self.open:
            self.fault("an input has no label")
        if tag == "th" and "scope" not in names:
            self.fault("a heading cell of nothing")
        if tag in ("h1", "h2", "h3", "h4"):
            level = int(tag[1])
            if self.headings and level > self.headings[-1] + 1:
                self.fault(f"{tag} follows h{self.headings[-1]}")
            self.headings.append(level)
        if tag not in VOID and not closed:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        if tag not in SHAPES:
            self.fault(f"{tag} closes itself")
        self.handle_starttag(tag, attributes, closed=True)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.fault(f"</{tag}> closes nothing that is open")


def luminance(colour):
    parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colour_faults(style):
    """The style's named colours on its grounds: light first, then dark."""
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", part)) for part in re.findall(r":root \{(.*?)\}", style, re.S)][:2]
    if len(schemes) != 2 or any(len(scheme) < 14 for scheme in schemes):
        yield "the style has not two schemes of colours"
        return
    for scheme in schemes:
        texts = [(name, ground, 4.5) for name in ("ink", "soft", "accent", "good", "bad", "open") for ground in ("paper", "panel")]
        drawn = [(f"s{number}", "paper", 3) for number in range(6)]
        for name, ground, least in [*texts, ("ink", "mark", 4.5), *drawn]:
            found = contrast(scheme[name], scheme[ground])
            if found < least:
                yield f"{name} {scheme[name]} on {ground} {scheme[ground]} has a contrast of {found:.2f}; {least} is the least"


text = open(sys.argv[1], encoding="utf-8").read()
page = Page()
page.feed(text)
page.close()
if page.open:
    page.faults.append(f"never closed: {page.open}")
page.faults += [f"nothing has the id {name}" for name in page.wanted if name not in page.ids]
page.faults += colour_faults(text)
if page.headings.count(1) != 1:
    page.faults.append(f"{page.headings.count(1)} headings of the first level")
if '<html lang="' not in text or "<title></title>" in text:
    page.faults.append("no language or no title")
for word in ("url(", "@import", "http://", "https://"):
    style = text[text.index("<style>"):text.index("</style>")]
    if word in style:
        page.faults.append(f"the style has {word}")
print("\n".join(page.faults), end="")
