#!/usr/bin/env python3
"""The tables and plots of docs/performance.md, from the JSON that `tern bench -o json` writes.

  tools/performance.py measure --tern build/release/tern --model 2b4t.gguf [--peer NAME=LLAMA_BENCH:MODEL ...]
  tools/performance.py render

`measure` runs the benchmarks (about ten minutes on a quiet machine), keeps their JSON in docs/performance/ and renders.
`render` only rewrites the marked parts of docs/performance.md and the plots from the JSON that is there.
"""

import argparse
import datetime
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DECODE_BATCHES = "1,2,4,8,16,32"
KERNEL_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 512)
KERNEL_SHAPE = (2560, 2560)
COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#5e548e", "#8d6a9f", "#3d405b")


def table(head, rows, left=1):
    """A Markdown table; the first `left` columns are texts."""
    rule = ["---" if i < left else "---:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, rule, *rows])


def number(value, digits=2, unit=""):
    return "" if value is None else f"{value:.{digits}f}{unit}"


def limits_table(rows):
    cpu = f"{rows[0]['cpu_info']}, {rows[0]['n_threads']} threads ({rows[0]['cpu_features']}).\n\n"
    return cpu + table(["limit", "unit", "1 thread", "all threads"],
                       [[r["test"], r["unit"], number(r["one_thread"], 3), number(r["all_threads"], 3)] for r in rows], 2)


def models_table(rows):
    return table(["model", "threads", "test", "t/s", "P50 ms", "P99 ms", "GB/s", "of stream", "TOPS", "of peak"],
                 [[r["model"], r["n_threads"], r["test"], f"{r['avg_ts']:.2f} ± {r['stddev_ts']:.2f}", number(r["p50_ms"]),
                   number(r["p99_ms"]), number(r["gb_s"]), number(r["percent_of_stream"], 0, "%"), number(r["tops"]),
                   number(r["percent_of_peak"], 0, "%")] for r in rows], 1)


def kernels_table(rows):
    return table(["kernel", "M x N x K", "weights", "us", "GB/s", "TOPS", "of peak", "x scalar"],
                 [[r["kernel"], f"{r['m']}x{r['n']}x{r['k']}", r["weights"], number(r["best_us"], 1), number(r["gb_s"]),
                   number(r["tops"], 3), number(r["percent_of_peak"], 0, "%"), number(r["speedup"], 1)] for r in rows], 1)


def bitlinear_table(rows):
    return table(["layer", "threads", "rows a second", "P50 ms", "P95 ms", "P99 ms", "TOPS", "process MB"],
                 [[r["test"], r["n_threads"], f"{r['ops_per_s']:.0f}", number(r["p50_ms"], 4), number(r["p95_ms"], 4),
                   number(r["p99_ms"], 4), number(r["tops"], 3), number(r["memory_mb"], 1)] for r in rows])


def versus_table(rows):
    return table(["engine", "test", "threads", "tern t/s", "theirs t/s", "ratio", "min .. max"],
                 [[r["peer"], r["test"], r["n_threads"], number(r["ours_ts"]), number(r["theirs_ts"]), number(r["ratio"]),
                   f"{r['ratio_min']:.2f} .. {r['ratio_max']:.2f}"] for r in rows], 2)


TABLES = {"limits": limits_table, "models": models_table, "kernels": kernels_table, "bitlinear": bitlinear_table,
          "versus": versus_table}


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Plot:
    """A small SVG: a frame, bars or lines, and names."""

    WIDTH, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 720, 320, 70, 40, 60, 20

    def __init__(self, title, unit, top):
        self.top = top or 1
        self.parts = [f'<text x="{self.LEFT}" y="22" font-size="15">{escape(title)}</text>']
        for i in range(5):
            value = self.top * i / 4
            y = self.y(value)
            self.parts.append(f'<line x1="{self.LEFT}" y1="{y:.1f}" x2="{self.WIDTH - self.RIGHT}" y2="{y:.1f}" '
                              'stroke="#ccc"/>')
            self.text(self.LEFT - 6, y + 4, f"{value:.3g}", "end")
        self.text(12, self.TOP - 6, unit)

    def y(self, value):
        return self.HEIGHT - self.BOTTOM - value / self.top * (self.HEIGHT - self.BOTTOM - self.TOP)

    def text(self, x, y, text, anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" text-anchor="{anchor}">{escape(text)}</text>')

    def bar(self, index, count, name, value, colour, note=""):
        slot = (self.WIDTH - self.LEFT - self.RIGHT) / count
        x, y = self.LEFT + slot * (index + 0.15), self.y(value)
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{slot * 0.7:.1f}" '
                          f'height="{self.HEIGHT - self.BOTTOM - y:.1f}" fill="{colour}"/>')
        self.text(x + slot * 0.35, y - 4, note or f"{value:.3g}", "middle")
        self.text(x + slot * 0.35, self.HEIGHT - self.BOTTOM + 16, name, "middle")

    def line(self, points, colour):
        path = " ".join(f"{x:.1f},{self.y(value):.1f}" for x, value in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.WIDTH} {self.HEIGHT}" '
                f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def kernels_plot(rows):
    """TOPS of each kernel over M, at equal steps."""
    rows = [r for r in rows if (r["n"], r["k"]) == KERNEL_SHAPE]
    if not rows:
        return None
    sizes = sorted({r["m"] for r in rows})
    plot = Plot(f"Kernels, {rows[0]['n_threads']} thread(s), N x K = {KERNEL_SHAPE[0]} x {KERNEL_SHAPE[1]}", "TOPS",
                max(r["tops"] for r in rows) * 1.1)
    step = (plot.WIDTH - plot.LEFT - 180) / max(len(sizes) - 1, 1)
    for i, size in enumerate(sizes):
        plot.text(plot.LEFT + i * step, plot.HEIGHT - plot.BOTTOM + 16, f"M={size}", "middle")
    for i, isa in enumerate(dict.fromkeys(r["isa"] for r in rows)):
        points = [(plot.LEFT + sizes.index(r["m"]) * step, r["tops"]) for r in rows if r["isa"] == isa]
        plot.line(points, COLOURS[i % len(COLOURS)])
        plot.text(points[-1][0] + 8, plot.y(points[-1][1]) + 4, isa)
    return plot.svg()


def bars(title, unit, rows, name, value, note=lambda row: ""):
    if not rows:
        return None
    plot = Plot(title, unit, max(value(r) for r in rows) * 1.15)
    for i, row in enumerate(rows):
        plot.bar(i, len(rows), name(row), value(row), COLOURS[0], note(row))
    return plot.svg()


def models_plot(rows):
    def note(row):
        share = row["percent_of_stream"] if row["n_gen"] else row["percent_of_peak"]
        return f"{row['avg_ts']:.4g}" + ("" if share is None else f" ({share:.0f}%)")
    return bars("Decoding: tokens a second (and share of the memory stream)", "t/s", [r for r in rows if r["n_gen"]],
                lambda r: r["test"], lambda r: r["avg_ts"], note)


def versus_plot(rows):
    return bars("Times as fast as", "ratio", rows, lambda r: f"{r['peer']} {r['test']}", lambda r: r["ratio"])


PLOTS = {"kernels": kernels_plot, "models": models_plot, "versus": versus_plot}


def replace_part(text, name, content):
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        sys.exit(f"performance.py: the page needs '{begin}' and '{end}' once each")
    head, rest = text.split(begin)
    return head + begin + "\n" + content + "\n" + end + rest.split(end)[1]


def render(page, data):
    text = page.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        file = data / f"{name}.json"
        rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        content = make(rows) if rows else "Not measured yet."
        picture = PLOTS[name](rows) if rows and name in PLOTS else None
        if picture:
            (data / f"{name}.svg").write_text(picture, encoding="utf-8")
            content += f"\n\n![{name}]({data.name}/{name}.svg)"
        text = replace_part(text, name, content)
    page.write_text(text, encoding="utf-8")


def run(command):
    print("+", " ".join(map(str, command)), file=sys.stderr)
    return json.loads(subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True).stdout)


def measure(arguments, data):
    bench = [arguments.tern, "bench", "-o", "json"]
    threads = ["-t", arguments.threads] if arguments.threads else []
    shapes = ",".join(f"{m}x{KERNEL_SHAPE[0]}x{KERNEL_SHAPE[1]}" for m in KERNEL_ROWS)
    results = {"limits": run([*bench, "--limits", *threads])}
    results["kernels"] = run([*bench, "--kernels", "--shape", shapes])
    results["bitlinear"] = run([*bench, "--bitlinear"])
    results["models"] = results["versus"] = []
    for model in arguments.model:
        results["models"] = results["models"] + run([*bench, "-m", model, *threads, "-npl", DECODE_BATCHES]) + run(
            [*bench, "-m", model, *threads, "-p", "0", "-d", "4096"])
    for peer in arguments.peer:
        name, _, rest = peer.partition("=")
        program, _, model = rest.partition(":")
        rows = run([*bench, "--versus", program, "-m", arguments.model[0], "--versus-model", model, *threads])
        results["versus"] = results["versus"] + [{"peer": name, **row} for row in rows]
    data.mkdir(parents=True, exist_ok=True)
    for name, rows in results.items():
        for row in rows:  # where the files were is nobody's business
            row.pop("model_filename", None)
            row.pop("versus", None)
            row["date"] = datetime.date.today().isoformat()
        if rows:
            (data / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("measure", "render"))
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs" / "performance.md")
    parser.add_argument("--tern", type=pathlib.Path, default=ROOT / "build" / "release" / "tern")
    parser.add_argument("--model", action="append", default=[], help="GGUF file; the first one meets the peers")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PROGRAM:MODEL")
    parser.add_argument("--threads", help="instead of one per CPU")
    arguments = parser.parse_args()
    data = arguments.page.with_suffix("")
    if arguments.what == "measure":
        if arguments.peer and not arguments.model:
            parser.error("--peer needs a --model")
        measure(arguments, data)
    render(arguments.page, data)


if __name__ == "__main__":
    main()
