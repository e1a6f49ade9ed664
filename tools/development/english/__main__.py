"""Report each forbidden phrase with its file, its line and a better wording; the exit code is 1 if there is one."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path, PurePath

from english.checker import Finding, check
from english.files import ROOT, written_files


def main() -> int:
    """Check the files on the command line, or all files of the repository."""
    parser = argparse.ArgumentParser(prog="python -m english", description=__doc__)
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="files or folders (default: the repository)"
    )
    parser.add_argument("--count", action="store_true", help="print the number of findings per folder, and exit with 0")
    options = parser.parse_args()
    findings = [
        finding
        for path in written_files(options.paths)
        for finding in check(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]
    if options.count:
        print_counts(findings)
        return 0
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} forbidden phrases; .github/STYLE.md explains the rules", file=sys.stderr)
    return 1 if findings else 0


def print_counts(findings: list[Finding]) -> None:
    """Print how many findings each folder and each phrase has."""
    for title, counts in (
        ("folder", Counter(folder_of(finding.path) for finding in findings)),
        ("write instead", Counter(finding.better for finding in findings)),
    ):
        print(f"{'findings':>8}  {title}")
        for name, count in counts.most_common():
            print(f"{count:8}  {name}")
    print(f"{len(findings):8}  in all")


def folder_of(path: str) -> str:
    """Return the folder that a finding is counted for: four levels at most."""
    return "/".join(PurePath(path).parent.parts[:4]) or "."


if __name__ == "__main__":
    sys.exit(main())
