"""Sections to one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from launcher.report.markup import escape
from launcher.report.style import SHEET

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Nothing is fetched and no script runs, even if a text found its way past the escaping."""


@dataclass(frozen=True)
class Section:
    """A part of the page with its place in the table of contents; ``body`` is HTML already."""

    key: str
    title: str
    body: str


def page(title: str, *, head: str, sections: Sequence[Section], foot: str) -> str:
    """Return the whole page; ``head`` is HTML already, sections without a body are left out."""
    shown = [section for section in sections if section.body]
    links = "".join(f'<li><a href="#{one.key}">{escape(one.title)}</a></li>' for one in shown)
    parts = "".join(
        f'<section id="{one.key}"><h2>{escape(one.title)}</h2>{one.body}</section>' for one in shown
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{SHEET}</style></head><body>"
        f'<header>{head}</header><nav aria-label="Contents"><ul>{links}</ul></nav>'
        f"<main>{parts}</main><footer>{escape(foot)}</footer></body></html>\n"
    )
