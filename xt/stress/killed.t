# As t/72-killed.t, at each point of each start.
#
#     prove -b xt/stress/killed.t
#
# STRESS, a number up to 1: at that part of the points (0.1: at each tenth).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../t/lib";
use Test::More;
use CloneTest qw(nr);
use KillTest;

plan skip_all => 'this test knows the numbers of system calls for x86-64 and aarch64 only' if !defined nr('ptrace');
my $refusal = refusal_of_ptrace();
plan skip_all => $refusal if $refusal ne '';

my $stress = $ENV{STRESS} // 1;
alarm 300 + 1200 * $stress;
my $step = $stress < 1 ? int 1 / $stress : 1;
my $trials = kill_test($step);
diag "$trials points at which a child or its parent was hit";
is wait, -1, 'no child is left';
done_testing;
