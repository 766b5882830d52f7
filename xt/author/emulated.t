# Where VM|VFORK is a fork, as under valgrind: spawn takes a copy, and clone croaks before anything is
# called.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use AuthorTest;

my $top = top();

# What a program prints under valgrind.
sub under_valgrind {
    my ($program) = @_;
    my ($status, $output) = run({}, $top, qw(valgrind --tool=none -q --log-file=/dev/null), $^X, '-Mblib', '-e', "use Linux::Clone qw(spawn clone clone3 :flags); \$| = 1; $program");
    return $status == 0 ? $output : "status $status: $output";
}

is under_valgrind(q{print spawn(exec => ['/no/such']) ? "a child" : "$Linux::Clone::error" for 1, 2}),
    'Linux::Clone::spawn: exec /no/such: No such file or directory' x 2, 'spawn: a program that there is not';
is under_valgrind(q{print spawn(exec => ['true'], cwd => '/no/such') ? 'a child' : $Linux::Clone::error}),
    'Linux::Clone::spawn: cwd /no/such: No such file or directory', 'a directory that there is not';
is under_valgrind(q{for (1 .. 3) { my $child = spawn(exec => ['sh', '-c', 'echo once; exit 3']) or die $Linux::Clone::error; $child->wait; print $? >> 8, "\n" } print wait}),
    "once\n3\n" x 3 . '-1', 'one that there is runs once';
is under_valgrind(q{my $pid = fork; if (!$pid) { my $child = spawn(exec => ['sh', '-c', 'echo once; exit 3']) or die $Linux::Clone::error; $child->wait; exit $? >> 8 } waitpid $pid, 0; print $? >> 8}),
    "once\n3", 'from a copy of the process';
is under_valgrind(q{local $SIG{CHLD} = 'IGNORE'; my $child = spawn(exec => ['sh', '-c', 'echo once']) or die $Linux::Clone::error; $child->wait; print spawn(exec => ['/no/such']) ? 'a child' : 'none'}),
    "once\nnone", 'SIGCHLD is ignored';
my $croak = 'Linux::Clone::clone: VM|VFORK does not share memory here (valgrind, an emulator): the child would have a copy; leave both out at -e line 1.';
is under_valgrind(q{for (1, 2) { eval { clone(sub { print "called\n"; 0 }, 0, CLONE_VM | CLONE_VFORK | 17); 1 } and print 'lives'; print $@ } print wait}),
    "$croak\n$croak\n-1", 'clone croaks, and calls nothing';
is under_valgrind(q{my $pid = clone(sub { print "called\n"; 5 }, 0, 17); waitpid $pid, 0; print $? >> 8}), "called\n5", 'without VM it is as ever';

done_testing;
