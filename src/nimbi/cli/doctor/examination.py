"""All checks, in the order in which they are told."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from nimbi.cli.doctor import machine, storage, work
from nimbi.cli.doctor.finding import Diagnosis, Finding, Patient, Verdict, broken, poor
from nimbi.model.errors import CloudError
from nimbi.store.database import open_database
from nimbi.store.errors import StoreError
from nimbi.store.place import place_of

STORED = (*storage.CHECKS, *work.CHECKS)


async def examine(patient: Patient) -> AsyncIterator[Diagnosis]:
    """Give what each check has found. Nothing is changed."""
    for check in machine.CHECKS:
        try:
            finding = await check.look(patient)
        except OSError as error:
            finding = poor(f"cannot be looked at: {error}", "", "")
        yield Diagnosis(name=check.name, finding=finding)
    async for diagnosis in _kept(patient):
        yield diagnosis


async def _kept(patient: Patient) -> AsyncIterator[Diagnosis]:
    name = "form of the database"
    try:
        place = place_of(patient.options.database)
        if place.file is not None and (missing := _absence(place.file)):
            yield Diagnosis(name=name, finding=missing)
            return
        async with open_database(patient.options.database, upgrade=False) as database:
            found = await storage.form(database)
            yield Diagnosis(name=name, finding=found)
            if found.verdict is not Verdict.OK:
                return
            for check in STORED:
                try:
                    finding = await check.look(database, patient)
                except (CloudError, StoreError, SQLAlchemyError, OSError) as error:
                    finding = broken(f"cannot be looked at: {error}", "", "see the line above")
                yield Diagnosis(name=check.name, finding=finding)
    except (CloudError, StoreError) as error:
        finding = broken(
            str(error),
            "servers answer 503 to all that needs it",
            "see that the database runs and that NIMBI_DATABASE names it",
        )
        yield Diagnosis(name=name, finding=finding)


def _absence(file: Path) -> Finding | None:
    """Return what is told when there is no file, or one that is not ours to read."""
    if not file.exists():
        return Finding(found=f"{file} will be made at the first start")
    if not os.access(file, os.R_OK | os.W_OK):
        return broken(
            f"{file} cannot be read and written by this user",
            "no server of this user starts",
            f"chown {os.geteuid()} {file}",
        )
    return None
