"""Public names for log output that never delays the event loop.

from socketio_core.logs import BackgroundHandler, limit_lines
"""

from engineio_core.logs.background import BackgroundHandler
from engineio_core.logs.descriptor import DescriptorHandler
from engineio_core.logs.limiter import LINE_LIMIT, LINES, PERIOD, LineLimit

__all__ = ["BackgroundHandler", "DescriptorHandler", "LineLimit", "limit_lines"]


def limit_lines(lines: int = LINES, period: float = PERIOD) -> None:
    """Set how many lines of one kind the server's own loggers write per period; 0: no limit.

    Raises ValueError for a negative limit or a period that is not positive.
    """
    LINE_LIMIT.set(lines, period)
