"""Pieces of HTML. Every text goes through :func:`escape`; nothing else makes markup of words."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def escape(value: object) -> str:
    """Return a text that a browser shows as it is, whatever is in it."""
    plain = _COLOUR.sub("", str(value))
    return html.escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", plain), quote=True)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Iterable[int] = (),
    kind: str = "",
) -> str:
    """Return a table of cells that are HTML already; ``numbers`` are columns set to the right."""
    right = frozenset(numbers)

    def line(cells: Sequence[str], tag: str) -> str:
        made = (
            f"<{tag}{_class('n' if index in right else '')}>{cell}</{tag}>"
            for index, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="wide"><table{_class(kind)}><thead>{line(head, "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Return names with what they stand for; the latter is HTML already."""
    made = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in rows)
    return f"<dl>{made}</dl>"


def block(text: str) -> str:
    """Return lines as they are."""
    return f'<pre tabindex="0">{escape(text)}</pre>'


def folded(summary: str, inner: str, *, is_open: bool = False) -> str:
    """Return something that opens on a click; ``inner`` is HTML already."""
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(summary)}</summary>{inner}"
        "</details>"
    )


def note(text: str) -> str:
    """Return a remark, such as what is not there."""
    return f'<p class="note">{escape(text)}</p>'


def figure(title: str, inner: str, *, keys: Sequence[tuple[str, str]] = ()) -> str:
    """Return a picture with its title and the keys (CSS class, name) of what is in it."""
    made = "".join(
        f'<span class="key"><i class="{escape(style)}"></i>{escape(name)}</span>'
        for style, name in keys
    )
    return f"<figure><figcaption><b>{escape(title)}</b>{made}</figcaption>{inner}</figure>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
