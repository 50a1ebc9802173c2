"""Where a store is, and how the URL of a blob in it reads."""

from collections.abc import Iterable
from dataclasses import dataclass

from nimbi.drivers.ec2.objects.names import in_path, is_host
from nimbi.wire.sigv4 import encoded

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Site:
    """A store. `url` has no slash at its end; `region` is what signatures name.

    `is_aws` says that other regions are other hosts, which differ in the region's name only.
    `path_style` None is AWS's own choice: the bucket in the host where a name allows it.
    """

    url: str
    region: str
    is_aws: bool = False
    path_style: bool | None = None

    def url_of(self, region: str, bucket: str, key: str, query: Pairs) -> str:
        """Return the URL of a blob, a bucket (no key) or the store (no bucket), all encoded."""
        base = self._base(region)
        if bucket and self._in_host(bucket):
            scheme, _, place = base.partition("://")
            url = f"{scheme}://{bucket}.{place}/{in_path(key)}"
        else:
            path = f"{bucket}/{in_path(key)}" if key else bucket
            url = f"{base}/{path}"
        # A name without a value is sent with "=", as S3 signs it.
        pairs = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in query)
        return f"{url}?{pairs}" if pairs else url

    def _in_host(self, bucket: str) -> bool:
        if self.path_style is not None:
            return not self.path_style and is_host(bucket)
        return self.is_aws and is_host(bucket)

    def _base(self, region: str) -> str:
        if not self.is_aws or region == self.region:
            return self.url
        return self.url.replace(f".{self.region}.", f".{region}.")
