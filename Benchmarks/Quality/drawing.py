"""The rows of the quality bench as a Markdown table and as an SVG plot, without other packages."""
import math
from xml.sax.saxutils import escape

HEADER = ("| tool | scheme | file | weights | KL divergence | same top | perplexity |\n"
          "| --- | --- | ---: | ---: | ---: | ---: | ---: |")
COLORS = {"furl": "#0b7285", "llama.cpp": "#d9480f", "bitsandbytes": "#5f3dc4"}
WIDTH, HEIGHT, GAP = 520, 420, 70


def line(row):
    same = "" if row["same_top"] is None else f"{row['same_top']:.2%}"
    return (f"| {row['tool']} | {row['scheme']} | {row['file_bytes'] / 1e6:.3f} MB | {row['weight_bytes'] / 1e6:.3f} MB | "
            f"{row['kl_divergence']:.6f} | {same} | {row['perplexity']:.4f} |")


def table(rows):
    return "\n".join([HEADER, *map(line, sorted(rows, key=lambda row: (row["tool"], row["file_bytes"])))])


class Axis:
    """Where numbers stand on a logarithmic axis."""

    def __init__(self, values, start, length, margin=1.15):
        self.low, self.high = math.log(min(values) / margin), math.log(max(values) * margin)
        self.start, self.length = start, length

    def __call__(self, value):
        return self.start + self.length * (math.log(value) - self.low) / (self.high - self.low)

    def ticks(self, steps):
        first, last = math.floor(self.low / math.log(10)), math.ceil(self.high / math.log(10))
        marks = [step * 10.0 ** power for power in range(first, last + 1) for step in steps]
        return [mark for mark in marks if self.low <= math.log(mark) <= self.high]


def plot(rows, title):
    """KL divergence over bytes of the file, and over bytes of weights in memory: lower and further left is better."""
    rows = [row for row in rows if row["kl_divergence"] > 0]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * (WIDTH + GAP)} {HEIGHT + 120}" '
             'font-family="sans-serif" font-size="11">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="{GAP}" y="22" font-size="15">{escape(title)}</text>']
    for number, (key, label) in enumerate([("file_bytes", "file, MB"), ("weight_bytes", "weights in memory, MB")]):
        left = GAP + number * (WIDTH + GAP)
        x = Axis([row[key] / 1e6 for row in rows], left, WIDTH - 20)
        y = Axis([row["kl_divergence"] for row in rows], HEIGHT + 40, -HEIGHT, margin=1.4)
        for mark in x.ticks([1, 1.5, 2, 3, 4, 5, 6, 8]):
            parts.append(f'<path d="M{x(mark):.1f} 40V{HEIGHT + 40}" stroke="#eee"/>'
                         f'<text x="{x(mark):.1f}" y="{HEIGHT + 56}" text-anchor="middle">{mark:g}</text>')
        for mark in y.ticks([1, 3]):
            parts.append(f'<path d="M{left} {y(mark):.1f}h{WIDTH - 20}" stroke="#eee"/>'
                         f'<text x="{left - 6}" y="{y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>')
        parts.append(f'<text x="{left + WIDTH / 2}" y="{HEIGHT + 76}" text-anchor="middle">{label}</text>')
        for row in rows:
            at = x(row[key] / 1e6), y(row["kl_divergence"])
            parts.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="4" fill="{COLORS[row["tool"]]}"/>'
                         f'<text x="{at[0] + 6:.1f}" y="{at[1] - 4:.1f}" font-size="8">{escape(row["scheme"])}</text>')
    parts.append(f'<text x="{GAP}" y="{HEIGHT + 100}">KL divergence from FP32 in nats; lower and further left is better.</text>')
    for index, (tool, color) in enumerate(COLORS.items()):
        parts.append(f'<text x="{GAP + 360 + 100 * index}" y="{HEIGHT + 100}" fill="{color}">{tool}</text>')
    return "\n".join(parts) + "\n</svg>\n"
