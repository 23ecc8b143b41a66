"""How figures look: colours, type, safe text, and a canvas that any thread may draw on.

Sizes are pixels of the finished PNG. Slack shows a figure about 400 pixels wide on a phone: of a figure 1600
wide a quarter, so nothing in that is set smaller than `SMALL`; a narrower figure may go lower in proportion.
"""

from __future__ import annotations

import io
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

DPI = 100
TITLE = 48
LABEL = 38
SMALL = 34

# Okabe and Ito's palette (2008): told apart with any kind of colour vision; INK and MUTED pass 4.5:1 on PAPER.
BLUE = "#0072B2"
VERMILLION = "#C44E00"
GREEN = "#00694F"
AMBER = "#8A5300"
PAPER = "#FFFFFF"
INK = "#1B1F24"
MUTED = "#59616B"
GRID = "#E4E7EB"
GREY = "#8C949E"

ELLIPSIS = "…"


@lru_cache(maxsize=2)
def _font_file(bold: bool) -> str:
    """DejaVu Sans as matplotlib ships it, by path: the figure is the same on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name)


@lru_cache(maxsize=2)
def _glyphs(bold: bool) -> frozenset[int]:
    return frozenset(FT2Font(_font_file(bold)).get_charmap())


def font(pixels: float, *, bold: bool = False) -> Any:
    """The font at a height in pixels."""
    return FontProperties(fname=_font_file(bold), size=pixels * 72 / DPI)


def drawable(text: str, *, bold: bool = False) -> str:
    """The text on one line, without what the font has no glyph for (matplotlib warns and draws boxes)."""
    glyphs = _glyphs(bold)
    shown = " ".join(unicodedata.normalize("NFC", text).split())
    kept = (char for char in shown if ord(char) in glyphs and unicodedata.category(char)[0] != "C")
    bare = (char for char in kept if not 0xFE00 <= ord(char) <= 0xFE0F)  # variation selectors draw nothing
    return " ".join("".join(bare).split())


class Sheet:
    """A figure of a fixed size in pixels, drawn without pyplot and so without shared state.

    Text is placed in pixels from the left and from the top and is never read as mathematics: a job may be
    called "$5 → $10".
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        self._canvas = FigureCanvasAgg(self.figure)

    def axes(self, *, left: float, top: float, right: float, bottom: float) -> Any:
        """Axes between margins in pixels, with only the lines that help reading."""
        box = (
            left / self.width,
            bottom / self.height,
            (self.width - left - right) / self.width,
            (self.height - top - bottom) / self.height,
        )
        axes = self.figure.add_axes(box)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(GREY)
        axes.spines["bottom"].set_linewidth(2)
        axes.tick_params(length=0, pad=12, colors=MUTED)
        axes.set_axisbelow(True)
        return axes

    def text_width(self, text: str, size: float, *, bold: bool = False) -> float:
        """How wide the text will be, in pixels."""
        renderer = self._canvas.get_renderer()
        return float(renderer.get_text_width_height_descent(text, font(size, bold=bold), False)[0])

    def fit(self, text: str, size: float, room: float, *, bold: bool = False) -> str:
        """The text, cut with an ellipsis where it is wider than `room` pixels."""
        if self.text_width(text, size, bold=bold) <= room:
            return text
        low, high = 0, min(len(text), int(room))
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.text_width(text[:middle].rstrip() + ELLIPSIS, size, bold=bold) <= room
            low, high = (middle, high) if fits else (low, middle - 1)
        return text[:low].rstrip() + ELLIPSIS

    def wrap(self, parts: list[str], size: float, room: float) -> list[str]:
        """Puts parts side by side on lines no wider than `room` pixels; a part is never broken in two."""
        lines: list[str] = []
        for part in parts:
            longer = f"{lines[-1]}   {part}" if lines else part
            if lines and self.text_width(longer, size) <= room:
                lines[-1] = longer
            else:
                lines.append(self.fit(part, size, room))
        return lines

    def write(self, x: float, y: float, text: str, size: float, **look: Any) -> Any:
        """Text with its baseline at y pixels from the top. `bold`, `color` and `ha` as one would think."""
        bold = bool(look.pop("bold", False))
        look = {"color": INK, "va": "baseline", **look}
        props = font(size, bold=bold)
        return self.figure.text(
            x / self.width, 1 - y / self.height, text, fontproperties=props, parse_math=False, **look
        )

    def png(self) -> bytes:
        """The finished picture."""
        buffer = io.BytesIO()
        self._canvas.print_png(buffer)
        return buffer.getvalue()
