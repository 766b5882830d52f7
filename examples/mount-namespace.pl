# A child in a mount namespace of its own, with a bind mount that the parent does not see.
#
#   perl -Mblib examples/mount-namespace.pl
#
# Needs mount(8). Root needs nothing else; other users get a user namespace too, if the kernel
# lets them.
use strict;
use warnings;

use File::Temp qw(tempdir);
use Linux::Clone;
use POSIX qw(SIGCHLD);

# Both processes print, and take turns.
$| = 1;

# Only root may mount, but anyone may be root in a new user namespace. With both flags the kernel
# makes the user namespace first, so that it owns the other one.
my $flags = Linux::Clone::NEWNS;
$flags |= Linux::Clone::NEWUSER if $> != 0;

# Before clone: in a new user namespace our ids read as 65534 until the maps are written.
my ($uid, $gid) = ($>, $) + 0);

# Two directories. The child mounts the first, which has a file, on the second, which is empty.
my $dir = tempdir('linux-clone-XXXXXX', TMPDIR => 1, CLEANUP => 1);
mkdir "$dir/$_" or die "$dir/$_: $!\n" for qw(full empty);
open my $letter, '>', "$dir/full/letter.txt" or die "$dir/full/letter.txt: $!\n";
close $letter;

# The parent must look while the mount exists, and the child must not end before it has.
pipe my $mounted_reader, my $mounted or die "pipe: $!\n";
pipe my $looked_reader,  my $looked  or die "pipe: $!\n";

my $child = sub {
    # The child has copies of all four ends. While it held this one open, it would never read
    # an end of file from it.
    close $looked;

    write_maps($uid, $gid) if $flags & Linux::Clone::NEWUSER;

    # The new namespace starts as a copy of the parent's, and most distributions share the mounts
    # between copies: without this line root's bind mount would show up in the parent too.
    run('mount', '--make-rprivate', '/');
    run('mount', '--bind', "$dir/full", "$dir/empty");
    print 'child:  the second directory has: ', listing("$dir/empty"), "\n";

    print {$mounted} "mounted\n";
    close $mounted;
    # Returns at the end of file, when the parent closes its end, or dies.
    readline $looked_reader;
    return 0;
};

my $pid = Linux::Clone::clone $child, 0, $flags | SIGCHLD;
die "the kernel refuses a mount namespace: $!\n" if $pid == -1;
close $mounted;
close $looked_reader;

# undef if the child died first: it has said why.
my $visible;
if (defined readline $mounted_reader) {
    $visible = listing("$dir/empty");
    print "parent: the second directory has: $visible\n";
}
close $looked;

# There is nothing to unmount: the mount goes away with the last process in its namespace.
waitpid($pid, 0) == $pid or die "waitpid: $!\n";
print "parent: the child returned ", $? >> 8, "\n";
exit(defined $visible && $visible eq 'nothing' && $? == 0 ? 0 : 1);

sub listing {
    my ($path) = @_;
    opendir my $handle, $path or die "$path: $!\n";
    return join(' ', grep { !/^\.\.?$/ } readdir $handle) || 'nothing';
}

sub run {
    my (@command) = @_;
    return if system(@command) == 0;
    die "$command[0]: $!\n" if $? == -1;
    die "@command: failed\n";
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
