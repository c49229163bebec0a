"""
What can stop a load, a build or a reading.

    PipelineError
    ├── WarehouseLockedError   another program has the warehouse open
    ├── WarehouseAwayError     its server does not answer, or does not let us in
    ├── LoadLockedError        another loader works on the stage
    ├── DiskFullError          there is no room for what was to be written
    ├── BuildError             a model or a gate test failed
    ├── NotPublishedError      there are no marts to read yet
    └── QueryError             the warehouse does not answer what a reader asked

None of them loses anything: what was received stays staged, what is published stays readable. The messages are
sentences that say what to do.
"""


class PipelineError(Exception):
    """Root of this package's errors."""


class WarehouseLockedError(PipelineError):
    """Another program kept the warehouse open."""


class WarehouseAwayError(PipelineError):
    """The warehouse's server does not answer, does not let us in, or went away."""


class LoadLockedError(PipelineError):
    """Another loader works on this stage; one at a time."""


class DiskFullError(PipelineError):
    """A disk was full: of the warehouse, the working folder, the archive or the published marts."""


class BuildError(PipelineError):
    """A model or a gate test failed; what is published stays as it was. The message names the first failures."""


class NotPublishedError(PipelineError):
    """No build has published marts yet."""


class QueryError(PipelineError):
    """The SQL of a reader is wrong, or asks for more than reading."""
