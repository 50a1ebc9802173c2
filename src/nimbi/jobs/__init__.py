"""Long work that outlives the process that does it: kinds of jobs, and the engine that does them.

A kind is a coroutine function made of steps. What a step returned is kept; a job that another
process goes on with runs from the start again, and gets from each step that was done what it
returned. So all that touches the world is in steps, and what is between them decides by their
results alone. A step that was cut off runs again: it makes things by `Work.token`.
"""

from nimbi.jobs.kinds import Kind
from nimbi.jobs.service import Jobs
from nimbi.jobs.slots import Pace
from nimbi.jobs.work import JobCancelled, Work

__all__ = ["JobCancelled", "Jobs", "Kind", "Pace", "Work"]
