"""What is known of programs that do more than their name says: facts, and nothing that reads them but
`programs`.

A stanza begins with names and, behind a colon, what they are where they are more than a program with
dangerous arguments:

- ``wrapper``: starts the program that its arguments name;
- ``interpreter``: runs the program that its first argument holds or names, or that it reads;
- ``reader``: obeys what it reads on standard input;
- ``always``: offers it to whoever is at the keyboard, whatever the arguments are.

An indented line is a deed: one that begins with `starts` ends in another program, one with `reads`
shows files, all others change files or the machine. The options in it are the ones by which it comes
about; a line without any is about the operands. `safer` is what to write instead; NAME in it is the command
of the rule. Of wrappers, `values` are the options whose value is the next word, and `operands one` says that
the program stands second.

Collected from the manual pages and from the public catalogue GTFOBins.
"""

from __future__ import annotations

STANZAS = """
env nice nohup timeout setsid setarch linux32 linux64 ionice stdbuf taskset time chrt unbuffer : wrapper
    values -u -C -n -s -k -c -i -o -e -f -p
    safer write the program itself as the rule; nice, timeout and env are options of a rule
sudo doas pkexec runuser su sg setpriv capsh gosu : wrapper
    starts any program as another account
    values -u -g -h -p -C -r -t -U -R -D -T -G -s --user --group --reuid --regid
    safer write the program itself as the rule, with the option: as ACCOUNT
xargs parallel : wrapper reader
    starts programs with arguments from standard input
    values -n -P -L -I -d -s -a -E -j --max-args --max-procs --delimiter --arg-file
    safer write the program itself as the rule, with a pattern and * for its arguments
strace ltrace perf valgrind catchsegv rlwrap script dbus-run-session : wrapper
    starts the program that is traced, or another
    writes any file by -o --output
    values -o -e -p -s -S -a -E -P -u -c
    safer write the program itself as the rule
chroot flock : wrapper
    operands one
    values -w -E --wait --conflict-exit-code
    safer write the program itself as the rule; parallel 1 is an option of a rule
unshare nsenter systemd-run start-stop-daemon daemonize watch runsv cgexec firejail : wrapper
    values -n -t -u -p -g -c -w -a -x -M -H
    safer write the program itself as the rule
ssh-agent fakeroot proot xvfb-run aa-exec choom prlimit torify torsocks : wrapper
    values -a -t -n -p -l -s -b -i
    safer write the program itself as the rule
busybox toybox : wrapper
    starts the applet that its first argument names, a shell among them
    safer write the applet as its own rule: ls [-l -a] {path:/srv/** ro}
ld.so ld-linux.so ld-linux-x86-64.so ld-linux-aarch64.so : wrapper
    values --library-path --argv0 --preload --audit
    safer write the program itself as the rule

sh ash bash dash csh fish ksh tcsh zsh mksh yash rbash elvish pwsh : interpreter reader
    safer /usr/local/bin/task {name}     # an executable script is a rule of its own
python pypy perl ruby node nodejs php lua luajit tclsh wish guile irb jshell julia octave : interpreter reader
    safer /usr/local/bin/task {name}     # an executable script is a rule of its own
awk gawk mawk nawk original-awk : interpreter reader
    starts any program by system(), reads and writes any file from its program
    safer cut [-d={word} -f={int:1..20}] -- {path:/srv/** ro file}
sed gsed : interpreter
    starts programs by its command e
    writes any file by its command w and by -i --in-place
    safer sed -n {re:'[0-9]{1,6}(,[0-9]{1,6})?p'} -- {path:/srv/** ro file}
jq yq : interpreter
    reads any file by --slurpfile --rawfile --from-file -f --argfile
    safer jq {re:'[.A-Za-z0-9_]+'} -- {path:/srv/** ro file}
expect tclexpect ghci ghc crystal deno bun scheme racket sbcl clisp : interpreter reader
erl elixir iex dotnet java groovy scala kotlin swift R Rscript gnuplot : interpreter reader
bpftrace stap dtrace nft iptables-restore : interpreter reader
m4 cpp : interpreter
    starts any program by syscmd and esyscmd

gdb lldb cdb radare2 r2 : reader
    starts any program by its command shell and by -ex --eval-command --args
psql mysql mariadb sqlite sqlite3 mongo mongosh redis-cli clickhouse-client isql : reader
    starts any program by its commands: \\! of psql, system of mysql, .shell of sqlite3
    reads and writes files by its commands, and by -c --command -e --execute -f --file -o --output
    safer psql -X -A -t -d {name} -c 'select now()'     # the statement stands in the rule
bc dc : reader
    starts any program by ! of dc
    reads any file that an operand names
at batch crontab : reader
    starts later whatever it reads
ed ex : reader always
    starts any program by !
    writes any file by w
    safer sed -n {int:1..100000} -- {path:/srv/** ro file}

less more most pg zless zmore bzless xzless view vi vim vim.tiny vim.basic nvi vimdiff rvim nvim : always
    starts any program by ! or :!
    opens any file
    safer cat -- {path:/var/log/** ro file}
nano pico rnano joe jed emacs mcedit mc nnn ranger vifm : always
    starts any program by a key, such as ^T of nano
    opens and writes any file
man info pinfo whatis apropos : always
    starts a pager that starts any program by !
    starts any program by -P --pager -H --html
    safer man -P cat {name}
mail mailx mutt alpine heirloom-mailx ftp lftp sftp telnet tftp lynx w3m links elinks : always
    starts any program by ! or ~!
screen tmux byobu dvtm abduco dtach zellij : always
    starts a shell
visudo vipw vigr sudoedit : always
    starts an editor
htop atop iotop : always
    starts other programs, such as strace and lsof, by its keys
    safer top -b -n 1
top
    starts programs that its own configuration names
    safer top -b -n 1

find
    starts any program by -exec -execdir -ok -okdir
    writes any file by -fprint -fprint0 -fprintf -fls
    removes files by -delete
    reads any file by -files0-from
    safer find {path:/srv/** ro dir} -name {text}
fd fdfind
    starts any program by -x --exec -X --exec-batch
    safer find {path:/srv/** ro dir} -name {text}
tar gtar bsdtar
    starts any program by --checkpoint-action --to-command --use-compress-program -I --rsh-command
    starts any program by --info-script --new-volume-script -F --rmt-command
    writes any file by -x --extract --get -C --directory and by -f --file with c
    removes files by --remove-files
    reads any file by -T --files-from -X --exclude-from
    safer tar -c -f - -C /srv -- {path:/srv/** ro}
cpio
    starts any program by --rsh-command
    writes any file by -i --extract -p --pass-through -O -F
zip
    starts any program by -TT --unzip-command
    writes any file that its first operand names
    safer zip -r - -- {path:/srv/** ro}
unzip 7z 7za 7zr 7zz unrar unar cabextract lha unp atool p7zip
    writes any file of an archive, by -d and -o too
    safer unzip -l -- {path:/srv/** ro file}
gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd lz4 lzma compress uncompress brotli pigz
    writes files, and removes the one that was given
    safer NAME -c -- {path:/srv/** ro file}
ar
    writes files, and removes the one that was given
sort
    starts any program by --compress-program
    writes any file by -o --output
    writes anywhere by -T --temporary-directory
    reads any file by --files0-from
    safer sort [-n -r -u -k={re:'[0-9]{1,2}(,[0-9]{1,2})?[nr]?'}] -- {path:/srv/** ro file}
split csplit
    starts any program by --filter
    writes any file by its prefix
uniq
    writes any file that its second operand names
    safer uniq [-c -d -u] -- {path:/srv/** ro file}
tee sponge
    writes any file
    safer NAME -- {path:/srv/incoming/** rw}
cp install
    writes any file
    safer NAME -- {path:/srv/in/** ro file} {path:/srv/out/** rw}
mv ln
    writes any file
    safer NAME -- {path:/srv/out/** rw file} {path:/srv/out/** rw}
rename dd mknod mkfifo
    writes any file
rm shred unlink
    removes or empties any file
    safer NAME -- {path:/srv/incoming/** rw file}
rmdir
    removes or empties any file
    safer rmdir -- {path:/srv/incoming/** rw dir}
truncate
    removes or empties any file
    safer truncate -s 0 -- {path:/srv/incoming/** rw file}
chmod
    changes any file
    safer chmod {re:'[0-7]{3}'} -- {path:/srv/www/** rw}
touch mkdir
    changes any file
    safer NAME -- {path:/srv/www/** rw}
chown chgrp chattr setfacl setcap chcon setfattr
    changes any file
patch
    starts ed for scripts by -e --ed
    writes any file that the patch names, and by -o --output -d --directory -r --reject-file
rsync
    starts any program by -e --rsh --rsync-path
    reads any file by --files-from --password-file --exclude-from --include-from
    writes any file by --log-file --temp-dir -T --backup-dir --partial-dir --write-batch --daemon --config
    safer %use rsync ro /srv/backup
scp
    starts any program by -S -D -o -F
    safer %use sftp ro /srv
ssh slogin autossh mosh sshpass dbclient plink rsh
    starts any program by -o -F -J -S -E -oProxyCommand
    starts any program elsewhere
    safer ssh -n -- {host} uptime
ssh-keygen ssh-add ssh-keyscan
    starts code of a library by -D -s -w
    writes any file by -f
ssh-copy-id
    starts any program by -o
git gitk tig hg svn bzr brz cvs darcs fossil
    starts any program by -c --config-env --exec-path --upload-pack --receive-pack and by aliases and hooks
    starts a pager by -p --paginate
    reads and writes any file by -C --git-dir --work-tree --output
    safer git --no-pager -C /srv/app {status|diff} --no-ext-diff
git-upload-pack git-receive-pack git-upload-archive git-shell git-annex-shell
    starts hooks and helpers of the repository
    safer %use git ro /srv/git/**
borg restic duplicity rdiff-backup bup rclone
    starts any program by --rsh --remote-path -o --option --rclone.program --password-command --sftp-ssh
    reads and writes any file
    safer %use borg append /srv/borg
make gmake ninja scons cmake ant gradle mvn rake just bazel meson waf tup
    starts any program by its file and by --eval -f --file -C --directory
    safer make -C /srv/app {build|test|clean}
gcc g++ cc c++ clang clang++ tcc ld as rustc go cargo javac
    starts any program by -wrapper -B -fplugin -specs
    reads any file by -x -E -include
    writes any file by -o
npm npx yarn pnpm pip pip3 pipx gem bundle bundler composer cpan cpanm easy_install poetry uv conda luarocks
    starts any program of what it installs
apt apt-get aptitude dpkg dpkg-reconfigure yum dnf rpm zypper pacman apk snap flatpak brew nix emerge opkg
    starts any program by -o --option -c --config-file and by scripts of packages
    changes what is installed
    safer apt-get -q -y install {nginx|redis}
docker podman nerdctl ctr crictl lxc lxc-attach incus kubectl helm buildah runc machinectl virsh vagrant
    starts any program in a container or a machine that may see every file
    safer docker ps
    safer docker logs --tail {int:1..1000} {web|db}
ansible ansible-playbook salt salt-call puppet chef-client terraform tofu pulumi packer fab capistrano
    starts any program by its modules
systemctl
    starts any unit, a pager, and an editor by edit
    starts any program elsewhere by -H --host -M --machine
    safer systemctl --no-pager {start|stop|restart|status} -- {nginx|redis}
journalctl loginctl timedatectl hostnamectl resolvectl networkctl bootctl coredumpctl systemd-analyze
    starts a pager
    starts a debugger by --debugger
    reads any file by --file -D --directory --root
    safer journalctl --no-pager [-n={int:1..1000}] -u {nginx|redis}
service invoke-rc.d run-parts rc-service init telinit runlevel
    starts every program of a directory, or a script
    safer service {nginx|redis} {start|stop|restart|status}
dmesg
    starts a pager by -H --human
    reads any file by -F --file
    changes the log by -C --clear -c --read-clear -D -E -n --console-level
    safer dmesg -T
tcpdump dumpcap tshark
    starts any program by -z
    writes any file by -w
    reads any file by -r -F -V
    safer tcpdump -n -c {int:1..100} -i {eth0|lo}
nmap
    starts scripts by --script --interactive
    writes any file by -oN -oX -oG -oA -oS
    reads any file by -iL --excludefile
    safer nmap -sn -- {cidr}
nc ncat netcat socat telnetd cryptcat openbsd-netcat
    starts any program by -e -c --exec --sh-exec --lua-exec, and EXEC: and SYSTEM: of socat
    sends any data anywhere
    safer nc -z -w 3 -- {host} {port}
curl
    reads any file by -K --config -T --upload-file -d --data --data-binary -F --form, and file:
    writes any file by -o --output -O --remote-name -D --dump-header -c --cookie-jar --trace --output-dir
    safer curl -q -sS --proto '=https' --max-filesize 10485760 -- {url:https}
wget wget2
    starts any program by --use-askpass
    reads any file by -i --input-file --post-file --body-file
    writes any file by -O --output-document -P --directory-prefix -o --output-file -a --append-output
    safer wget -q -O - -- {url:https}
aria2c axel
    starts any program by --on-download-complete --on-download-start --on-download-error
    writes any file by -o -d --dir
    reads any file by -i --input-file
openssl
    starts code of a library by -engine -provider-path
    reads and writes any file by -in -out and by enc
    safer openssl x509 -noout -enddate -in {path:/etc/ssl/certs/** ro file}
gpg gpg2 gpgsm
    starts programs by --agent-program --photo-viewer --exec-path
    reads and writes any file by -o --output --options --homedir
mount umount losetup cryptsetup dmsetup mkfs mke2fs debugfs fdisk parted lvm fsck kpartx
    starts helpers
    changes the file system
    safer mount /mnt/usb
ip tc bridge ss iw
    starts any program by netns exec of ip
    reads any file by -b -batch -force
    safer ip -brief address show
ethtool ifconfig route iptables ip6tables sysctl modprobe insmod rmmod kmod brctl
    changes the network or the kernel
    starts a module or the program of a module
logrotate cron anacron logger rsyslogd
    starts any program of its configuration
    writes any file by -s --state -l --log
cat tac nl paste fold fmt pr od xxd hexdump strings base64 base32 rev expand unexpand
    reads any file
    safer NAME -- {path:/var/log/** ro file}
head tail
    reads any file
    safer NAME [-n={int:1..1000}] -- {path:/var/log/** ro file}
cut
    reads any file
    safer cut [-d={word} -f={int:1..20}] -- {path:/srv/** ro file}
grep egrep fgrep zgrep ag rg ack
    reads any file by -f --file and its operands
    starts any program by --pre --pager
    safer grep -F -e {text} -- {path:/var/log/** ro file}
sdiff shuf
    writes any file by -o --output
diff cmp colordiff wdiff join comm
    reads any file
    safer NAME -- {path:/srv/** ro file} {path:/srv/** ro file}
column cksum md5sum sha256sum sha1sum sha512sum wc ul tsort
    reads any file
    safer NAME -- {path:/srv/** ro file}
diff3 look
    reads any file
date
    reads any file by -f --file
    changes the clock by -s --set
    safer date -u
file
    reads any file by -f --files-from -m --magic-file -C --compile
    safer file -b -- {path:/srv/** ro file}
whiptail dialog
    reads any file by --textbox --file
pdflatex latex tex lualatex xelatex luatex groff troff nroff gs ghostscript pandoc convert magick ffmpeg
    starts any program by --shell-escape -shell-escape -dNOSAFER -U --filter, and pipes in its input
    reads and writes any file
run-mailcap see xdg-open sensible-editor sensible-pager sensible-browser update-alternatives editor pager
    starts other programs
nagios check_by_ssh check_log check_memory check_raid
    starts any program by its arguments
"""
