"""What a scrape says, taken apart by the library's own parser."""

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Figures:
    """
    Every sample of a scrape in the plain text format; of ours, the names stand without "hookmart_".

    Attributes:
        metrics: All metrics, whosever they are: the type and the labels of each.
    """

    def __init__(self, body: bytes) -> None:
        self.metrics: dict[str, tuple[str, set[str]]] = {}
        self._samples: dict[tuple[str, Labels], float] = {}
        for family in text_string_to_metric_families(body.decode()):
            name = family.name + ("_total" if family.type == "counter" else "")
            self.metrics[name] = (family.type, {label for each in family.samples for label in each.labels} - {"le"})
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self._samples, f"{key} stands there twice"
                self._samples[key] = sample.value

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of the one series with exactly *labels*, or None."""
        return self._samples.get((f"hookmart_{name}", frozenset(labels.items())))

    def all(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The values of all series of a metric that are not zero, by their *labels*."""
        return {
            tuple(dict(found)[label] for label in labels): value
            for (sample, found), value in self._samples.items()
            if sample == f"hookmart_{name}" and value
        }

    def count(self) -> int:
        """How many series of ours there are."""
        return sum(name.startswith("hookmart_") for name, _ in self._samples)
