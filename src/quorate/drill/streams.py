"""From what the probe saw in a stretch of time to what a report tells of it."""

from collections.abc import Mapping, Sequence

from quorate.drill.record import Result, Stream
from quorate.report.drill.report import STREAMS, Sample, StreamStats


def stream_stats(result: Result) -> Mapping[str, StreamStats]:
    """What each stream of requests met in the result's time."""
    found = {}
    for name in STREAMS:
        stream: Stream = getattr(result, name)
        found[name] = StreamStats(round(stream.longest_gap, 4), stream.failed, stream.total, dict(stream.words))
    return found


def samples(result: Result, zero: float) -> Mapping[str, Sequence[Sample]]:
    """Every try, in seconds from a moment of the probe's time."""
    return {
        name: [Sample(round(each.start - zero, 4), round(each.seconds, 4), each.ok) for each in stream.tries]
        for name in STREAMS
        if (stream := getattr(result, name))
    }
