"""What can go wrong with the database and with what is sealed in it.

StoreError              the database, a key or a backup is not what it should be
├── NewerSchema         a newer Nimbi made the database or the backup
├── StoreUnavailable    the database could not be asked; it is a CloudUnavailable too, so front ends
│                       answer it as they answer a cloud that cannot be reached
└── SealError           a key is wrong, or what was sealed cannot be opened
    └── UnknownKey      sealed with a key that the keyring does not have
"""

from nimbi.model.errors import CloudUnavailable


class StoreError(Exception):
    """The database, a key or a backup is not what it should be. Never holds a secret."""


class NewerSchema(StoreError):
    """A newer Nimbi made the database or the backup, and this one cannot read it."""


class StoreUnavailable(StoreError, CloudUnavailable):
    """The database could not be asked; what was asked of it is not done, or done as a whole."""


class SealError(StoreError):
    """A key is wrong, or what was sealed cannot be opened."""


class UnknownKey(SealError):
    """Sealed with a key that the keyring does not have."""
