"""What the protocol refuses, as one tree:

SyncError
├── Refused        the statement can never be one: nothing of it is used
├── Held           a genuine or unknown statement that needs a person or an upgrade: kept, its topic waits
├── Deferred       solves itself when what is missing arrives
├── BadDocument    an exchange document without a valid envelope: changes nothing
├── BadKey         a public key that may not be enrolled
└── TransportError try later

`code` is what the other side is told; SPEC 8.5 lists every one.
"""


class SyncError(Exception):
    """The protocol refuses this."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Refused(SyncError):
    """The bytes are not a statement."""


class Held(SyncError):
    """The statement waits for a person or an upgrade."""


class Deferred(SyncError):
    """The statement waits for another one."""


class BadDocument(SyncError):
    """The exchange document has no valid envelope."""


class BadKey(SyncError):
    """This public key may not be enrolled."""


class TransportError(SyncError):
    """The peer could not be reached or did not answer as a node does."""
