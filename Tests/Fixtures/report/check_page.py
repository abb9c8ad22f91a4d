"""Checks a page with Python's own parser: elements closed in order, ids unique and found, nothing loaded, no script.

Prints one line for each fault; nothing for a sound page.
"""
import html.parser
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


text = open(sys.argv[1], encoding="utf-8").read()
page = Page()
page.feed(text)
page.close()
if page.open:
    page.faults.append(f"never closed: {page.open}")
page.faults += [f"nothing has the id {name}" for name in page.wanted if name not in page.ids]
for word in ("url(", "@import", "http://", "https://"):
    style = text[text.index("<style>"):text.index("</style>")]
    if word in style:
        page.faults.append(f"the style has {word}")
print("\n".join(page.faults), end="")
