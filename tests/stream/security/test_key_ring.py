from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest
import zmq.auth
import zmq.utils.z85
from door_samples import issue, ring_in
from hypothesis import given
from hypothesis import strategies as st

from stream.security.client_keys import ClientKeys
from stream.security.key_ring import KeyRing
from stream.security.keys import KeyFileError, KeyPair, checked, read_entries, read_pair, write_new


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return ring_in(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_for_their_owner_only_whatever_the_umask(ring: KeyRing):
    before = os.umask(0)
    try:
        issue(ring)
    finally:
        os.umask(before)
    files = [path for path in ring.folder.rglob("*") if path.is_file()]
    assert {path.relative_to(ring.folder).as_posix() for path in files} == {
        "server.key",
        "server.pub",
        "allowed/reader.pub",
        "issued/reader.key",
    }
    assert {mode(path) for path in files} == {0o600}
    assert {mode(path) for path in (ring.folder, ring.folder / "allowed", ring.folder / "issued")} == {0o700}


def test_the_server_keeps_its_pair(ring: KeyRing):
    pair = ring.server()
    assert KeyRing(ring.folder).server() == pair
    assert read_entries(ring.server_public, private=False)["public-key"] == pair.public
    assert pair.secret not in ring.server_public.read_text()


def test_a_lost_or_foreign_public_half_is_written_anew(ring: KeyRing):
    pair = ring.server()
    ring.server_public.unlink()
    write_new(ring.server_public, KeyPair.fresh().public)
    assert ring.server() == pair
    assert read_entries(ring.server_public, private=False)["public-key"] == pair.public


def test_pyzmq_reads_the_files(ring: KeyRing):
    path = ring.new("reader", "subscribe")
    pair = read_pair(path)
    assert zmq.auth.load_certificate(path) == (pair.public.encode(), pair.secret.encode())
    assert zmq.auth.load_certificate(ring.server_public) == (ring.server().public.encode(), None)


def test_czmq_style_files_of_pyzmq_are_read(tmp_path: Path):
    public, secret = zmq.auth.create_certificates(tmp_path, "mine")
    pair = read_pair(Path(secret))
    assert read_entries(Path(public), private=False)["public-key"] == pair.public


def test_the_list_holds_no_secret(ring: KeyRing):
    keys = issue(ring)
    (client,) = ring.clients()
    assert (client.name, client.role, client.public) == ("reader", "subscribe", keys.own.public)
    assert keys.own.secret not in (ring.folder / "allowed" / "reader.pub").read_text()
    assert keys.own.secret not in repr(keys) + str(keys)


def test_revoked_is_gone_and_a_name_can_be_used_again(ring: KeyRing):
    first = issue(ring)
    stamp = ring.stamp()
    with pytest.raises(KeyFileError, match="there is one"):
        ring.new("reader", "control")
    ring.revoke("reader")
    assert ring.clients() == []
    assert ring.stamp() != stamp
    assert not (ring.folder / "issued" / "reader.key").exists()
    with pytest.raises(KeyFileError, match="unknown"):
        ring.revoke("reader")
    assert issue(ring).own != first.own


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc/x", ".x", "-x", "a\0b", "a\n", "x" * 65, "é", "a b", "~", "C:x"]
)
def test_names_cannot_leave_the_folder(ring: KeyRing, name: str, tmp_path: Path):
    for act in (lambda: ring.new(name, "subscribe"), lambda: ring.revoke(name)):
        with pytest.raises(KeyFileError, match="no name"):
            act()
    assert not ring.folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_no_key(ring: KeyRing, tmp_path: Path):
    issue(ring)
    elsewhere = tmp_path / "elsewhere.pub"
    write_new(elsewhere, KeyPair.fresh().public, metadata={"role": "control"})
    (ring.folder / "allowed" / "link.pub").symlink_to(elsewhere)
    with pytest.raises(KeyFileError, match=r"link\.pub: cannot be read"):
        ring.clients()


def test_a_pipe_does_not_hang(ring: KeyRing):
    issue(ring)
    os.mkfifo(ring.folder / "allowed" / "pipe.pub")
    with pytest.raises(KeyFileError, match="no regular file"):
        ring.clients()


@pytest.mark.parametrize("folder", [".", "allowed"])
def test_a_folder_that_others_reach_is_refused(ring: KeyRing, folder: str):
    issue(ring)
    (ring.folder / folder).chmod(0o750)
    with pytest.raises(KeyFileError, match="mode 0700"):
        ring.clients()


def test_a_secret_that_others_may_read_is_refused(ring: KeyRing):
    ring.server()
    (ring.folder / "server.key").chmod(0o640)
    with pytest.raises(KeyFileError, match="mode 0600"):
        ring.server()


def test_a_client_may_have_its_key_mounted_but_is_warned(ring: KeyRing, caplog: pytest.LogCaptureFixture):
    path = ring.new("reader", "subscribe")
    path.chmod(0o644)
    keys = ClientKeys.read(path, ring.server_public)
    assert "can be read by others" in caplog.text
    assert keys.own.secret not in caplog.text


CONTENTS = {
    "empty": b"",
    "no key": b'curve\n    role = "control"\n',
    "short": b'    public-key = "abc"\n    role = "control"\n',
    "not z85": b'    public-key = "' + b"~" * 40 + b'"\n    role = "control"\n',
    "above 32 bits": b'    public-key = "' + b"#" * 40 + b'"\n    role = "control"\n',
    "no role": b'    public-key = "' + b"a" * 40 + b'"\n',
    "other role": b'    public-key = "' + b"a" * 40 + b'"\n    role = "root"\n',
    "binary": bytes(range(256)),
    "long": b'    public-key = "' + b"a" * 40 + b'"\n    role = "control"\n' + b"\n" * 5000,
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_broken_entry_makes_the_list_an_error(ring: KeyRing, content: str):
    issue(ring)
    path = ring.folder / "allowed" / "broken.pub"
    path.write_bytes(CONTENTS[content])
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"broken\.pub") as error:
        ring.clients()
    assert "\n" not in str(error.value)
    assert "~" not in str(error.value)


def test_one_key_under_two_names_is_an_error(ring: KeyRing):
    issue(ring)
    content = (ring.folder / "allowed" / "reader.pub").read_bytes()
    (ring.folder / "allowed" / "twin.pub").write_bytes(content)
    with pytest.raises(KeyFileError, match="two files hold the same key"):
        ring.clients()


def test_halves_of_two_pairs_are_an_error(tmp_path: Path):
    write_new(tmp_path / "k", KeyPair.fresh().public, KeyPair.fresh().secret)
    with pytest.raises(KeyFileError, match="different pairs"):
        read_pair(tmp_path / "k")


def test_nothing_is_replaced_and_nothing_half_written_is_left(tmp_path: Path):
    write_new(tmp_path / "k", "a" * 40)
    with pytest.raises(KeyFileError, match="exists"):
        write_new(tmp_path / "k", "b" * 40)
    with pytest.raises(KeyFileError, match="cannot be written"):
        write_new(tmp_path / "missing" / "k", "b" * 40)
    assert [path.name for path in tmp_path.iterdir()] == ["k"]
    assert "a" * 40 in (tmp_path / "k").read_text()


@given(st.text(max_size=60) | st.text("0123456789abcdefghijklmnopqrstuvwxyzZ#$%@", min_size=40, max_size=40))
def test_any_text_is_a_key_that_zeromq_takes_or_an_error(text: str):
    with suppress(KeyFileError):
        raw = zmq.utils.z85.decode(checked(text, "here").encode())
        assert zmq.utils.z85.encode(raw).decode() == text


@given(st.binary(min_size=32, max_size=32))
def test_every_key_of_32_bytes_is_taken(raw: bytes):
    assert checked(zmq.utils.z85.encode(raw).decode(), "here")
