"""Reports for two readers: the organiser sees all, the contestant only what reveals no label.

Every page is one file that opens offline: styles, plots and pictures are inside it, and it asks for nothing.
It runs no script but the one that sorts the table of videos, which its policy names by its hash. Text from a
package is capped, stripped of characters that hide others, and escaped.
"""

from harness.report.data import SetData

__all__ = ["SetData"]
