# A child like fork's: a copy of this process, which shares nothing with it.
#
#   perl -Mblib examples/fork-like.pl
#
# Any user may do this.
use strict;
use warnings;

use Linux::Clone;
use POSIX qw(SIGCHLD);

my $count = 1;

# Where fork returns twice, clone calls the coderef in the child. What it returns is the child's
# exit status, so there is no exit to forget. The variables it closes over are copies.
my $child = sub {
    $count += 41;
    print "child:  my pid is $$, my parent's is ", getppid, ", and I count to $count\n";
    return 77;
};

# 0 is the default stack. The low byte of the flags is the signal that the parent gets when the
# child ends. waitpid finds only children whose signal is SIGCHLD, unless it is told otherwise.
# No other flag: memory, descriptors, working directory and namespaces are as with fork.
my $pid = Linux::Clone::clone $child, 0, SIGCHLD;

# Failure is -1, which is true: "or die" would not see it.
die "clone: $!\n" if $pid == -1;

waitpid($pid, 0) == $pid or die "waitpid: $!\n";

print "parent: my pid is $$, my child's was $pid, and I still count to $count\n";

# The low seven bits of $? are the signal that killed the child, if one did.
my ($status, $signal) = ($? >> 8, $? & 127);
print $signal ? "parent: signal $signal killed the child\n"
              : "parent: the child returned $status\n";

exit($? == 77 << 8 ? 0 : 1);
