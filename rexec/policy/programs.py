"""What is known of programs that do more than their name says: they start others, or write any file.

A row of `KNOWN` says when that matters and how it comes about. Collected from the manual pages and
from the public catalogue GTFOBins.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class When(Enum):
    """Under which rule a program does what its row says."""

    FREE = "the client chooses arguments"
    INPUT = "the client chooses arguments, or there are none and it reads standard input"
    ALWAYS = "whatever its arguments are"


class Danger(NamedTuple):
    """A row."""

    when: When
    reason: str


_FREE_ROWS = """
ansible starts any program by its modules
apt starts any program by -o
apt-get starts any program by -o
aria2c starts any program by --on-download-complete
borg starts any program by --rsh
busybox holds a shell
capsh starts a shell
chroot starts the program that its arguments name
cp writes any file
cpio writes any file, and starts programs by --rsh-command
crontab starts any program later
curl writes any file by -o, and reads any by -T
dd writes any file
dmesg starts a pager
doas starts the program that its arguments name
docker starts any program in a container that may see every file
dpkg starts programs of packages
env starts the program that its arguments name
ethtool changes the network
find starts any program by -exec, and writes any file by -fprint
flock starts the program that its arguments name
gcc starts any program by -wrapper
git starts any program by -c, aliases and hooks
install writes any file
ionice starts the program that its arguments name
ip starts any program by netns exec
journalctl starts a pager
ln makes links that other programs follow
logrotate starts any program by its scripts
make starts any program by its makefile
mount starts helpers and changes the file system
mv replaces any file
nc sends any data anywhere, and starts programs by -e where it knows it
ncat starts any program by --exec
nice starts the program that its arguments name
nmap starts scripts by --script
nohup starts the program that its arguments name
nsenter starts any program in another namespace
npm starts any program by its scripts
openssl loads code by -engine, and writes any file by -out
parallel starts the program that its arguments name
patch writes any file, and starts ed scripts
pip starts any program by what it installs
pkexec starts the program that its arguments name
podman starts any program in a container that may see files
rsync starts any program by -e
run-parts starts every program of a directory
runuser starts any program as another user
scp starts any program by -S
script starts any program by -c
sed starts programs by its command e, and writes any file by w
service starts scripts
setarch starts the program that its arguments name
setsid starts the program that its arguments name
sftp starts any program by -S
shred destroys any file
socat starts any program by EXEC:
sort starts any program by --compress-program, and writes any file by -o
split starts any program by --filter
ssh starts any program by -o ProxyCommand
start-stop-daemon starts the program that its arguments name
stdbuf starts the program that its arguments name
strace starts the program that its arguments name
su starts any program as another user
sudo starts the program that its arguments name
systemctl starts any unit, a pager and an editor
systemd-run starts the program that its arguments name
tar starts any program by --checkpoint-action, --to-command and -I
taskset starts the program that its arguments name
tcpdump starts any program by -z
tee writes any file
time starts the program that its arguments name
timeout starts the program that its arguments name
unshare starts the program that its arguments name
unzip writes any file
watch gives its arguments to a shell
wget writes any file by -O, and starts any program by --use-askpass
yum starts any program by its plugins
zip starts any program by -TT
"""

_INPUT_ROWS = """
ash is a shell
at starts later what it reads
awk starts any program by system()
bash is a shell
bc reads any file that its arguments name
bpftrace starts any program by system()
csh is a shell
dash is a shell
dc starts any program by !
expect starts any program by spawn
fish is a shell
gawk starts any program by system()
gdb starts any program by shell
guile is an interpreter
irb is an interpreter
jshell is an interpreter
julia is an interpreter
ksh is a shell
lua is an interpreter
mawk starts any program by system()
mysql starts any program by system
nawk starts any program by system()
node is an interpreter
octave is an interpreter
perl is an interpreter
php is an interpreter
psql starts any program by \\!
python is an interpreter
pypy is an interpreter
rbash is a shell that is easily left
ruby is an interpreter
sh is a shell
sqlite is a database that starts programs by .shell
tclsh is an interpreter
tcsh is a shell
wish is an interpreter
xargs starts the program that its arguments name, with arguments from standard input
zsh is a shell
"""

_ALWAYS_ROWS = """
ed starts any program by !
emacs starts any program by M-x shell
ex starts any program by !
ftp starts any program by !
info starts other programs
joe starts any program by ^K !
less starts any program by !, and opens any file
lftp starts any program by !
mail starts any program by ~!
man starts a pager that starts any program by !
more starts any program by !
most starts an editor
mutt starts any program by !
nano starts any program by ^T, and opens any file
pico starts any program by ^T
pg starts any program by !
screen starts any program
ssh-agent starts the program that its arguments name
tmux starts any program
vi starts any program by :!
view starts any program by :!
vim starts any program by :!
vimdiff starts any program by :!
visudo starts an editor
vipw starts an editor
"""


def _rows(when: When, text: str) -> dict[str, Danger]:
    rows = (line.partition(" ") for line in text.strip().splitlines())
    return {name: Danger(when, reason) for name, _, reason in rows}


KNOWN: dict[str, Danger] = {
    **_rows(When.FREE, _FREE_ROWS),
    **_rows(When.INPUT, _INPUT_ROWS),
    **_rows(When.ALWAYS, _ALWAYS_ROWS),
}


def danger_of(command: str) -> Danger | None:
    """Find the row of a command, whatever its directory and the version behind its name."""
    name = command.rpartition("/")[2]
    return KNOWN.get(name) or KNOWN.get(name.rstrip("0123456789.-"))
