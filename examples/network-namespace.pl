# A child in a network namespace of its own: of all interfaces it has the loopback, and that is
# down.
#
#   perl -Mblib examples/network-namespace.pl
#
# Root needs nothing else. Other users get a user namespace too, if the kernel lets them.
use strict;
use warnings;

use Linux::Clone;
use POSIX qw(SIGCHLD);
use Socket;

# Only root may make a network namespace, but anyone may be root in a new user namespace. With
# both flags the kernel makes the user namespace first, so that it owns the other one.
my $flags = Linux::Clone::NEWNET;
$flags |= Linux::Clone::NEWUSER if $> != 0;

# Before clone: in a new user namespace our ids read as 65534 until the maps are written.
my ($uid, $gid) = ($>, $) + 0);

my $child = sub {
    write_maps($uid, $gid) if $flags & Linux::Clone::NEWUSER;
    print 'child:  ', interfaces(), "\n";

    # Nothing leads out of here, not even to our own 127.0.0.1: the loopback is down.
    socket my $socket, PF_INET, SOCK_DGRAM, 0 or die "socket: $!\n";
    if (connect $socket, pack_sockaddr_in(9, INADDR_LOOPBACK)) {
        print "child:  127.0.0.1 can be reached\n";
        return 1;
    }
    print "child:  127.0.0.1 cannot be reached: $!\n";
    return 0;
};

print 'parent: ', interfaces(), "\n";

my $pid = Linux::Clone::clone $child, 0, $flags | SIGCHLD;
die "the kernel refuses a network namespace: $!\n" if $pid == -1;

# The namespace goes away with the last process in it.
waitpid($pid, 0) == $pid or die "waitpid: $!\n";
print "parent: the child returned ", $? >> 8, "\n";
exit($? == 0 ? 0 : 1);

# The interfaces of this process's network namespace. /proc/net is a link to /proc/self/net;
# /sys would not do: it shows the namespace of the process that mounted it.
sub interfaces {
    open my $dev, '<', '/proc/self/net/dev' or die "/proc/self/net/dev: $!\n";
    return join ' ', map { /^\s*(\S+):/ ? $1 : () } <$dev>;
}

# In a new user namespace: makes this process root there. Without privilege outside we may map
# one id, our own, and the group only after setgroups(2) is given up: else anyone could leave a
# group whose members are denied something (user_namespaces(7)).
sub write_maps {
    my ($uid, $gid) = @_;
    for (['setgroups', 'deny'], ['uid_map', "0 $uid 1"], ['gid_map', "0 $gid 1"]) {
        my ($file, $text) = @$_;
        open my $fh, '>', "/proc/self/$file" or die "/proc/self/$file: $!\n";
        print {$fh} $text;
        # The write happens here, all in one, as the kernel wants it.
        close $fh or die "/proc/self/$file: $!\n";
    }
}
