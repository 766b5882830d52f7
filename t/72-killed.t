# Whoever is killed or stopped while a child starts: nobody hangs, nothing is lost. Some points of
# each start; all of them are in xt/stress/killed.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest qw(nr);
use KillTest;

plan skip_all => 'this test knows the numbers of system calls for x86-64 and aarch64 only' if !defined nr('ptrace');
plan skip_all => 'valgrind aborts when somebody traces a process of its own' if $ENV{UNDER_VALGRIND};
my $refusal = refusal_of_ptrace();
plan skip_all => $refusal if $refusal ne '';

my $trials = kill_test(17);
note "$trials trials";
is wait, -1, 'no child is left';
done_testing;
