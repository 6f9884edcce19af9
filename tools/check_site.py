"""Fail if a page of the built documentation site would fetch something from a network when it is read.

    python tools/check_site.py site

Links that a reader may click are not fetched and may point anywhere; scripts, styles, fonts, pictures and frames may
not.
"""

import re
import sys
from pathlib import Path

# An attribute that makes a browser fetch at once, or a stylesheet's url(...) and @import.
_FETCHED = (
    re.compile(
        r"<(?:script|img|iframe|source|video|audio|embed|object|image|use|input|track)\b[^>]*"
        r"\b(?:src|srcset|poster|data|href)=[\"']?((?:https?:)?//[^\"'\s>]+)",
        re.I,
    ),
    re.compile(
        r"<link\b(?=[^>]*\brel=[\"']?[^\"'>]*(?:stylesheet|preload|prefetch|icon|preconnect))[^>]*\bhref=[\"']?((?:https?:)?//[^\"'\s>]+)",
        re.I,
    ),
    re.compile(r"class=[\"'](mermaid)\b", re.I),  # the theme would fetch a script for it
    re.compile(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", re.I),
)


def fetched_from_elsewhere(site: Path) -> list[tuple[Path, str]]:
    """Return (file, address) for everything that a page or a stylesheet of `site` fetches from a network."""
    found = []
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".css"):
            text = path.read_text()
            found += [(path, match[1]) for pattern in _FETCHED for match in pattern.finditer(text)]
    return found


def main() -> None:
    """Check the site in the folder that the first argument names."""
    if len(sys.argv) != 2:
        sys.exit("expected one argument, the folder of the built site")
    site = Path(sys.argv[1])
    pages = list(site.rglob("*.html"))
    if not pages:
        sys.exit(f"{site}: expected a built site, found no page; run make docs")
    elsewhere = fetched_from_elsewhere(site)
    for path, address in elsewhere:
        print(f"{path}: fetches {address}")
    if elsewhere:
        sys.exit(f"{len(elsewhere)} references to a network; pages must work without one")
    print(f"{site}: {len(pages)} pages, none fetches anything from a network")


if __name__ == "__main__":
    main()
