"""How programs call their remote shell, one row a form that was recorded: each is understood.

The words are those that the programs pass to `ssh`, written as a shell would take them.
"""

from __future__ import annotations

import shlex

import pytest

from rexec.cli.ssh.options import parse
from rexec.cli.ssh.request import text_of

# arguments; host, command as it is sent, and what else was said
FORMS: list[tuple[str, str, str, dict[str, object]]] = [
    # rsync
    (
        "-l U H rsync --server -vlogDtpre.iLsfxCIvu . /srv/two\\\\ words",
        "H",
        "rsync --server -vlogDtpre.iLsfxCIvu . /srv/two\\ words",
        {"user": "U"},
    ),
    (
        "-p 7000 -X H rsync --server --sender -vlogDtpr . /srv",
        "H",
        "rsync --server --sender -vlogDtpr . /srv",
        {"port": 7000},
    ),
    ("-4 H rsync --server --daemon .", "H", "rsync --server --daemon .", {}),
    ("H 'nice rsync' --server . /srv", "H", "nice rsync --server . /srv", {}),
    # git
    ("-G -p 2222 git@H", "H", "", {"port": 2222, "user": "git", "shows_settings": True}),
    (
        "-o SendEnv=GIT_PROTOCOL -p 2222 git@H 'git-upload-pack '\\''/srv/a b.git'\\'''",
        "H",
        "git-upload-pack '/srv/a b.git'",
        {"send_env": ["GIT_PROTOCOL"], "port": 2222, "user": "git"},
    ),
    (
        "-o SendEnv=GIT_PROTOCOL -6 H 'git-receive-pack '\\''x'\\'''",
        "H",
        "git-receive-pack 'x'",
        {"send_env": ["GIT_PROTOCOL"]},
    ),
    ("git@H 'git-upload-pack '\\''/r'\\'''", "H", "git-upload-pack '/r'", {"user": "git"}),
    (
        "git@H -n -T 'git-annex-shell '\\''configlist'\\'' '\\''/r'\\'''",
        "H",
        "git-annex-shell 'configlist' '/r'",
        {"user": "git", "no_stdin": True, "tty": "no"},
    ),
    # scp, sftp
    (
        "-x -oPermitLocalCommand=no -oClearAllForwardings=yes -oRemoteCommand=none -oRequestTTY=no -q -C -4 "
        "-oForwardAgent=no -p 22 -l U -s -- H sftp",
        "H",
        "sftp",
        {"is_subsystem": True, "tty": "no", "quiet": True, "port": 22, "user": "U"},
    ),
    (
        "-x -oPermitLocalCommand=no -oClearAllForwardings=yes -oRemoteCommand=none -oRequestTTY=no "
        "-oForwardAgent=no -l U -- H 'scp -v -r -p -d -t /srv/a*'",
        "H",
        "scp -v -r -p -d -t /srv/a*",
        {"is_subsystem": False, "user": "U"},
    ),
    ("-x -oClearAllForwardings=yes -n -q -- H scp SRC DST", "H", "scp SRC DST", {"no_stdin": True}),
    (
        "'-oForwardX11 no' '-oPermitLocalCommand no' '-oClearAllForwardings yes' -q -o Compression=no "
        "'-obatchmode yes' -C '-oForwardAgent no' '-oPort 2622' -l U -s -- H sftp",
        "H",
        "sftp",
        {"is_subsystem": True, "batch": True, "port": 2622, "user": "U", "quiet": True},
    ),
    (
        "'-oForwardX11 no' -l U -- H /usr/lib/openssh/sftp-server",
        "H",
        "/usr/lib/openssh/sftp-server",
        {"is_subsystem": False},
    ),
    (
        "-x -a -oClearAllForwardings=yes -oPort=22 -2 -s -- U@H sftp",
        "H",
        "sftp",
        {"is_subsystem": True, "user": "U", "port": 22},
    ),
    ("-a -x -s -l U -p 7 H sftp", "H", "sftp", {"is_subsystem": True, "user": "U", "port": 7}),
    ("-l U -p 7 H 'echo FISH:;/bin/sh'", "H", "echo FISH:;/bin/sh", {"user": "U", "port": 7}),
    ("H -p 7 -l U -s sftp", "H", "sftp", {"is_subsystem": True, "user": "U", "port": 7}),
    ("-p 7 U@H -s sftp", "H", "sftp", {"is_subsystem": True, "user": "U", "port": 7}),
    # other repositories and backups
    ("-p 7 U@H borg serve --info --umask=077", "H", "borg serve --info --umask=077", {"port": 7}),
    ("-p 7 U@H 'hg -R repo serve --stdio'", "H", "hg -R repo serve --stdio", {"user": "U"}),
    ("-q -o ControlMaster=no -- U@H svnserve -t", "H", "svnserve -t", {"quiet": True, "master": "no"}),
    ("-l U -- H 'cvs server'", "H", "cvs server", {"user": "U"}),
    (
        "-oForwardX11=no -oForwardAgent=no -oClearAllForwardings=yes "
        "-oNoHostAuthenticationForLocalhost=yes -p 7 -l U -- H bzr serve --inet --directory=/ --allow-writes",
        "H",
        "bzr serve --inet --directory=/ --allow-writes",
        {"port": 7, "user": "U"},
    ),
    ("-- U@H darcs transfer-mode --repodir /r/", "H", "darcs transfer-mode --repodir /r/", {"user": "U"}),
    ("-e none -T -- U@H fossil test-http /r", "H", "fossil test-http /r", {"tty": "no"}),
    ("-C U@H rdiff-backup --server", "H", "rdiff-backup --server", {"user": "U"}),
    (
        "-p 7 -oBatchMode=yes -oX=Y -l U H rsync --server .",
        "H",
        "rsync --server .",
        {"batch": True, "port": 7, "user": "U"},
    ),
    (
        "-oPort=7 -oServerAliveInterval=15 -oServerAliveCountMax=2 U@H true",
        "H",
        "true",
        {"alive_interval": 15.0, "alive_count": 2, "port": 7},
    ),
    ("-l U -p 7 H -e none unison -server __new-rpc-mode", "H", "unison -server __new-rpc-mode", {"port": 7}),
    (
        "-p 7 U@H -- 'sh -c '\\''BUP_DEBUG=0 BUP_FORCE_TTY=0  bup server'\\'''",
        "H",
        "sh -c 'BUP_DEBUG=0 BUP_FORCE_TTY=0  bup server'",
        {"port": 7, "user": "U"},
    ),
    ("H -l U /usr/sbin/rmt", "H", "/usr/sbin/rmt", {"user": "U"}),
    # many hosts
    ("-l U H -- exec perl -X -e 'a,b/c/' 6465", "H", "exec perl -X -e a,b/c/ 6465", {"user": "U"}),
    ("H 'cd d/././.; rsync' --server --sender . x", "H", "cd d/././.; rsync --server --sender . x", {}),
    (
        "-oConnectTimeout=10 -2 -a -x -lU H 'uname -a'",
        "H",
        "uname -a",
        {"user": "U", "connect_timeout": 10.0},
    ),
    (
        "-oForwardAgent=no -oForwardX11=no -l U -oConnectTimeout=15 -oBatchMode=yes H 'uname -a'",
        "H",
        "uname -a",
        {"batch": True, "connect_timeout": 15.0},
    ),
    (
        "-T H -o NumberOfPasswordPrompts=1 -o SendEnv=PSSH_NODENUM -o SendEnv=PSSH_NUMNODES "
        "-o SendEnv=PSSH_HOST -l U -p 7 'uname -a'",
        "H",
        "uname -a",
        {"send_env": ["PSSH_NODENUM", "PSSH_NUMNODES", "PSSH_HOST"], "tty": "no", "user": "U"},
    ),
    (
        "-C -o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=no "
        "-o KbdInteractiveAuthentication=no -o PreferredAuthentications=gssapi-with-mic,publickey "
        "-o PasswordAuthentication=no -o Port=22 -o 'User=\"root\"' -o ConnectTimeout=10 "
        "-o 'ControlPath=\"/tmp/a b/%C\"' -tt H '/bin/sh -c '\\''echo ~ && sleep 0'\\'''",
        "H",
        "/bin/sh -c 'echo ~ && sleep 0'",
        {
            "user": "root",
            "port": 22,
            "master": "auto",
            "persist": 60.0,
            "control_path": "/tmp/a b/%C",
            "strict": "accept-new",
            "tty": "force",
        },
    ),
    (
        "-n -tt -S none -o 'ProxyCommand=mosh --fake-proxy -- %h %p' U@H -- 'mosh-server '\\''new'\\'''",
        "H",
        "mosh-server 'new'",
        {
            "no_stdin": True,
            "tty": "force",
            "control_path": "none",
            "proxy_command": "mosh --fake-proxy -- %h %p",
            "user": "U",
        },
    ),
    ("-l U H distccd --inetd --enable-tcp-insecure", "H", "distccd --inetd --enable-tcp-insecure", {}),
    (
        "-p 7 -l U -i /dev/null -T -e none -o BatchMode=yes -- H 'sh -c '\\''which x; if y'\\'''",
        "H",
        "sh -c 'which x; if y'",
        {"batch": True, "identity_files": ["/dev/null"], "tty": "no"},
    ),
    ("H ' orted' -mca ess '\"env\"'", "H", ' orted -mca ess "env"', {}),
    (
        "-x H '\"/usr/bin/hydra_pmi_proxy\"' --control-port 1",
        "H",
        '"/usr/bin/hydra_pmi_proxy" --control-port 1',
        {},
    ),
    (
        "'-o ConnectTimeout=30' -T -l U -p 7 -- H docker system dial-stdio",
        "H",
        "docker system dial-stdio",
        {"connect_timeout": 30.0, "tty": "no"},
    ),
    ("-lU H doveadm dsync-server -uUSER -U", "H", "doveadm dsync-server -uUSER -U", {"user": "U"}),
]


@pytest.mark.parametrize(("arguments", "host", "text", "fields"), FORMS)
def test_the_form_of_a_program_is_understood(
    arguments: str, host: str, text: str, fields: dict[str, object]
) -> None:
    """remote-shell.md: the table of "How programs call their remote shell"."""
    found = parse(shlex.split(arguments))
    assert found.host == host
    assert text_of(found) == text
    assert {name: getattr(found, name) for name in fields} == fields
    assert found.warnings == []
