"""Manual pages from what the command says of itself (`furl --experimental-dump-help`, swift-argument-parser's form)."""

import re


def escaped(text):
    """Text as roff has it: backslashes, hyphens that are to be copied, and no line that begins with a dot or a quote."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def discussion(text):
    """Paragraphs; lines that begin with the command, and what goes on behind a backslash, are shown as they are."""
    out = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.split("\n")
        if any(re.match(r"\s*(furl|cat) ", line) for line in lines):
            out += [".PP", ".RS 4", ".nf", *(escaped(line.strip("\n")) for line in lines), ".fi", ".RE"]
        else:
            out += [".PP", escaped(" ".join(line.strip() for line in lines))]
    return out


def name(argument):
    """How an argument is written: `--output <model.furl>`."""
    words = []
    for one in argument.get("names") or []:
        dash = "-" if one["kind"] == "short" else "--"
        words.append(f"\\fB{escaped(dash + one['name'])}\\fR")
    text = ", ".join(words)
    if argument["kind"] != "flag":
        value = f"\\fI{escaped(argument.get('valueName') or 'value')}\\fR"
        text = f"{text} {value}" if text else value
    return text


def arguments(command):
    for argument in command.get("arguments") or []:
        if argument.get("shouldDisplay", True):
            yield argument


def page(command, parents, version, date):
    """One page: furl.1, furl-compress.1, furl-data-lines.1."""
    words = [*parents, command["commandName"]]
    title = "-".join(words)
    out = [f'.TH "{title.upper()}" 1 "{date}" "furl {version}" "Furl"', ".SH NAME"]
    out.append(escaped(title) + " \\- " + escaped(command.get("abstract", "").rstrip(".")))
    out += [".SH SYNOPSIS", f".B {escaped(' '.join(words))}"]
    shown = list(arguments(command))
    for argument in shown:
        text = name(argument)
        optional = argument.get("isOptional", True)
        repeated = " ..." if argument.get("isRepeating") else ""
        out.append(f"[{text}]{repeated}" if optional else text + repeated)
    children = [c for c in command.get("subcommands") or [] if c.get("shouldDisplay", True) and c["commandName"] != "help"]
    if children:
        out.append("\\fIcommand\\fR ...")
    if command.get("discussion"):
        out += [".SH DESCRIPTION", *discussion(command["discussion"])]
    if shown:
        out.append(".SH OPTIONS")
        for argument in shown:
            words_ = [argument.get("abstract") or ""]
            if argument.get("defaultValue"):
                words_.append(f"(default: {argument['defaultValue']})")
            out += [".TP", name(argument), escaped(" ".join(word for word in words_ if word))]
    if children:
        out.append(".SH COMMANDS")
        for child in children:
            page_name = "-".join([*words, child["commandName"]])
            out += [".TP", f"\\fB{escaped(page_name)}\\fR(1)", escaped(child.get("abstract", ""))]
    out += [".SH EXIT STATUS", "0 done, gates hold; 1 a gate does not hold; 2 inconclusive; 64 wrong usage; 65 wrong or damaged input;"]
    out.append("69 this machine lacks something; 70 a defect; 73, 74 output cannot be written.")
    yield title, "\n".join(out) + "\n"
    for child in children:
        yield from page(child, words, version, date)
