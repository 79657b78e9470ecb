"""The metric of the event loops of gateways."""

from __future__ import annotations

from pathlib import Path

from engineio_core.counts import Histogram
from engineio_core.relay.frames import SECONDS, Kind
from engineio_core.relay.link import Link
from hextrackr_server.cluster.origin import GATEWAY_LAG, OriginApplication
from hextrackr_server.cluster.rendezvous import Rendezvous
from hextrackr_server.config.settings import Settings


async def test_delays_of_gateways_are_in_the_histogram(tmp_path: Path) -> None:
    settings = Settings(database=tmp_path / "hub.db", jwt_secret=b"d" * 32, workers=2)
    application = OriginApplication(settings, Rendezvous(tmp_path, b"d" * 32), 0)
    try:
        origin = application.origin
        link: Link = origin.make_link()
        origin.link_opened(link)
        for delay in (0.0, 0.3):
            origin.link_frame(link, Kind.LAG, SECONDS.pack(delay))
        samples = {name: value for name, _, value in application.context.metrics.samples()}
    finally:
        application.database.close()
    histogram = samples[GATEWAY_LAG.name]
    assert isinstance(histogram, Histogram)
    assert sum(histogram.counts) == 2
    assert histogram.sum == 0.3
