"""Files of keys and trust: what is read, what is written, and what is refused."""

import errno
import os
import posix
import socket
import stat
import threading

import pytest

from rexec import files
from rexec.errors import ConfigError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def put(path, data=b"x", mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


READERS = [files.read_private, lambda path: files.read_trusted(path, 100), files.read_any]
WRITERS = [files.create_private, files.create_public]


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_file_is_read(here, mode):
    assert files.read_private(put(here / "key", b"secret", mode)) == b"secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610])
def test_a_key_that_others_may_read_or_write_is_refused(here, mode):
    """security.md, Protocol: key files: refused when others may read or write them."""
    put(here / "key", mode=mode)
    with pytest.raises(ConfigError, match=r"^key: others may read or write it$") as caught:
        files.read_private("key")
    assert caught.value.hint == "chmod 600 key"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_trusted_file_that_others_may_write_is_refused(here, mode):
    put(here / "it's a list", mode=mode)
    with pytest.raises(ConfigError, match="others may write it") as caught:
        files.read_trusted("it's a list", 10)
    assert caught.value.hint == "chmod go-w 'it'\\''s a list'"


def test_a_trusted_file_that_others_may_read_is_read(here):
    assert files.read_trusted(put(here / "list", "ä".encode(), 0o644), 2) == "ä"


def test_a_public_file_is_read_whoever_may_write_it(here):
    assert files.read_any(put(here / "key.pub", b"x", 0o666)) == b"x"


@pytest.mark.parametrize("read", READERS)
def test_a_file_of_another_user_is_read_only_where_it_does_not_matter(here, monkeypatch, read):
    path = put(here / "key")
    owner = os.stat(path).st_uid
    monkeypatch.setattr(posix, "geteuid", lambda: owner + 1)
    if read is files.read_any or owner == 0:  # root's files are trusted by all
        assert read(path)
        return
    with pytest.raises(ConfigError, match=f"belongs to another user .uid {owner}."):
        read(path)


@pytest.mark.parametrize("read", READERS[:2])
def test_a_file_of_a_stranger_is_refused(here, monkeypatch, read):
    path = put(here / "key")
    seen = os.fstat

    def as_of_a_stranger(descriptor):
        fields = list(seen(descriptor))
        fields[stat.ST_UID] = os.geteuid() + 1
        return os.stat_result(fields)

    monkeypatch.setattr(posix, "fstat", as_of_a_stranger)
    with pytest.raises(ConfigError, match="belongs to another user"):
        read(path)


@pytest.mark.parametrize("read", READERS)
def test_a_fifo_does_not_hang(here, read):
    """security.md, Processes: a FIFO policy file."""
    os.mkfifo(here / "fifo", 0o600)
    with pytest.raises(ConfigError, match=r"^fifo: is not a regular file$"):
        read("fifo")


@pytest.mark.parametrize("read", READERS)
def test_what_is_no_file_is_refused_in_one_line(here, read):
    (here / "dir").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    (here / "loop").symlink_to("loop")
    for path, why in [
        ("dir", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
        ("socket", "no such device or address"),
        ("missing", "no such file or directory"),
        ("loop", "is a symbolic link that is not followed"),
        ("a\0b", "is no path"),
        ("x" * 300, "file name too long"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {why}"


def test_a_link_to_a_key_of_one_s_own_is_followed_for_reading(here):
    put(here / "key", b"secret")
    (here / "link").symlink_to("key")
    assert files.read_private("link") == b"secret"


def test_a_file_over_its_limit_is_refused(here):
    """security.md, Processes: a huge policy file."""
    assert files.read_trusted(put(here / "list", b"x" * 10), 10) == "x" * 10
    with pytest.raises(ConfigError, match=r"^list: is larger than 9 bytes$"):
        files.read_trusted("list", 9)
    with pytest.raises(ConfigError, match="key: is larger than 65536 bytes"):
        files.read_private(put(here / "key", b"x" * 65_537))


def test_a_file_that_is_not_utf_8_names_the_line(here):
    put(here / "list", b"a\n\xff\n")
    with pytest.raises(ConfigError, match=r"^list:2: is not UTF-8$"):
        files.read_trusted("list", 10)


def test_an_error_while_reading_is_one_line(here, monkeypatch):
    def fail(descriptor, size):
        raise OSError(errno.EIO, "Input/output error")

    put(here / "key")
    monkeypatch.setattr(posix, "read", fail)
    with pytest.raises(ConfigError, match=r"^key: input/output error$"):
        files.read_private("key")


# --- creating -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("create", "mode"), [(files.create_private, 0o600), (files.create_public, 0o644)])
def test_a_new_file_has_its_mode_under_any_umask(here, umask, create, mode):
    """security.md, Protocol: key files: created 0600 with O_EXCL under any umask."""
    create("new", b"data")
    assert mode_of("new") == mode
    assert os.listdir() == ["new"]
    os.chmod("new", 0o600)
    assert (here / "new").read_bytes() == b"data"


@pytest.mark.parametrize("create", WRITERS)
def test_what_exists_is_never_overwritten(here, create):
    put(here / "old", b"old")
    with pytest.raises(ConfigError, match=r"^old: already exists, and is never overwritten$"):
        create("old", b"new")
    assert (here / "old").read_bytes() == b"old"
    assert os.listdir() == ["old"]


@pytest.mark.parametrize("create", WRITERS)
@pytest.mark.parametrize("target", ["elsewhere", "there"])
def test_nothing_is_written_through_a_planted_link(here, create, target):
    """security.md, Protocol: key files: a planted link."""
    put(here / "there", b"theirs")
    (here / "key").symlink_to(target)
    with pytest.raises(ConfigError, match="already exists"):
        create("key", b"new")
    assert sorted(os.listdir()) == ["key", "there"]
    assert (here / "there").read_bytes() == b"theirs"


def test_of_many_creators_one_wins_and_the_file_is_whole(here):
    start = threading.Barrier(8)
    lost = []

    def create(number):
        start.wait()
        try:
            files.create_private("key", bytes([number]) * 10_000)
        except ConfigError:
            lost.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = (here / "key").read_bytes()
    assert len(lost) == 7
    assert len(data) == 10_000
    assert len(set(data)) == 1
    assert os.listdir() == ["key"]


def test_a_full_disk_leaves_nothing_behind(here, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(posix, "fsync", full)
    with pytest.raises(ConfigError, match=r"^key: no space left on device$"):
        files.create_private("key", b"x")
    assert os.listdir() == []


def test_a_write_in_pieces_is_whole(here, monkeypatch):
    write = os.write
    monkeypatch.setattr(posix, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    files.create_private("key", b"0123456789")
    assert (here / "key").read_bytes() == b"0123456789"


def test_a_directory_that_cannot_be_synced_is_no_error(here, monkeypatch):
    sync = os.fsync

    def only_files(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(posix, "fsync", only_files)
    files.create_private("key", b"x")
    assert os.listdir() == ["key"]


@pytest.mark.parametrize("write", [*WRITERS, lambda path, data: files.append_line(path, "x")])
def test_a_place_where_nothing_can_be_made_is_one_line(here, write):
    for path, why in [("missing/key", "^missing/key: no such file or directory"), ("a\0b", "is no path")]:
        with pytest.raises(ConfigError, match=why):
            write(path, b"x")


# --- the directory of all state -------------------------------------------------------------------


def test_a_home_is_made_for_its_owner_alone_under_any_umask(here, umask):
    files.ensure_home("home")
    assert mode_of("home") == 0o700
    files.ensure_home("home")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_a_home_that_others_may_write_is_refused(here, mode):
    (here / "home").mkdir()
    (here / "home").chmod(mode)
    with pytest.raises(ConfigError, match=r"^home: others may write it$") as caught:
        files.ensure_home("home")
    assert caught.value.hint == "chmod go-w home"


def test_a_home_that_others_may_read_or_that_is_a_link_is_taken(here):
    (here / "home").mkdir()
    (here / "home").chmod(0o755)
    (here / "link").symlink_to("home")
    files.ensure_home("home")
    files.ensure_home("link")


def test_a_home_that_cannot_be_is_one_line(here):
    put(here / "file")
    (here / "dangling").symlink_to("nowhere")
    for path, why in [
        ("file", "is not a directory"),
        ("a/b", "no such file or directory"),
        ("dangling", "no such file or directory"),
        ("a\0b", "is no path"),
    ]:
        with pytest.raises(ConfigError) as caught:
            files.ensure_home(path)
        assert str(caught.value) == f"{path}: {why}"


@pytest.mark.parametrize(
    ("option", "environ", "found"),
    [
        ("opt", {"REXEC_HOME": "/env", "HOME": "/h"}, "opt"),
        (None, {"REXEC_HOME": "/env", "HOME": "/h"}, "/env"),
        (None, {"REXEC_HOME": "", "HOME": "/h"}, "/h/.rexec"),
        (None, {"HOME": "/h"}, "/h/.rexec"),
    ],
)
def test_the_home_is_named_by_option_environment_or_account(option, environ, found):
    assert files.home(option, environ) == found


def test_without_a_home_in_the_environment_the_account_has_one(monkeypatch):
    assert files.home(None, {}).endswith("/.rexec")
    monkeypatch.setattr(posix, "getuid", lambda: 4_000_000_000)
    with pytest.raises(ConfigError, match="no home directory"):
        files.home(None, {})


def test_an_empty_home_option_is_refused():
    with pytest.raises(ConfigError, match="--home names no directory"):
        files.home("", {})


# --- lines and changes ----------------------------------------------------------------------------


def test_a_line_is_added_to_a_file_that_is_made_for_its_owner(here, umask):
    files.append_line("known_hosts", "one")
    assert mode_of("known_hosts") == 0o600
    files.append_line("known_hosts", "two ä\udcff")
    assert (here / "known_hosts").read_bytes() == b"one\ntwo \xc3\xa4\xff\n"


@pytest.mark.parametrize(("before", "after"), [(b"", b"x\n"), (b"a", b"a\nx\n"), (b"a\n", b"a\nx\n")])
def test_a_line_is_a_line_of_its_own(here, before, after):
    put(here / "list", before, 0o644)
    files.append_line("list", "x")
    assert (here / "list").read_bytes() == after
    assert mode_of("list") == 0o644


@pytest.mark.parametrize("line", ["a\nb", "a\rb", "a\n"])
def test_a_line_with_an_end_in_it_is_refused(here, line):
    with pytest.raises(ConfigError, match="end of line"):
        files.append_line("list", line)
    assert os.listdir() == []


def test_nothing_is_added_through_a_link_or_to_what_is_no_file(here):
    """security.md, Protocol: key files: a planted link."""
    put(here / "there", b"theirs\n")
    (here / "link").symlink_to("there")
    (here / "dangling").symlink_to("new")
    os.mkfifo(here / "fifo")
    for path in ("link", "dangling"):
        with pytest.raises(ConfigError, match="is a symbolic link that is not followed"):
            files.append_line(path, "x")
    with pytest.raises(ConfigError, match="is not a regular file"):
        files.append_line("fifo", "x")
    assert (here / "there").read_bytes() == b"theirs\n"
    assert not (here / "new").exists()


def test_nothing_is_added_to_a_file_that_others_may_write(here):
    put(here / "list", b"", 0o666)
    with pytest.raises(ConfigError, match="others may write it"):
        files.append_line("list", "x")


def test_a_first_line_that_does_not_fit_leaves_no_file(here, monkeypatch):
    """An empty `authorized_keys` counts as there, and lets nobody in."""

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(posix, "write", full)
    with pytest.raises(ConfigError, match=r"^list: no space left on device$"):
        files.append_line("list", "x")
    assert os.listdir() == []


def test_a_first_line_needs_no_disk_with_links(here, monkeypatch):
    def none(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(posix, "link", none)
    files.append_line("list", "x")
    assert (here / "list").read_bytes() == b"x\n"
    assert (os.listdir(), mode_of("list")) == (["list"], 0o600)


def test_a_line_that_does_not_fit_is_an_error(here, monkeypatch):
    put(here / "list", b"a\n")
    monkeypatch.setattr(posix, "write", lambda descriptor, data: 1)
    with pytest.raises(ConfigError, match=r"^list: no space left on device$"):
        files.append_line("list", "x")


def test_a_stamp_changes_with_the_file(here):
    assert files.stamp("list") is None
    assert files.stamp("a\0b") is None
    put(here / "list", b"a")
    first = files.stamp("list")
    assert first is not None
    assert files.stamp("list") == first
    put(here / "other", b"b")
    os.replace("other", "list")
    assert files.stamp("list") != first


def test_an_error_without_words_is_one_line_too():
    assert str(files.refused("x", OSError("Odd"))) == "x: odd"


def test_letters_that_the_locale_lacks_are_one_line():
    assert files.encoded("a\udcff\u20ac") == b"a\xff\xe2\x82\xac"
    with pytest.raises(ConfigError, match="not in the locale") as refused:
        files.encoded("a\ud800")
    assert str(refused.value).isprintable()
    assert files.expanded("~\ud800/x") == "~\ud800/x"
