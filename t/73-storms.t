# Signals that come all the time, to parent and child, and handlers that die. More of them come in
# xt/stress/storms.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use CloneTest ();
use StormTest;

storm_test(200, sub { note @_ });
is wait, -1, 'no child is left';
done_testing;
