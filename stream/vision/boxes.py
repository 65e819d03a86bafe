"""Upright rectangles in an image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels: x from `left` to `right`, y (down) from `top` to `bottom`; it may reach out of the image.

    An end that lies before its start makes an empty box: width, height and area are 0 then, never negative.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return max(0.0, self.right - self.left)

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return max(0.0, self.bottom - self.top)

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """The middle, (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def holds(self, x: float, y: float) -> bool:
        """Whether the point lies in the box or on its edge."""
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def shared(self, other: Box) -> Box:
        """What lies in both boxes: an empty box where they are apart."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        return Box(left, top, min(self.right, other.right), min(self.bottom, other.bottom))

    def iou(self, other: Box) -> float:
        """Area of what both hold over the area that either holds, 0..1; 0 if both are empty."""
        common = self.shared(other).area
        either = self.area + other.area - common
        return common / either if either > 0 else 0.0

    def covered_by(self, other: Box) -> float:
        """Share of this box's area that lies in the other, 0..1; 0 if this one is empty."""
        return self.shared(other).area / self.area if self.area > 0 else 0.0

    def grown(self, share: float) -> Box:
        """The box with `share` of its larger side added on every side, so that a narrow box gets room as well."""
        by = share * max(self.width, self.height)
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def moved(self, x: float, y: float) -> Box:
        """The box `x` pixels further right and `y` further down."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def scaled(self, factor: float) -> Box:
        """The same rectangle in an image whose sides are `factor` times as long."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)

    def clipped(self, width: float, height: float) -> Box:
        """The part inside an image of this size; an empty box at its edge where there is none."""

        def within(value: float, limit: float) -> float:
            return min(max(value, 0.0), limit)

        return Box(
            within(self.left, width), within(self.top, height), within(self.right, width), within(self.bottom, height)
        )
