"""Does anything but the picture predict the label, and is footage in two sets?

`audit.py` goes through a challenge; `sets.py` holds the rule by which a figure becomes a finding, and
`report.py` what can be found.
"""

from __future__ import annotations

from harness.diagnose.audit.audit import AuditProgress, audit_challenge

__all__ = ["AuditProgress", "audit_challenge"]
