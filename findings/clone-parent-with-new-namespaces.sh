#!/bin/sh
# clone(2) takes CLONE_PARENT together with CLONE_NEWPID and CLONE_NEWUSER, which its page excludes.
#
# Page: Debian's manpages-dev 6.03-2, clone(2): CLONE_NEWPID "can't be specified in conjunction with"
# CLONE_PARENT, and CLONE_NEWUSER neither. Kernel: seen on Linux 6.18 as root and as a user. The child
# is process 1 of its namespace, and its status goes to the parent of who called clone. So a process
# between can make a child in new namespaces for its parent, and end.
#
# Needs Debian 12 with apt-get, dpkg-deb and perl, on x86-64. Ends with 0 as long as that is so.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -q download manpages-dev=6.03-2 >/dev/null
dpkg-deb -x manpages-dev_*.deb pages
{
    # the last words of both entries
    zcat pages/usr/share/man/man2/clone.2.gz | grep -c '^\.BR CLONE_PARENT \.$' | sed 's/^/entries that exclude it: /'
    perl -e '
        my ($PARENT, $NEWUSER, $NEWPID) = (0x8000, 0x10000000, 0x20000000);
        my $between = fork // die "fork: $!\n";
        if (!$between) {
            my $pid = syscall 56, $PARENT | $NEWUSER | $NEWPID, 0, 0, 0, 0;    # SYS_clone
            exit($pid == -1 ? $! + 0 : 0) if $pid;
            exit(syscall(39) == 1 ? 7 : 8);                                    # SYS_getpid
        }
        my %status;
        while ((my $pid = wait) > 0) { $status{$pid == $between ? "between" : "child"} = $? >> 8 }
        print "$_: exit status $status{$_}\n" for sort keys %status;
    '
} | tee seen
cat >expected <<'OUTPUT'
entries that exclude it: 2
between: exit status 0
child: exit status 7
OUTPUT
cmp expected seen
