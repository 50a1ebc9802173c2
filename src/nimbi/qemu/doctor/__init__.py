"""What this machine can and can't do, what follows from it, and how to mend it."""

from nimbi.qemu.doctor.examination import examine
from nimbi.qemu.doctor.finding import Diagnosis, Finding, Host, Verdict

__all__ = ["Diagnosis", "Finding", "Host", "Verdict", "examine"]
