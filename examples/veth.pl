# Two network namespaces with a cable between them: a veth pair, one end here and one end in the
# child's namespace, and a TCP connection across it.
#
#   perl -Mblib examples/veth.pl
#
# Needs ip(8), from the package iproute2. Root needs nothing else; other users get a user
# namespace too, if the kernel lets them. The machine's own network is left alone.
use strict;
use warnings;

use IO::Socket::INET;
use Linux::Clone;
use POSIX qw(SIGCHLD);

# Reserved for documentation (RFC 5737), so they are nobody's real addresses.
my $PARENT = '192.0.2.1';
my $CHILD  = '192.0.2.2';

# In seconds: if one side fails, the other must not wait for ever.
my $TIMEOUT = 10;

# Both processes print, and take turns.
$| = 1;

# Where ip lives is often in the path of root only.
$ENV{PATH} = join ':', $ENV{PATH} // '/usr/bin:/bin', '/usr/sbin', '/sbin';
grep { -x "$_/ip" } split /:/, $ENV{PATH}
    or die "veth.pl needs the command ip: please install the package iproute2.\n";

# First we leave the machine's network ourselves: the pair's ends will be in our new namespace
# and in the child's. To make such namespaces takes root, and anyone may be root in a new user
# namespace; the kernel makes that first, so that it owns the other one.
my $flags = Linux::Clone::NEWNET;
$flags |= Linux::Clone::NEWUSER if $> != 0;

# Before unshare: in a new user namespace our ids read as 65534 until the maps are written.
my ($uid, $gid) = ($>, $) + 0);
Linux::Clone::unshare($flags) == 0 or die "the kernel refuses a network namespace: $!\n";
write_maps($uid, $gid) if $flags & Linux::Clone::NEWUSER;

# The child waits here until its end of the pair exists.
pipe my $ready_reader, my $ready or die "pipe: $!\n";

my $child = sub {
    # The child's own copy: while it is open, there is no end of file to read below.
    close $ready;
    my $port = readline $ready_reader;
    # The parent died, and said why.
    return 1 if !defined $port;
    chomp $port;

    # Which end is ours is settled by where these commands run.
    ip('address', 'add', "$CHILD/24", 'dev', 'veth-child');
    ip('link', 'set', 'veth-child', 'up');

    my $socket = IO::Socket::INET->new(PeerAddr => $PARENT, PeerPort => $port, Timeout => $TIMEOUT)
        or die "connect to $PARENT: $@\n";
    print {$socket} 'hello from a namespace with ', interfaces(), "\n";
    my $answer = readline $socket // die "no answer\n";
    print "child:  $PARENT says: $answer";
    return 0;
};

# NEWNET alone: the child shares our user namespace, in which both of us are root. We need that
# in both network namespaces to lay a pair between them.
my $pid = Linux::Clone::clone $child, 0, Linux::Clone::NEWNET | SIGCHLD;
die "the kernel refuses a second network namespace: $!\n" if $pid == -1;
close $ready_reader;

# A process id names a namespace: "the network namespace that this process is in". The far end is
# born there, so its name cannot clash with one of ours.
ip(qw(link add veth-parent type veth peer name veth-child netns), $pid);
ip('address', 'add', "$PARENT/24", 'dev', 'veth-parent');
ip('link', 'set', 'veth-parent', 'up');

# We listen before the child may connect. The kernel picks the port.
my $server = IO::Socket::INET->new(LocalAddr => $PARENT, Listen => 1, Timeout => $TIMEOUT)
    or die "listen on $PARENT: $@\n";
print {$ready} $server->sockport, "\n";
close $ready;

my $socket  = $server->accept or die "no child connects: $!\n";
my $message = readline $socket // die "no message\n";
print 'parent: ', $socket->peerhost, " says: $message";
print {$socket} 'hello from a namespace with ', interfaces(), "\n";
close $socket;

# The pair goes away with either of its namespaces, and these with their last process.
waitpid($pid, 0) == $pid or die "waitpid: $!\n";
print "parent: the child returned ", $? >> 8, "\n";
exit($? == 0 ? 0 : 1);

sub ip {
    my (@arguments) = @_;
    system('ip', @arguments) == 0 or die "ip @arguments: failed\n";
}

# The interfaces of this process's network namespace. /sys would not do: it shows the namespace
# of the process that mounted it.
sub interfaces {
    open my $dev, '<', '/proc/self/net/dev' or die "/proc/self/net/dev: $!\n";
    return join ' ', sort map { /^\s*(\S+):/ ? $1 : () } <$dev>;
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
