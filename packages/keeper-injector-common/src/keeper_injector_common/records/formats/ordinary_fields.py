"""Which fields of a record may become variables although nobody has listed them: the ordinary fields of Keeper's record types.

Anyone who may edit a record can add a field with any label to it, and a variable such as ``NODE_EXTRA_CA_CERTS``, ``GIT_SSH_COMMAND`` or
``KUBECONFIG`` decides whom the application trusts and which code it runs. No list of dangerous names can be complete. So it
is the other way round: without a prefix and without a list of fields, a record sets only variables with these names, which no
program is known to read for such a purpose. The keys inside a structured value are checked too, because
``{"secret": {"key_base": …}}`` would become ``SECRET_KEY_BASE``.

Sources: the field types and record types of Keeper's documentation ("Field/Record Types", Keeper Secrets Manager), and the
labels in its standard record types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.patterns import pattern

if TYPE_CHECKING:
    from keeper_injector_common.records.record import JsonValue

# fmt: off
_TYPES = frozenset(
    (
        "accountNumber", "address", "bankAccount", "birthDate", "checkbox", "databaseType", "date", "directoryType", "dropdown",
        "email", "expirationDate", "groupNumber", "host", "keyPair", "licenseNumber", "login", "multiline", "name", "note",
        "oneTimeCode", "otp", "pamHostname", "passkey", "password", "paymentCard", "phone", "pinCode", "secret",
        "securityQuestion", "text", "url", "wifiEncryption",
    )
)
_LABELS = frozenset(
    (
        "SSID", "cardholderName", "company", "connectDatabase", "databaseId", "dateActive", "dateIssued", "distinguishedName",
        "driverLicenseNumber", "identityNumber", "instanceId", "instanceName", "insuredsName", "notes", "operatingSystem",
        "passphrase", "passportNumber", "privatePEMKey", "providerGroup", "providerRegion", "type", "useSSL",
    )
)
_PROPERTIES = frozenset(
    (
        "accountNumber", "accountType", "answer", "cardExpirationDate", "cardNumber", "cardSecurityCode", "city", "country",
        "ext", "first", "hostName", "last", "middle", "number", "otherType", "port", "privateKey", "publicKey", "question",
        "region", "routingNumber", "state", "street1", "street2", "type", "value", "zip",
    )
)
# fmt: on
_NAMES = frozenset(name.casefold() for name in _TYPES | _LABELS)
"""Upper and lower case make no difference to the name of a variable."""
_NUMBER = pattern(r"_[0-9]+$")
"""The end of the name of a second field of one type."""


def is_ordinary(field: str, value: JsonValue) -> bool:
    """Return whether a field of this name, with the keys inside its *value*, is one of Keeper's own.

    >>> is_ordinary("password_2", "x"), is_ordinary("host", {"hostName": "db"}), is_ordinary("GIT_SSH_COMMAND", "x")
    (True, True, False)
    """
    return _NUMBER.sub("", field).casefold() in _NAMES and _has_known_keys(value)


def _has_known_keys(value: JsonValue) -> bool:
    match value:
        case dict():
            return all(key in _PROPERTIES and _has_known_keys(part) for key, part in value.items())
        case list():
            return all(map(_has_known_keys, value))
        case _:
            return True
