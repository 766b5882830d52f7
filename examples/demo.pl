# One process, seen from outside and from inside its namespaces.
#
#   perl Makefile.PL && make demo
#
# Any user may run this, if the kernel lets users make user namespaces.
use strict;
use warnings;

use Linux::Clone;
use POSIX qw(SIGCHLD);

# Before clone: in the new user namespace our ids read as 65534 until the maps are written.
my ($uid, $gid) = ($>, $) + 0);

# The child reports, then waits until we have looked at it from here.
pipe my $report_reader, my $report or die "pipe: $!\n";
pipe my $looked_reader, my $looked or die "pipe: $!\n";

my $child = sub {
    # The child's own copy: while it is open, there is no end of file to wait for.
    close $looked;
    write_maps($uid, $gid);
    print {$report} "$_\n" for $$, $>, interfaces();
    close $report;
    readline $looked_reader;
    return 42;
};

my $flags = Linux::Clone::NEWUSER | Linux::Clone::NEWPID | Linux::Clone::NEWNET;
my $pid = Linux::Clone::clone $child, 0, $flags | SIGCHLD;
die sprintf "The kernel refuses this user new namespaces: errno %d (%s).\n", $!, $! if $pid == -1;
close $report;
close $looked_reader;

chomp(my @inside = readline $report_reader);
my @outside = ($pid, uid_of($pid), interfaces());
close $looked;
waitpid($pid, 0) == $pid or die "waitpid: $!\n";
die "The child failed.\n" if @inside != 3;
my $status = $? >> 8;

my $row = "  %-18s %-36s %s\n";
print "\n  One clone(2) call, and a child in a new user, PID and network namespace:\n\n";
printf $row, '',                 'outside',   'inside';
printf $row, '-' x 18,           '-' x 36,    '-' x 18;
printf $row, q(the child's pid), $outside[0], $inside[0];
printf $row, q(the child's uid), $outside[1], $inside[1];
printf $row, 'interfaces',       $outside[2], $inside[2];
print "\n  The child returned 42, and its parent reads exit status $status.\n\n";
exit($status == 42 ? 0 : 1);

# The effective user id of a process, as our user namespace has it.
sub uid_of {
    my ($pid) = @_;
    open my $fh, '<', "/proc/$pid/status" or return 'unknown';
    return (map { /^Uid:\s+\d+\s+(\d+)/ } <$fh>)[0];
}

# The interfaces of this process's network namespace, as many as a column holds.
sub interfaces {
    open my $dev, '<', '/proc/self/net/dev' or die "/proc/self/net/dev: $!\n";
    my @names = map { /^\s*(\S+):/ ? $1 : () } <$dev>;
    my $text = join ' ', @names;
    return length $text <= 36 ? $text : "$names[0] and " . (@names - 1) . ' more';
}

# Makes this process root in its new user namespace. Without privilege outside we may map one id,
# our own, and the group only after setgroups(2) is given up (user_namespaces(7)). /proc/self is
# still ours: a PID namespace's processes are known to the one above, whose /proc this is.
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
