"""One HTML file from a rendered page: styles, scripts, fonts and pictures move inside it."""

import base64
import mimetypes
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from latentgenomes.core.extras import require

#: Of no use on a lone page: navigation in the book, search, hints to the browser about other files.
_NAVIGATION = (
    ".bd-sidebar-primary > *",
    ".search-button__wrapper",
    ".pst-async-banner-revealer",
    "header.bd-header > *",
    "#searchbox",
    "link[rel=preload]",
    "link[rel=index]",
    "link[rel=search]",
    "link[rel=next]",
    "link[rel=prev]",
    "link[rel=canonical]",
)
_SKIPPED_SCRIPTS = ("fontawesome/",)  # 1.5 MB that draw the icons a second time; the font does it, too
_FONTS = "fa-solid-900.woff2"  # the only one whose icons stand on a lone page
_IMPORT = re.compile(r"@import\s+[\"']([^\"']+)[\"']\s*;")
_URL = re.compile(r"url\(\s*([\"']?)(?!data:|#)([^)\"']+)\1\s*\)")
_NOTHING = "data:,"


def one_file(page: Path, address: str) -> str:
    """HTML of a rendered page that needs no other file.

    Relative links are taken from `address`, where the page stands in the published book. What another host
    would have to serve is dropped; a picture becomes a link.
    """
    soup = require("bs4", extra="book").BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    for element in soup.select(", ".join(_NAVIGATION)):
        element.decompose()
    _bring_in_styles(soup, page)
    _bring_in_scripts(soup, page)
    _bring_in_pictures(soup, page)
    for link in soup.select("a[href]"):
        if not link["href"].startswith("#"):
            link["href"] = urljoin(address, link["href"])
    return str(soup)


def _bring_in_styles(soup: Any, page: Path) -> None:
    """Turn linked style sheets into style elements."""
    for link in soup.select("link[href]"):
        file = _file(link["href"], page)
        if "stylesheet" in link.get("rel", []) and file is not None:
            style = soup.new_tag("style")
            style.string = _style(file)
            link.replace_with(style)
        elif "icon" in link.get("rel", []) and file is not None:
            link["href"] = _data(file)
        else:
            link.decompose()


def _style(file: Path) -> str:
    """Text of a style sheet with its fonts, its pictures and the sheets that it imports inside."""

    def imported(match: re.Match[str]) -> str:
        other = _file(match[1], file)
        return "" if other is None else _style(other)

    def inside(match: re.Match[str]) -> str:
        other = _file(match[2], file)
        unused = other is None or (other.suffix in (".ttf", ".woff", ".woff2") and other.name != _FONTS)
        return f'url("{_NOTHING if unused or other is None else _data(other)}")'

    text = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", file.read_text(encoding="utf-8"))
    return _IMPORT.sub(imported, _URL.sub(inside, text))


def _bring_in_scripts(soup: Any, page: Path) -> None:
    """Put scripts inside; those that wait for the document move to its end, as an inline one cannot wait."""
    for script in soup.select("script"):
        if not script.get("src"):
            if "search-button" in (script.string or ""):
                script.decompose()
            continue
        file = _file(script["src"], page)
        if file is None or any(part in script["src"] for part in _SKIPPED_SCRIPTS):
            script.decompose()
            continue
        text = re.sub(r"//# sourceMappingURL=.*", "", file.read_text(encoding="utf-8"))
        waits = script.has_attr("defer") or script.has_attr("async")
        for name in ("src", "defer", "async"):
            script.attrs.pop(name, None)
        script.string = re.sub(r"<(?=/script|!--)", r"\\x3C", text, flags=re.IGNORECASE)
        if waits:
            soup.body.append(script.extract())


def _bring_in_pictures(soup: Any, page: Path) -> None:
    """Put pictures inside; what stands on another host becomes a link, and frames do, too."""
    for element in soup.select("img[src], iframe[src], video[src], audio[src], source[src], embed[src]"):
        source = element["src"]
        file = _file(source, page)
        if file is not None:
            element["src"] = _data(file)
        elif not source.startswith("data:"):
            link = soup.new_tag("a", href=source)
            link.string = element.get("alt") or element.get("title") or source
            element.replace_with(link)


def _file(link: str, page: Path) -> Path | None:
    """The file that a relative link of a page means, if it is there."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or not parts.path:
        return None
    file = page.parent / unquote(parts.path)
    return file if file.is_file() else None


def _data(file: Path) -> str:
    """Content of a file as an address."""
    kind = {".woff2": "font/woff2"}.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "text/plain"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
