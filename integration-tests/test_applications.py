"""The example applications nginx, Java and PostgreSQL use a new value after a rotation."""

from __future__ import annotations

from examples import baseline, example
from keeper import Keeper
from pods import PREFIX, Namespace, Pod, wait_for

RECORD = "database-credentials"
OLD = "correct-horse-battery"
NEW = r"a:new\password"
"""A password with both characters that are escaped in libpq's password file."""


def test_nginx_serves_the_new_certificate(space: Namespace, keeper: Keeper) -> None:
    """nginx reloads its certificate on a signal, without a restart of its container."""
    baseline(space)
    *others, pod = example("nginx-tls")
    pod["metadata"]["annotations"][f"{PREFIX}refresh-interval"] = "10s"
    space.apply(*others, pod)
    nginx = Pod(space, "nginx-tls").ready()
    before = nginx.read("/tls/server.pem").strip()
    address = nginx.object["status"]["podIP"]
    assert wait_for(lambda: keeper.certificate_of(address), "a certificate") == before
    keeper.order("renew", "shop-certificate")
    wait_for(lambda: keeper.certificate_of(address) not in {"", before}, "another certificate")
    assert keeper.certificate_of(address) == nginx.read("/tls/server.pem").strip()
    assert nginx.status("app")["restartCount"] == 0


def test_java_reads_the_key_store(space: Namespace) -> None:
    """keytool opens the key store with the password in the file next to it, and finds the key under the record's title."""
    baseline(space)
    space.apply(*example("java-keystore"))
    java = Pod(space, "java-keystore").ready()
    said = wait_for(lambda: "PrivateKeyEntry" in java.log() and java.log(), "keytool's listing, to its end")
    assert "Your keystore contains 1 entry" in said
    assert "shop-certificate" in said


def test_postgresql_is_reached_with_the_new_password(space: Namespace, keeper: Keeper) -> None:
    """The role's password changes and connections are closed; the client reconnects, and the old password is rejected."""
    baseline(space)
    server, client = Pod(space, "postgresql-server"), Pod(space, "postgresql")
    objects = example("postgresql")
    space.apply(objects[0])
    objects[2]["spec"]["containers"][0]["env"][0]["value"] = space.get("service/postgresql")["spec"]["clusterIP"]
    objects[2]["metadata"]["annotations"][f"{PREFIX}refresh-interval"] = "10s"
    space.apply(*objects[1:])
    wait_for(lambda: "connected as app" in client.ready().log(), "the first connection")
    connections = client.log().count("connected as app")
    keeper.set(RECORD, "password", NEW)
    try:
        wait_for(lambda: r"a\:new\\password" in client.read("/app/pgpass"), "the new password")
        change = f"ALTER ROLE app PASSWORD '{NEW}'"
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_addr IS NOT NULL"
        psql = ("psql", "--host=/tmp", "--username=app", "--dbname=postgres")
        server.run(*psql, f"--command={change}", f"--command={cut}")
        wait_for(lambda: client.log().count("connected as app") > connections, "another connection")
        old = ("env", f"PGPASSWORD={OLD}", "psql", "--command=SELECT 1")
        assert "password authentication failed" in client.run(*old, check=False)
        assert client.status("app")["restartCount"] == 0
    finally:
        keeper.set(RECORD, "password", OLD)
