#!/usr/bin/env python3
"""Lines `NAME IMAGES SECS` on stdin, round by round, to a table of medians and of ratios within the rounds, in Markdown."""

import statistics
import sys


def main():
    rates = {}
    for line in sys.stdin:
        name, images, secs = line.split()
        rates.setdefault(name, []).append(int(images) / float(secs))
        print(f"{name}: {rates[name][-1]:.1f} images/s", file=sys.stderr)
    print("| | images/s, median | lowest | highest | replay is faster by |\n|---|---:|---:|---:|---:|")
    for name, values in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["replay"], values)]
        print(
            f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} | {statistics.median(ratios):.2f} |"
        )


if __name__ == "__main__":
    main()
