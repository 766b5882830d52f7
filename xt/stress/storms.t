# As t/73-storms.t, with ten thousand signals in each storm.
#
#     prove -b xt/stress/storms.t
#
# STRESS, a number, scales how many; SEED repeats when handlers die, as far as the machine is as fast.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../t/lib";
use Test::More;
use CloneTest ();
use StormTest;

my $stress = $ENV{STRESS} // 1;
alarm 300 + 1500 * $stress;
storm_test(int(10_000 * $stress) || 1, sub { diag @_ });
is wait, -1, 'no child is left';
done_testing;
