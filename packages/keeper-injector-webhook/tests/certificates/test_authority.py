"""Rotation: which CA signs when, and material as the data of a Secret."""

from __future__ import annotations

from certificate_cluster import DAY, NOW, OBJECTS, material, verify

from keeper_injector_webhook.certificates import authority, stored


def test_the_steps_of_a_rotation() -> None:
    """A leaf and a CA are renewed at two thirds of their life; a new CA signs after a day, the old one stays until it expires."""
    first = material()
    assert authority.renew_if_due(first, NOW + 59 * DAY, OBJECTS.names) is first
    second = authority.renew_if_due(first, NOW + 61 * DAY, OBJECTS.names)
    assert second.authorities == first.authorities
    assert second.leaf != first.leaf
    due = NOW + authority.CA_LIFE * 2 / 3
    third = authority.renew_if_due(second, due, OBJECTS.names)
    assert len(third.authorities) == 2
    verify(third.leaf.certificate, first.bundle, due)
    fourth = authority.renew_if_due(third, due + 61 * DAY, OBJECTS.names)
    verify(fourth.leaf.certificate, fourth.authorities[1].certificate, due + 61 * DAY)
    fifth = authority.renew_if_due(fourth, NOW + authority.CA_LIFE + DAY, OBJECTS.names)
    assert fifth.authorities == third.authorities[1:]


def test_another_name_is_another_certificate() -> None:
    """A change of the Service's name renews the leaf but not the CA."""
    first = material()
    other = authority.renew_if_due(first, NOW, ("other.injector.svc",))
    assert other.authorities == first.authorities
    assert other.leaf != first.leaf


def test_material_is_read_back_from_a_secret() -> None:
    """A Secret is read back as it was written; a damaged or mixed one is not used."""
    first, second = material(), material()
    data = stored.to_secret_data(first)
    assert stored.from_secret_data(data) == first
    for name in data:
        assert stored.from_secret_data({**data, name: "AA=="}) is None
        assert stored.from_secret_data({key: value for key, value in data.items() if key != name}) is None
    assert stored.from_secret_data({**data, "tls.key": stored.to_secret_data(second)["tls.key"]}) is None
    assert "PRIVATE" not in repr(first)
