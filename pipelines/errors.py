"""
What can stop a load, a build or a reading.

    PipelineError
    ├── WarehouseLockedError   another program has the warehouse open
    ├── LoadLockedError        another loader works on the stage
    ├── BuildError             a model or a gate test failed
    └── NotPublishedError      there are no marts to read yet

None of them loses anything: what was received stays staged, what is published stays readable. The messages are
sentences that say what to do.
"""


class PipelineError(Exception):
    """Root of this package's errors."""


class WarehouseLockedError(PipelineError):
    """Another program kept the warehouse file open."""


class LoadLockedError(PipelineError):
    """Another loader works on this stage; one at a time."""


class BuildError(PipelineError):
    """A model or a gate test failed; what is published stays as it was. The message names the first failures."""


class NotPublishedError(PipelineError):
    """No build has published marts yet."""
