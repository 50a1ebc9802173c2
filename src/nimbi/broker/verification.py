"""Whether the audit is as it was written."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from nimbi.model.audit import AuditFault, AuditReport
from nimbi.model.errors import Invalid
from nimbi.store.audit import AuditStore, Chain, hash_of, head_of

PAGE = 1000
# How many faults are named; who has changed more has changed everything.
MOST_FAULTS = 100

PRUNE = "audit.prune"
HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class _Walk:
    """One way along the chain; each row is held against the one before."""

    def __init__(self, chain: Chain, expected: tuple[int, bytes] | None) -> None:
        self.seq, self.hash = chain.anchor_seq, chain.anchor_hash
        self.entries = self.first = 0
        self.faults: list[AuditFault] = []
        self._expected = expected
        # What the chain itself says of its beginning; it begins with the first entry, or there.
        self.anchors = {(0, bytes(32).hex())}

    def take(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.first = self.first or row.seq
            self.entries += 1
            for text in self._wrong(row):
                self.fault(row.seq, text)
            self.seq, self.hash = row.seq, bytes(row.hash)
            if row.operation == PRUNE:
                self._note_anchor(row)
            if self._expected is not None and self._expected[0] == row.seq:
                self._expect(row.hash)

    def end(self, chain: Chain) -> None:
        """Hold the last row against what the head says, and the first against what is told."""
        if self.seq < chain.seq:
            self.fault(chain.seq, f"{_range(self.seq + 1, chain.seq)} removed")
        elif self.seq == chain.seq and self.hash != chain.hash:
            self.fault(chain.seq, "the last entry was replaced: the head knows another")
        if (chain.anchor_seq, chain.anchor_hash.hex()) not in self.anchors:
            self.fault(
                chain.anchor_seq,
                f"no entry tells that retention removed those up to {chain.anchor_seq}",
            )
        if self._expected is not None and self._expected[0] > self.seq:
            self.fault(self._expected[0], "the expected head is gone, and all after it")

    def report(self) -> AuditReport:
        return AuditReport(
            is_whole=not self.faults,
            entries=self.entries,
            first=self.first,
            last=self.seq if self.entries else 0,
            head=head_of(self.seq, self.hash),
            faults=tuple(self.faults),
        )

    def _wrong(self, row: Any) -> Iterator[str]:
        if row.seq > self.seq + 1:
            yield f"{_range(self.seq + 1, row.seq - 1)} removed"
        elif bytes(row.previous) != self.hash:
            yield (
                f"entry {row.seq} does not follow entry {row.seq - 1}: "
                "one of them was replaced or moved"
            )
        if hash_of(row) != bytes(row.hash):
            yield f"entry {row.seq} was changed, or moved here"

    def _note_anchor(self, row: Any) -> None:
        told = msgspec.json.decode(bytes(row.details))
        self.anchors.add((told.get("through"), told.get("hash")))

    def _expect(self, hash: bytes) -> None:
        assert self._expected is not None  # noqa: S101  asked just before
        if bytes(hash) != self._expected[1]:
            self.fault(
                self._expected[0], f"entry {self._expected[0]} has another hash than expected"
            )

    def fault(self, seq: int, text: str) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(AuditFault(seq=seq, text=text))


async def verified(store: AuditStore, expect: str | None = None) -> AuditReport:
    """Go through all entries as `Audit.verify` says. Raises Invalid for no head."""
    expected = _parsed(expect) if expect is not None else None
    while True:
        chain = await store.chain()
        walk = _Walk(chain, expected)
        await _walked(store, chain, walk)
        # Retention has removed entries from under our feet: those are no faults.
        if (await store.chain()).anchor_seq == chain.anchor_seq:
            return walk.report()


async def _walked(store: AuditStore, chain: Chain, walk: _Walk) -> None:
    while rows := await store.rows(walk.seq, PAGE):
        # What is appended meanwhile is for the next one to verify.
        walk.take([row for row in rows if row.seq <= chain.seq])
        if rows[-1].seq >= chain.seq:
            break
    walk.end(chain)
    newest = await store.before(None, 1)
    if newest and newest[0].seq > await store.newest():
        walk.fault(newest[0].seq, f"the head was set back: it does not know entry {newest[0].seq}")


def _parsed(head: str) -> tuple[int, bytes]:
    found = HEAD.fullmatch(head)
    if found is None:
        raise Invalid("a head is NUMBER:HASH, as an earlier verification has told it")
    return int(found[1]), bytes.fromhex(found[2])


def _range(first: int, last: int) -> str:
    return f"entry {first} was" if first == last else f"entries {first} to {last} were"
